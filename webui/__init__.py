"""The web side: pages, the JSON API under /api/v1, the command line and the launcher. Never imports TensorFlow."""
