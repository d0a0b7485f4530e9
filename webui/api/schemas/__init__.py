"""What the API takes and gives, one file per noun, in the words of the tables."""
