"""Telling people that their jobs have ended: what they chose, the outbox, and how it is sent."""
