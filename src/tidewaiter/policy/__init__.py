"""What an organisation says of its own network: whom it trusts and what it knows to be bad. It turns into reasons, no more."""
