"""What talks to other machines has in common: secrets that never show, TLS that always checks, one HTTP client."""
