"""One module for each kind of job; its `run(context)` runs one unit."""
