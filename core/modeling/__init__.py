"""Model families: their weights, their networks, their stored form."""
