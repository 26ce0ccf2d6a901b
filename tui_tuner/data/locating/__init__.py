"""The parts of the first method: where a turn begins, where its reply and the turn end. All by rendering stand-ins."""
