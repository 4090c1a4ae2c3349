"""Typed, frozen readers of knowledge/."""
