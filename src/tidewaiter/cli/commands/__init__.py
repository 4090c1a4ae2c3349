"""One command per file, each with a click command called `command`; cli/main.py names them."""
