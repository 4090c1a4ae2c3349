"""The bulk interface, against a server that keeps documents with versions as Elasticsearch and OpenSearch do."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sink_servers import Reply, Request, WebServer, delivery
from tidewaiter import sink
from tidewaiter.errors import SinkError
from tidewaiter.sinks import elasticsearch


class Index:
    """Documents by id, each with its version; `refusals` says what documents of some ids are answered."""

    def __init__(self) -> None:
        self.documents: dict[str, tuple[int, dict[str, Any]]] = {}
        self.refusals: dict[str, list[tuple[int, str]]] = {}
        self.sizes: list[int] = []

    def bulk(self, request: Request, handler: object) -> Reply:
        lines = request.body.split(b"\n")
        assert lines.pop() == b""
        assert request.headers["content-type"] == "application/x-ndjson"
        items = [self._item(json.loads(lines[at])["index"], json.loads(lines[at + 1])) for at in range(0, len(lines), 2)]
        self.sizes.append(len(items))
        told = {"took": 1, "errors": any(item["index"]["status"] >= 300 for item in items), "items": items}
        return Reply(200, json.dumps(told).encode())

    def _item(self, action: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
        name, version = action["_id"], action["version"]
        assert action["version_type"] == "external_gte"
        if self.refusals.get(name):
            status, kind = self.refusals[name].pop(0)
            return {"index": {"_id": name, "status": status, "error": {"type": kind, "reason": f"{document}"}}}
        if name in self.documents and self.documents[name][0] > version:
            error = {"type": "version_conflict_engine_exception", "reason": "newer"}
            return {"index": {"_id": name, "status": 409, "error": error}}
        status = 200 if name in self.documents else 201
        self.documents[name] = (version, document)
        return {"index": {"_id": name, "_index": action["_index"], "status": status}}


@pytest.fixture
def index(web: WebServer) -> Index:
    made = Index()
    web.otherwise = made.bulk
    return made


@pytest.fixture
def search(tmp_path: Path, web: WebServer) -> Iterator[sink.Sink]:
    made = opened(tmp_path, web)
    yield made
    made.close()


def opened(folder: Path, web: WebServer, **more: Any) -> sink.Sink:
    table = {"type": "elasticsearch", "url": web.url, "timeout": 1.0, **more}
    return sink.opened(table, "sink 1", base=folder, state=folder).sink


def test_updates_replace_and_late_repetitions_change_nothing(search: sink.Sink, index: Index) -> None:
    first = delivery(1, identity="aa")
    second = delivery(2, identity="aa", revision=2, change="update", severity="high")
    search.deliver([first, delivery(3, identity="bb")])
    search.deliver([second])
    search.deliver([first])  # a repetition after the fact: answered 409, which is success

    assert {name: version for name, (version, _) in index.documents.items()} == {"aa": 2, "bb": 1}
    assert index.documents["aa"][1]["tidewaiter"]["severity"] == "high"


def test_a_withdrawn_record_stays_and_says_so(search: sink.Sink, index: Index) -> None:
    search.deliver([delivery(1, identity="aa")])
    search.deliver([delivery(2, identity="aa", revision=2, change="withdrawn", superseded_by="bb")])
    version, document = index.documents["aa"]

    assert version == 2
    assert document["tidewaiter"] == {"change": "withdrawn", "revision": 2, "superseded_by": "bb", "sequence": 2, "id": "aa"}
    assert document["@timestamp"] == "2026-01-02T10:00:00Z"


def test_documents_are_in_the_common_schema(search: sink.Sink, index: Index) -> None:
    row = delivery(1, identity="aa")
    assert row.transfer is not None
    row.transfer.src.ip = "not an address"
    row.transfer.file.sha256 = "ab" * 32
    search.deliver([row])
    document = index.documents["aa"][1]

    assert document["event"]["kind"] == "alert"
    assert document["event"]["id"] == "aa"
    assert document["host"] == {"name": "WS01.example.com", "ip": "192.0.2.10"}
    assert document["file"] == {"name": "a.exe", "path": "C:\\Temp\\a.exe", "hash": {"sha256": "ab" * 32}}
    assert document["url"] == {"original": "http://files.example.com/a.exe"}
    assert document["source"] == {"address": "not an address"}  # a text; what is no address is no `ip` ...
    assert document["tidewaiter"]["src"]["ip"] == "not an address"  # ... and not lost


def test_documents_can_be_the_plain_record(tmp_path: Path, web: WebServer, index: Index) -> None:
    made = opened(tmp_path, web, document="plain", index="files-brought-in")
    row = delivery(1, identity="aa")
    made.deliver([row])
    made.close()
    document = index.documents["aa"][1]

    assert document.pop("@timestamp") == "2026-01-02T10:00:00Z"
    assert document == sink.record(row)
    assert json.loads(web.requests[0].body.split(b"\n")[0])["index"]["_index"] == "files-brought-in"


@pytest.mark.parametrize(
    ("status", "retry"), [(429, True), (503, True), (403, True), (404, True), (400, False)], ids=lambda value: str(value)
)
def test_a_document_that_is_refused_says_whether_to_try_again(
    search: sink.Sink, index: Index, status: int, retry: bool
) -> None:
    index.refusals["bb"] = [(status, "some_exception")]
    rows = [delivery(1, identity="aa"), delivery(2, identity="bb"), delivery(3, identity="cc")]
    with pytest.raises(SinkError, match=f"tidewaiter-transfers: {status} some_exception$") as caught:
        search.deliver(rows)
    search.deliver(rows)

    assert caught.value.retry is retry
    assert "certutil" not in str(caught.value)  # the server's reason quotes the document
    assert set(index.documents) == {"aa", "bb", "cc"}


def test_what_may_pass_by_itself_comes_before_what_never_will(search: sink.Sink, index: Index) -> None:
    index.refusals = {"aa": [(400, "mapper_parsing_exception")] * 2, "bb": [(429, "es_rejected_execution_exception")]}
    rows = [delivery(1, identity="aa"), delivery(2, identity="bb")]
    with pytest.raises(SinkError) as first:
        search.deliver(rows)
    with pytest.raises(SinkError) as second:
        search.deliver(rows)

    assert (first.value.retry, second.value.retry) == (True, False)


@pytest.mark.parametrize(
    ("reply", "retry"),
    [
        (Reply(503), True),
        (Reply(401), True),
        (Reply(413), False),
        (Reply(200, b"<html>login</html>"), True),
        (Reply(200, b'{"errors":false,"items":[]}'), True),
        (Reply(200, b'{"errors":"no"}'), True),
    ],
    ids=lambda value: str(getattr(value, "status", value)),
)
def test_an_answer_about_the_whole_request(search: sink.Sink, web: WebServer, reply: Reply, retry: bool) -> None:
    web.script.append(reply)
    with pytest.raises(SinkError) as caught:
        search.deliver([delivery()])

    assert caught.value.retry is retry


def test_a_large_batch_goes_in_several_requests(search: sink.Sink, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elasticsearch, "LARGEST_REQUEST", 10_000)
    search.deliver([delivery(number) for number in range(30)])

    assert sum(index.sizes) == 30
    assert len(index.sizes) > 3


@pytest.mark.parametrize(
    ("files", "more", "header"),
    [
        ({"p": "hunter2"}, {"username": "me", "password_file": "p"}, f"Basic {base64.b64encode(b'me:hunter2').decode()}"),
        ({"k": "aWQ6a2V5"}, {"api_key_file": "k"}, "ApiKey aWQ6a2V5"),
    ],
)
def test_who_we_are(
    tmp_path: Path, web: WebServer, index: Index, files: dict[str, str], more: dict[str, str], header: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    made = opened(tmp_path, web, url=f"{web.url}/behind/", **more)
    made.deliver([delivery()])
    made.close()

    assert web.requests[0].headers["authorization"] == header
    assert web.requests[0].path == "/behind/_bulk"
    assert header not in str(vars(made))
