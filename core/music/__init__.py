"""Notes: read from MIDI, written to MIDI, named, drawn and measured."""
