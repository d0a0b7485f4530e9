"""Datasets: reading files in bounds, archives, downloads, splits, statistics, and the stored corpus."""
