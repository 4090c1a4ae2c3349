"""One output format per file; output.py names them."""
