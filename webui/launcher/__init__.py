"""Starts all parts of a Cadenza system on one machine, keeps them running, and ends them without orphans."""
