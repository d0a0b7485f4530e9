"""The model that comes with Cadenza: a trained checkpoint and its card, as files of this package."""
