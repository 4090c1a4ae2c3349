"""Objects that a script makes: streams, readers, encodings, string builders, URLs and files."""

from __future__ import annotations

import urllib.parse

from tidewaiter.reading.invocation import Word
from tidewaiter.reading.powershell_nodes import Node
from tidewaiter.reading.powershell_operators import unknown
from tidewaiter.reading.powershell_state import State
from tidewaiter.reading.powershell_static import (
    CODECS,
    codec_of,
    decode_text,
    encode_text,
    inflate,
    new_string,
    static_property,
    stream_data,
    to_bytes,
)
from tidewaiter.reading.powershell_text import METHODS, string_method, whole
from tidewaiter.reading.powershell_values import (
    Blend,
    Char,
    Instance,
    Table,
    Value,
    content_of,
    is_known,
    merge,
    to_list,
    to_text,
    to_word,
)

STREAMS = {"system.io.memorystream", "system.io.bufferedstream"}
COMPRESSED = {
    "system.io.compression.gzipstream": "gzip",
    "system.io.compression.deflatestream": "deflate",
    "system.io.compression.zlibstream": "zlib",
}
READERS = {"system.io.streamreader", "system.io.binaryreader", "system.io.stringreader", "system.io.textreader"}
LISTS = ("system.collections.arraylist", "system.collections.generic.", "system.collections.stack", "system.collections.queue")
LARGEST_BUFFER = 65_536


class Streams(State):
    """Making objects, and the methods of those that only hold data."""

    def words(self, arguments: list[Value]) -> list[Word]:
        """Arguments as words."""
        return [to_word(argument) for argument in arguments]

    def construct(self, type_name: str, arguments: list[Value], node: Node) -> Value:
        """A new object of a type."""
        spelled = self.spelled(node)
        construct = self.knowledge.types.construct
        first = arguments[0] if arguments else None
        if type_name == "system.string":
            return new_string(arguments, self.budget)
        if type_name == "system.uri":
            return self.absolute(first, arguments[1] if len(arguments) > 1 else None)
        if type_name in CODECS:
            return Instance("system.text.encoding", spelled, data=CODECS[type_name])
        if type_name.endswith("[]"):
            return (
                bytes(min(LARGEST_BUFFER, max(0, whole(first))))
                if "byte" in type_name
                else [None] * min(1_000, max(0, whole(first)))
            )
        if type_name.startswith(LISTS) and "dictionary" not in type_name:
            return list(to_list(first)) if type(first) in (list, bytes) else []
        if (
            type_name in ("system.collections.hashtable", "system.collections.specialized.ordereddictionary")
            or "dictionary" in type_name
        ):
            return Table()
        if type_name == "system.text.stringbuilder":
            return Instance(type_name, spelled, data=first if type(first) in (str, Blend) else "")
        if type_name in STREAMS or type_name in READERS or type_name in COMPRESSED:
            return self.stream(type_name, arguments, spelled)
        if type_name in construct.files:
            path = first.fields.get("path", first) if type(first) is Instance else first
            return Instance("system.io.filestream", spelled, {"path": path})
        made = Instance(type_name, spelled, content=list(content_of(arguments)))
        if type_name in construct.acts and arguments:
            made.content.append(self.emit_method(type_name + ".new", self.words(arguments), node))
        return made

    def stream(self, type_name: str, arguments: list[Value], spelled: str) -> Instance:
        """A stream or reader over what it reads from; compressed ones are inflated at once."""
        inner = stream_data(arguments[0]) if arguments else b""
        if type_name in COMPRESSED:
            content = to_bytes(inner)
            inner = unknown(inner) if content is None else inflate(content, COMPRESSED[type_name], self.budget)
        elif (
            type_name in READERS
            and len(arguments) > 1
            and type(arguments[1]) is Instance
            and (content := to_bytes(inner)) is not None
        ):
            inner = decode_text(codec_of(arguments[1]), [content], self.budget)
        elif type(inner) is list:
            inner = to_bytes(inner) or inner
        if type(inner) is Blend and not inner.text:
            inner.text = spelled
        return Instance(type_name, spelled, data=inner)

    def absolute(self, base: Value, relative: Value) -> Value:
        """A URL from a base address and what is relative to it."""
        if relative is None:
            return to_text(base) if is_known(base) else base
        if not is_known(base) or not is_known(relative):
            both = to_text(base) + to_text(relative) if "://" not in to_text(relative) else to_text(relative)
            return Blend(both, merge(content_of(base), content_of(relative)))
        try:
            return urllib.parse.urljoin(to_text(base), to_text(relative))
        except ValueError:
            return to_text(base) + to_text(relative)

    def encoding_call(self, target: Instance, name: str, arguments: list[Value]) -> Value:
        """A method of an encoding."""
        if name in ("getstring", "getchars"):
            text = decode_text(str(target.data), arguments, self.budget)
            return [Char(item) for item in text] if name == "getchars" and type(text) is str else text
        if name == "getbytes":
            return encode_text(str(target.data), arguments, self.budget)
        return static_property("system.text.encoding", "utf8") if name == "clone" else unknown(*arguments)

    def builder_call(self, target: Instance, name: str, arguments: list[Value]) -> Value:
        """A method of a string builder."""
        if name == "tostring":
            return target.data
        if name.startswith("append") and arguments:
            text = to_text(arguments[0]) + ("\r\n" if name == "appendline" else "")
            self.budget.grow(len(text))
            both = to_text(target.data) + text
            known = is_known(target.data) and is_known(arguments[0])
            target.data = both if known else Blend(both, merge(content_of(target.data), content_of(arguments[0])))
            return target
        if type(target.data) is str and name in METHODS:
            target.data = string_method(target.data, name, arguments, self.budget)
        return target

    def stream_call(self, target: Instance, name: str, arguments: list[Value], node: Node) -> Value:
        """A method of a stream or reader."""
        data = stream_data(target)
        if name in ("copyto", "copytoasync") and arguments:
            return self.copy_stream(target, arguments[0], node)
        if name in ("toarray", "getbuffer", "readbytes", "readallbytes"):
            return data
        if name.startswith("read"):
            return decode_text("utf-8", [data], self.budget) if type(data) is bytes else data
        if name.startswith("write") and arguments:
            added, before = to_bytes(arguments[0]), to_bytes(data)
            if added is not None and before is not None and not content_of(target):
                self.budget.grow(len(added))
                target.data = before + added
            else:
                target.data = unknown(target, arguments[0])
        return unknown(target) if name not in ("seek", "flush", "close", "dispose", "setlength", "write") else None

    def copy_stream(self, target: Instance, other: Value, node: Node) -> Value:
        """Stream.CopyTo: into memory, or into a file."""
        if type(other) is not Instance:
            return unknown(target, other)
        data = stream_data(target)
        if "path" in other.fields:
            self.emit_method("system.io.filestream.write", [to_word(other.fields["path"]), to_word(data)], node)
        elif is_known(data):
            other.data = data
        else:
            other.data = unknown(data, target)
            other.data.text = self.spelled(node)
        return None
