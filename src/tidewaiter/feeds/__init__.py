"""Where lines come from while they are written: one file or folder per feed, registered in `feed.py`."""
