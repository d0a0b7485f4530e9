"""Running an installation: is it ready, is it healthy, is it safely copied, what may be thrown away."""
