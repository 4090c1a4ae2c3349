"""URLs that can and cannot be used, and how they are shown."""

from __future__ import annotations

import email.message
import http.client

import pytest

from tidewaiter.errors import UsageError
from tidewaiter.transport.http import Answer, HttpClient


@pytest.mark.parametrize(
    ("url", "where", "path", "private"),
    [
        ("https://hooks.example.com", "https://hooks.example.com:443", "/", True),
        ("http://hooks.example.com/a/b?c=d#e", "http://hooks.example.com:80", "/a/b?c=d", False),
        ("http://127.0.0.1:9200/x", "http://127.0.0.1:9200", "/x", True),
        ("http://[::1]:9200/", "http://[::1]:9200", "/", True),
        ("http://[2001:db8::1]/", "http://[2001:db8::1]:80", "/", False),
        ("http://LOCALHOST:80/", "http://localhost:80", "/", True),
        ("http://localhost.example.com/", "http://localhost.example.com:80", "/", False),
        ("http://127.0.0.1.example.com/", "http://127.0.0.1.example.com:80", "/", False),
    ],
)
def test_a_url_is_taken_apart(url: str, where: str, path: str, private: bool) -> None:
    client = HttpClient(url, timeout=1)

    assert (client.where, client.path, client.private) == (where, path, private)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example.com",
        "ftp://hooks.example.com/",
        "file:///etc/passwd",
        "http://",
        "http:///x",
        "http://hooks.example.com:0/",
        "http://hooks.example.com:99999/",
        "http://hooks.example.com:x/",
        "http://[::1/",
        "http://hooks.example.com/a b",
        "http://hooks.example.com/\r\nHost: x",
        "http://h\u00f6oks.example.com/",
        "http://" + "a" * 70 + ".example.com/",
        "http://me@hooks.example.com/",
        "http://me:pw@hooks.example.com/",
        "http://:pw@hooks.example.com/",
    ],
)
def test_a_url_that_cannot_be_used_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UsageError, match=r"^url: must") as caught:
        HttpClient(url, timeout=1)

    assert "hooks" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("", None),
        ("12", 12.0),
        (" 1.5 ", 1.5),
        ("-1", 0.0),
        ("inf", None),
        ("1e999", None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Thu, 01 Jan 1970 00:00:00", 0.0),
        ("Thu, 99 Foo 1970", None),
        ("\u0663", 3.0),
    ],
)
def test_how_long_to_wait(text: str | None, seconds: float | None) -> None:
    headers = http.client.HTTPMessage()
    if text is not None:
        headers["retry-after"] = text

    assert isinstance(headers, email.message.Message)
    assert Answer(503, headers, b"").retry_after() == seconds
