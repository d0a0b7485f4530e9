"""Measuring models: likelihood, measures and their overlap with real music, defects, originality. No Keras in most."""
