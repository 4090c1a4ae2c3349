"""The nouns: no I/O, no logic of a stage."""
