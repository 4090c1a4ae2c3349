"""Raw records to events, one log source per file. Parsers never judge."""
