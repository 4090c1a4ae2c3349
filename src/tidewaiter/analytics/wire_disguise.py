"""Traffic content: what the content is does not fit its extension or the type that the server declares."""

from __future__ import annotations

from collections.abc import Iterable

from tidewaiter.baseline.flows import FlowBaseline
from tidewaiter.catalog import roles, wire
from tidewaiter.schema.carried import Carried


class Analytic:
    """Programs and scripts that call themselves pictures, texts or documents."""

    title = "Content that is not what it says"
    data_component = "DC0085 Network Traffic Content"

    def reasons(self, carried: Carried, usual: FlowBaseline) -> Iterable[tuple[str, str]]:
        """At most one reason. A script that calls itself text is none: it is text."""
        del usual
        content = wire.content_of(carried.content_type) if carried.content_type else None
        if content is None or content.kind not in ("executable", "script") or carried.outcome == "failed":
            return
        known = wire.load()
        name = (carried.name or carried.url or "").split("?", 1)[0]
        extension = roles.file_type(name.rsplit("/", 1)[-1])
        plain = content.kind == "script" and extension in _PLAIN_TEXT
        if extension in known.harmless and extension not in content.extensions and not plain:
            yield "disguised_content", f".{extension} holds {carried.seen_type[:60]}"
            return
        declared = (carried.declared_type or "").strip().lower()
        if (declared and content.kind == "executable" and declared.startswith(known.harmless_types)) or (
            declared and content.kind == "script" and declared.startswith(("image/", "audio/", "video/", "font/"))
        ):
            yield "disguised_content", f"declared {declared[:40]}, holds {carried.seen_type[:60]}"


_PLAIN_TEXT = frozenset({"html", "htm", "txt", "md", "xml", "json", "log", "csv"})
"""Extensions of texts: a script is one."""
