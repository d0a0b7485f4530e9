"""The shared core of Cadenza: music, data, models, records. Knows nothing of Flask or Celery."""

__version__ = "0.1.0"
