"""The schema's history, run by Alembic through `core.records.schema`."""
