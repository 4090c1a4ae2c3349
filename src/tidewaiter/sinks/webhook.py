"""One HTTP POST per change, with the JSON record as its body.

    Idempotency-Key: <transfer id>              of the first revision; <transfer id>:<revision> of later ones
    Tidewaiter-Change: new | update | withdrawn
    Tidewaiter-Revision: <number>
    Tidewaiter-Signature: t=<seconds since 1970>,v1=<hex>    where a secret is set: HMAC-SHA256 of "<t>.<body>"

The key differs between revisions because a receiver that has seen a key answers from memory: an update would be lost on it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Sequence

import msgspec

from tidewaiter import sink
from tidewaiter.errors import SinkError, UsageError
from tidewaiter.sink import Delivery, Surroundings
from tidewaiter.transport.http import Answer, HttpClient, HttpError
from tidewaiter.transport.secrets import Secret
from tidewaiter.transport.tls import client_context

AGAIN = {408, 425, 429}
"""Answers besides 5xx after which the same request may succeed."""

LOCKED_OUT = {401, 403, 407}
"""Answers about who we are: they concern every delivery, not this one, so it waits until somebody mends the settings."""

_RESERVED = re.compile(r"(?i)host|content-.*|transfer-encoding|connection|authorization|idempotency-key|tidewaiter-.*")


class Settings(sink.Settings, frozen=True, kw_only=True):
    """`type = "webhook"`. `url` itself may be a secret: then it comes from `url_file` or `url_env`."""

    url: str = ""
    url_file: str = ""
    url_env: str = ""
    secret_file: str = ""  # signs every request
    secret_env: str = ""
    token_file: str = ""  # sent as `Authorization: Bearer`
    token_env: str = ""
    headers: dict[str, str] = msgspec.field(default_factory=dict)  # further ones; nothing secret
    ca_file: str = ""  # PEM of the only authorities to trust; empty: the system's
    certificate_file: str = ""  # PEM, for servers that want to know who we are
    key_file: str = ""
    timeout: float = 10.0  # seconds


class Sink:
    """`type = "webhook"`."""

    batch = 1

    def __init__(self, settings: Settings, here: Surroundings) -> None:
        self.name = here.name
        self._secret = here.secret(settings, "secret")
        self._token = here.secret(settings, "token")
        _check(settings)
        tls = client_context(here.path(settings.ca_file), here.path(settings.certificate_file), here.path(settings.key_file))
        self._client = HttpClient(_url(settings, here), timeout=settings.timeout, tls=tls)
        if self._token is not None and not self._client.private:
            raise UsageError("token: would be readable on the way to an http:// URL of another machine; use https://")
        if self._token is not None and not self._token.reveal().isascii():
            raise UsageError("token: must be ASCII")
        self._headers = dict(settings.headers)

    def deliver(self, batch: Sequence[Delivery]) -> None:
        """Post them one by one. Raises SinkError, with what Retry-After asks for where the receiver says so."""
        for delivery in batch:
            body = sink.encoded(sink.record(delivery))
            try:
                answer = self._client.post(body, self._headers | self._own_headers(delivery, body))
            except HttpError as error:
                raise SinkError(str(error), retry=True) from None
            self._judge(answer)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _own_headers(self, delivery: Delivery, body: bytes) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "tidewaiter",
            "Idempotency-Key": delivery.id if delivery.revision == 1 else f"{delivery.id}:{delivery.revision}",
            "Tidewaiter-Change": delivery.change,
            "Tidewaiter-Revision": str(delivery.revision),
        }
        if self._secret is not None:
            headers["Tidewaiter-Signature"] = signature(self._secret, int(time.time()), body)
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token.reveal()}"
        return headers

    def _judge(self, answer: Answer) -> None:
        status = answer.status
        if 200 <= status < 300:
            return
        where = self._client.where
        if status in AGAIN or status >= 500:
            raise SinkError(f"{where}: answered {status}", retry=True, after=answer.retry_after())
        if status in LOCKED_OUT:
            raise SinkError(f"{where}: answered {status}: check token, secret and permissions", retry=True)
        if status < 400:
            raise SinkError(f"{where}: answered {status}: redirects are not followed, set url to where it leads", retry=True)
        raise SinkError(f"{where}: refused it with {status}", retry=False)


def signature(secret: Secret, seconds: int, body: bytes) -> str:
    """The value of the header that proves who sent a body, and when (seconds since 1970 UTC)."""
    signed = hmac.new(secret.reveal().encode(), f"{seconds}.".encode() + body, hashlib.sha256)
    return f"t={seconds},v1={signed.hexdigest()}"


def _url(settings: Settings, here: Surroundings) -> str:
    hidden = here.secret(settings, "url")
    if (hidden is None) == (not settings.url):
        raise UsageError("url: give exactly one of url, url_file and url_env")
    return settings.url if hidden is None else hidden.reveal()


def _check(settings: Settings) -> None:
    if not 0.1 <= settings.timeout <= 300:
        raise UsageError("timeout: must be 0.1 to 300 seconds")
    for name, value in settings.headers.items():
        if not re.fullmatch(r"[A-Za-z0-9-]+", name) or _RESERVED.fullmatch(name):
            raise UsageError(f"headers: {name!r} is no name of a header that can be set")
        if not value.isascii() or not value.isprintable():
            raise UsageError(f"headers.{name}: must be printable ASCII")
