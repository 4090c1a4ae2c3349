"""The field table covers exactly the fields of an event."""

from __future__ import annotations

import pytest

from tidewaiter.catalog.fields import load, parse_fields
from tidewaiter.errors import KnowledgeError
from tidewaiter.schema.event import Event

TYPES = {
    "EventKind": "string",
    "str": "string",
    "int": "integer",
    "bool": "boolean",
    "tuple[str, ...]": "string list",
    "dict[str, Any]": "object",
}


def test_the_table_names_the_fields_of_an_event_in_their_order_and_with_their_types() -> None:
    declared = [(name, TYPES[kind.removesuffix(" | None")]) for name, kind in Event.__annotations__.items()]

    assert [(field.name, field.type) for field in load()] == declared


def test_every_field_says_what_it_means() -> None:
    assert [field.name for field in load() if not field.says.strip()] == []


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('[[field]]\nname = "a"\ntype = "string"\nsays = "x"\ncolour = "red"', "$.field[0]"),
        ('[[field]]\nname = "a"\ntype = "float"\nsays = "x"', "$.field[0].type"),
        ('[[field]]\nname = "a"\ntype = "string"\nsays = "x"\n' * 2, "a"),
        ("[[field", "file"),
    ],
    ids=["unknown key", "unknown type", "twice", "no TOML"],
)
def test_a_wrong_table_is_refused_with_its_place(text: str, place: str) -> None:
    with pytest.raises(KnowledgeError) as caught:
        parse_fields(text, "fields.toml")

    assert (caught.value.file, caught.value.place) == ("fields.toml", place)
