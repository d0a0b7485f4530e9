"""The workers: a Celery app that carries tickets, and the code that runs one unit at a time."""
