"""Sound: MIDI rendered to audio, and samples for players."""
