"""Database tables. `models` means tables and nothing else; networks live in `core.modeling`."""
