"""Webhooks against a real server that fails in every way it can."""

from __future__ import annotations

import hashlib
import hmac
import http.server
import json
import re
import socket
import struct
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from sink_servers import Reply, Request, WebServer, delivery
from tidewaiter import sink
from tidewaiter.errors import SinkError
from tidewaiter.transport import http as transport


def webhook(folder: Path, url: str, **more: Any) -> sink.Sink:
    table = {"type": "webhook", "url": url, "timeout": 1.0, **more}
    return sink.opened(table, "sink 1", base=folder, state=folder).sink


@pytest.fixture
def hook(tmp_path: Path, web: WebServer) -> Iterator[sink.Sink]:
    made = webhook(tmp_path, f"{web.url}/in/s3cret-path?x=1")
    yield made
    made.close()


def test_a_change_is_one_request_with_its_keys(hook: sink.Sink, web: WebServer) -> None:
    hook.deliver([delivery(1, identity="aa")])
    hook.deliver([delivery(2, identity="aa", revision=2, change="update")])
    hook.deliver([delivery(3, identity="aa", revision=3, change="withdrawn", superseded_by="bb")])
    keys = [request.headers["idempotency-key"] for request in web.requests]
    told = [json.loads(request.body) for request in web.requests]

    assert keys == ["aa", "aa:2", "aa:3"]
    assert [request.path for request in web.requests] == ["/in/s3cret-path?x=1"] * 3
    assert [request.headers["tidewaiter-change"] for request in web.requests] == ["new", "update", "withdrawn"]
    assert [(one["id"], one["revision"], one["change"], one["superseded_by"]) for one in told] == [
        ("aa", 1, "new", None),
        ("aa", 2, "update", None),
        ("aa", 3, "withdrawn", "bb"),
    ]
    assert told[0]["process"]["command_line"].startswith("certutil")
    assert web.connections == 1
    assert "authorization" not in web.requests[0].headers
    assert "tidewaiter-signature" not in web.requests[0].headers


