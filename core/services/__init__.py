"""What a person can do, one function each: pages, API and command line all end here. Light: no Keras."""
