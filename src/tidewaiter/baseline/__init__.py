"""What is usual: in the evidence at hand, and over time where a store keeps it."""