def test_a_request_is_signed_and_carries_the_token(tmp_path: Path, web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("k\u00eby\n")
    monkeypatch.setenv("HOOK_TOKEN", "hunter2")
    made = webhook(tmp_path, web.url, secret_file="secret", token_env="HOOK_TOKEN", headers={"X-Team": "blue"})
    before = int(time.time())
    made.deliver([delivery()])
    made.close()
    request = web.requests[0]
    match = re.fullmatch(r"t=(\d+),v1=([0-9a-f]{64})", request.headers["tidewaiter-signature"])
    assert match is not None
    moment, given = match.groups()
    expected = hmac.new("k\u00eby".encode(), moment.encode() + b"." + request.body, hashlib.sha256).hexdigest()

    assert given == expected
    assert before <= int(moment) <= time.time()
    assert request.headers["authorization"] == "Bearer hunter2"
    assert request.headers["x-team"] == "blue"


@pytest.mark.parametrize(
    ("reply", "retry", "after"),
    [
        (Reply(500), True, None),
        (Reply(503, headers=(("Retry-After", "7"),)), True, 7.0),
        (Reply(429, headers=(("retry-after", "0.5"),)), True, 0.5),
        (Reply(429, headers=(("Retry-After", "soon"),)), True, None),
        (Reply(429, headers=(("Retry-After", "nan"),)), True, None),
        (Reply(429, headers=(("Retry-After", "-3"),)), True, 0.0),
        (Reply(408), True, None),
        (Reply(401), True, None),
        (Reply(403), True, None),
        (Reply(302, headers=(("Location", "http://198.51.100.9/"),)), True, None),
        (Reply(307, headers=(("Location", "/elsewhere"),)), True, None),
        (Reply(400), False, None),
        (Reply(404), False, None),
        (Reply(413), False, None),
        (Reply(422), False, None),
    ],
    ids=lambda value: str(getattr(value, "status", value)),
)
def test_an_answer_says_whether_to_try_again(
    hook: sink.Sink, web: WebServer, reply: Reply, retry: bool, after: float | None
) -> None:
    web.script.append(reply)
    with pytest.raises(SinkError, match=str(reply.status)) as caught:
        hook.deliver([delivery()])

    assert (caught.value.retry, caught.value.after) == (retry, after)
    assert len(web.requests) == 1  # no redirect was followed
    assert "s3cret" not in str(caught.value)
    hook.deliver([delivery()])


def test_a_date_to_wait_for_is_understood(hook: sink.Sink, web: WebServer) -> None:
    web.script.append(Reply(503, headers=(("Retry-After", formatdate(time.time() + 90, usegmt=True)),)))
    with pytest.raises(SinkError) as caught:
        hook.deliver([delivery()])

    assert caught.value.after is not None
    assert 80 < caught.value.after <= 90


def hang(request: Request, handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.connection.settimeout(5)
    handler.connection.recv(1)


def drip(request: Request, handler: http.server.BaseHTTPRequestHandler) -> None:
    """A byte now and then, for ever: no single wait is too long."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(100):
        handler.wfile.write(b"x")
        time.sleep(0.1)


def reset(request: Request, handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def nonsense(request: Request, handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"220 mail.example.com ESMTP\r\n\r\n")


def half(request: Request, handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc")


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [(hang, "no answer in time"), (drip, "no answer in time"), (reset, "reset"), (nonsense, "no HTTP"), (half, "no HTTP")],
)
def test_a_server_that_breaks_off_is_tried_again(
    tmp_path: Path, web: WebServer, behaviour: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = webhook(tmp_path, f"{web.url}/s3cret", timeout=0.3)
    web.script += [behaviour]
    begun = time.monotonic()
    with pytest.raises(SinkError, match=said) as caught:
        made.deliver([delivery()])

    assert caught.value.retry
    assert str(caught.value).startswith(f"{web.url}: ")
    assert "s3cret" not in str(caught.value)
    assert time.monotonic() - begun < 8
    made.deliver([delivery()])
    made.close()
    assert [request.headers["idempotency-key"] for request in web.requests] == [delivery().id] * 2


def test_an_answer_without_end_is_not_read_to_its_end(hook: sink.Sink, web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "LARGEST_ANSWER", 10_000)
    web.script.append(Reply(200, b"x" * 20_000))
    with pytest.raises(SinkError, match="no HTTP"):
        hook.deliver([delivery()])


def test_a_connection_that_the_server_closed_meanwhile_is_opened_again(hook: sink.Sink, web: WebServer) -> None:
    def last(request: Request, handler: http.server.BaseHTTPRequestHandler) -> Reply:
        handler.close_connection = True  # without saying so in a header
        return Reply()

    web.script.append(last)
    hook.deliver([delivery(1)])
    time.sleep(0.05)
    hook.deliver([delivery(2)])

    assert [request.headers["idempotency-key"] for request in web.requests] == [f"{1:016x}", f"{2:016x}"]
    assert web.connections == 2


def test_nobody_there_is_tried_again(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    made = webhook(tmp_path, f"http://127.0.0.1:{port}/s3cret")
    with pytest.raises(SinkError, match=f"127.0.0.1:{port}: Connection refused") as caught:
        made.deliver([delivery()])

    assert caught.value.retry


def test_a_proxy_of_the_environment_is_not_used(tmp_path: Path, web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    made = webhook(tmp_path, web.url)
    made.deliver([delivery()])
    made.close()

    assert len(web.requests) == 1


def test_tls_is_verified_against_the_given_authority(tmp_path: Path, certificates: Path) -> None:
    with WebServer(tls=(certificates / "server.pem", certificates / "server.key")) as web:
        good = webhook(tmp_path, web.url, ca_file=str(certificates / "ca.pem"))
        good.deliver([delivery()])
        good.close()
        for wrong in ({"ca_file": str(certificates / "other.pem")}, {}):
            bad = webhook(tmp_path, web.url, **wrong)
            with pytest.raises(SinkError, match="its certificate is not trusted") as caught:
                bad.deliver([delivery()])
            assert caught.value.retry
        assert len(web.requests) == 1


def test_tls_is_verified_against_the_name(tmp_path: Path, certificates: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with WebServer(tls=(certificates / "server.pem", certificates / "server.key")) as web:
        bad = webhook(tmp_path, f"https://127.0.0.2:{web.port}/", ca_file=str(certificates / "ca.pem"))
        create = socket.create_connection  # the server listens on 127.0.0.1 alone, so the way there is bent
        monkeypatch.setattr(socket, "create_connection", lambda to, *rest: create(("127.0.0.1", to[1]), *rest))
        with pytest.raises(SinkError, match="not trusted"):
            bad.deliver([delivery()])
        assert web.requests == []


def test_no_error_and_no_repr_shows_a_secret(tmp_path: Path, web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_URL", f"{web.url}/services/hunter2")
    monkeypatch.setenv("HOOK_TOKEN", "hunter3")
    made = webhook(tmp_path, "", url_env="HOOK_URL", token_env="HOOK_TOKEN", secret_env="HOOK_TOKEN")
    web.script += [Reply(500), Reply(400), reset, reset]  # a connection that was open already is tried twice
    said = [repr(made), str(vars(made))]
    for _ in range(3):
        with pytest.raises(SinkError) as caught:
            made.deliver([delivery()])
        said += [str(caught.value), repr(caught.value)]
    made.close()

    assert web.requests[0].path == "/services/hunter2"
    assert [text for text in said if "hunter" in text] == []


def test_the_check_of_a_signature_that_the_page_shows_is_right(tmp_path: Path, web: WebServer) -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "sinks.md").read_text(encoding="utf-8")
    shown: dict[str, Any] = {}
    exec(page.partition("```python\n")[2].partition("```")[0], shown)
    (tmp_path / "secret").write_text("hunter2")
    made = webhook(tmp_path, web.url, secret_file="secret")
    made.deliver([delivery()])
    made.close()
    header, body = web.requests[0].headers["tidewaiter-signature"], web.requests[0].body

    assert shown["is_ours"](header, body, b"hunter2")
    assert not shown["is_ours"](header, body + b" ", b"hunter2")
    assert not shown["is_ours"](header, body, b"hunter3")
    assert not shown["is_ours"](header.replace("t=1", "t=2"), body, b"hunter2")
