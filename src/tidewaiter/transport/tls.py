"""TLS as a client: the peer's certificate and name are always checked."""

from __future__ import annotations

import ssl
from pathlib import Path

from tidewaiter.errors import UsageError


def client_context(
    ca_file: Path | None = None, certificate_file: Path | None = None, key_file: Path | None = None
) -> ssl.SSLContext:
    """A context of TLS 1.2 or newer that trusts the system's authorities, or only those in `ca_file` (PEM).

    `certificate_file` and `key_file` (PEM) show who we are to peers that ask. Raises UsageError that names the file.
    """
    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"ca_file: {ca_file}: {_why(error)}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate_file is None:
        if key_file is not None:
            raise UsageError("key_file is given without certificate_file")
        return context
    try:
        # a key with a password would make OpenSSL ask at the terminal: answer instead, with what opens no key
        context.load_cert_chain(certificate_file, key_file, password=lambda: b"")
    except (OSError, ssl.SSLError, ValueError) as error:
        raise UsageError(f"certificate_file: {certificate_file}, key_file: {key_file}: {_why(error)}") from None
    return context


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"is no PEM file as needed, or its key has a password ({error.reason or 'unreadable'})"
    return (error.strerror if isinstance(error, OSError) else None) or "cannot be read"
