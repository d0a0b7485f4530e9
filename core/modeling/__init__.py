"""Model families: their weights, their networks, their stored form."""

import os

# Read when Keras and TensorFlow are first loaded, which only modules of this package do.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
