"""What is usual in the evidence at hand."""
