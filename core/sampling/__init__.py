"""Sampling: settings, seeds, uniforms, grammar, and the compiled loops that compose."""
