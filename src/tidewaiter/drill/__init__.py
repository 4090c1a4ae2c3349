"""Proving a deployment: a harmless marker is brought in with real programs, and the records of it are looked for."""
