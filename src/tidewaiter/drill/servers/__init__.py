"""One file for each kind of server; `drill/server.py` holds the interface and starts them by name."""
