"""Score, severity, confidence and reasons."""
