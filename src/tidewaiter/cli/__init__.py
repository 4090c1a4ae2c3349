"""The command line: it asks the engine and shows what comes back; it decides nothing about transfers."""
