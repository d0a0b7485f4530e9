"""Encodings: notes as the numbers that models learn from, and back."""
