"""What is seen in single events: one idea per module (analytic.py)."""
