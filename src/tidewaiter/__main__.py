"""`python -m tidewaiter`."""

from __future__ import annotations

from tidewaiter.cli.main import main

if __name__ == "__main__":
    main()
