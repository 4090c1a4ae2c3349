"""Findings and the context around them become transfers, host by host."""
