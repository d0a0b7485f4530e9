"""Training: settings, batches, the loop, resume points, held-out figures."""
