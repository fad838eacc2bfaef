"""Mutations of a reply: each returns a broken version of a good body, deterministic for a seed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

Mutator = Callable[[random.Random, bytes], bytes]
Place = tuple[Any, Any]

_STRANGE_NUMBERS = (
    "NaN",
    "Infinity",
    "-1e999",
    "1e999",
    "9" * 400,
    "9" * 5000,
    '"x"',
    '""',
    "null",
    "true",
    "[]",
    "{}",
)
_STRANGE: tuple[Any, ...] = (None, True, 0, -1, 1.5, 10**30, "", "x", "\x00", [], {}, [None], [[]], {"a": 1}, "\ud800")
_MARK = "@@here@@"


def flip(rng: random.Random, body: bytes) -> bytes:
    """Flip some bits."""
    changed = bytearray(body)
    for _ in range(rng.choice((1, 1, 2, 20))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut(rng: random.Random, body: bytes) -> bytes:
    """Truncate the end."""
    return body[: rng.randrange(len(body))]


def behead(rng: random.Random, body: bytes) -> bytes:
    """Truncate the start."""
    return body[rng.randrange(1, len(body) + 1) :]


def remove(rng: random.Random, body: bytes) -> bytes:
    """Remove some bytes in the middle."""
    start = rng.randrange(len(body))
    return body[:start] + body[start + rng.choice((1, 2, 10, 100)) :]


def repeat(rng: random.Random, body: bytes) -> bytes:
    """Repeat a range of bytes."""
    start = rng.randrange(len(body))
    end = min(len(body), start + rng.choice((1, 5, 50, 500, len(body))))
    return body[:end] + body[start:]


def insert(rng: random.Random, body: bytes) -> bytes:
    """Insert bytes that are invalid in text, or that may trip a parser."""
    place = rng.choice((0, 0, len(body), rng.randrange(len(body))))
    pieces = (
        b"\x00",
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"\xff",
        b"\xc3",
        b"\r",
        b"\n",
        b'"',
        b"\t",
        b"<",
        b"\\ud800",
        b"\\u0000",
    )
    return body[:place] + rng.choice(pieces) + body[place:]


def recode(rng: random.Random, body: bytes) -> bytes:
    """Change the encoding."""
    encoding = rng.choice(("utf-16", "utf-16-be", "utf-32", "utf-7", "utf-8-sig", "cp037"))
    return body.decode("utf-8", "replace").encode(encoding, "replace")


def as_page(rng: random.Random, body: bytes) -> bytes:
    """Wrap the body in an HTML page, or send another page."""
    pages = (
        b"<html><body>" + body + b"</body></html>",
        b"<!doctype html><p>maintenance",
        b" " * 5000 + body,
    )
    return rng.choice(pages)


def another_kind(rng: random.Random, body: bytes) -> bytes:
    """Send a body that is well formed but of another kind."""
    return rng.choice(
        (
            *(
                b"[]",
                b"{}",
                b"null",
                b"0",
                b'""',
                b"NaN",
                b"[1]",
                b'[{"value": []}]',
                b'{"value": null}',
                b'{"value": {}}',
            ),
            *(b'{"value": [null]}', b'{"value": [[]]}', b'{"value": [1]}', b'{"value": "x"}', b'{"error": null}'),
            *(
                b'{"error": []}',
                b'{"warning": []}',
                b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
                b'{"value": ' + b"[" * 200_000,
            ),
            *(b'{"error": ' + b"[" * 9000, b"<a/>", b"<a>" * 1000 + b"</a>" * 1000, b"<Structure>", b"<Structure/>"),
            *(
                b"a,b\n1,2\n",
                b"a\tb\n",
                b",\n,\n",
                b"PK\x03\x04",
                b"\x1f\x8b",
                b"7z\xbc\xaf\x27\x1c",
                b"9" * 5000,
                b"\n",
                b" ",
            ),
            *(
                b"DATAFLOW\n",
                b'"DATAFLOW\n',
                b"freq\\TIME_PERIOD\t\n",
                b"NAME\n",
                b"NAME,SIZE,DATE\n",
                b"NAME,SIZE,DATE\na\n",
            ),
            b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><Structure>&b;</Structure>',
            b'<?xml version="1.0" encoding="utf-7"?><Structure/>',
            b'<?xml version="1.0" encoding="none"?><Structure/>',
        )
    )


def drop_key(rng: random.Random, body: bytes) -> bytes:
    """Remove a member of a JSON object, or an element of a list."""

    def change(parent: Any, key: Any) -> None:
        del parent[key]

    return _in_json(rng, body, change)


def other_type(rng: random.Random, body: bytes) -> bytes:
    """Replace a JSON value with one of another type."""

    def change(parent: Any, key: Any) -> None:
        value = parent[key]
        turned = (
            [value],
            {"value": value},
            {str(n): v for n, v in enumerate(value)} if isinstance(value, list) else None,
        )
        parent[key] = rng.choice((*_STRANGE, *turned, list(value.items()) if isinstance(value, dict) else str(value)))

    return _in_json(rng, body, change)


def other_number(rng: random.Random, body: bytes) -> bytes:
    """Replace a JSON value with an unusable number."""

    def change(parent: Any, key: Any) -> None:
        parent[key] = _MARK

    changed = _in_json(rng, body, change)
    return changed.replace(f'"{_MARK}"'.encode(), rng.choice(_STRANGE_NUMBERS).encode())


def same_key_twice(rng: random.Random, body: bytes) -> bytes:
    """Repeat a JSON member with another value."""

    def change(parent: Any, key: Any) -> None:
        if isinstance(parent, dict):
            parent[_MARK + key] = rng.choice((1, None, "x", [], {}))

    return _in_json(rng, body, change).replace(_MARK.encode(), b"")


def nest(rng: random.Random, body: bytes) -> bytes:
    """Nest a JSON value deeply."""

    def change(parent: Any, key: Any) -> None:
        parent[key] = _MARK

    depth = rng.choice((100, 3000, 100_000))
    opened, closed = rng.choice(((b"[", b"]"), (b'{"a":', b"}")))
    return _in_json(rng, body, change).replace(f'"{_MARK}"'.encode(), opened * depth + b"1" + closed * depth)


def other_field(rng: random.Random, body: bytes) -> bytes:
    """Replace or remove a field of a text table."""
    for separator in (b"\t", b";", b","):
        if separator in body:
            fields = body.split(separator)
            place = rng.randrange(len(fields))
            fields[place : place + 1] = rng.choice(
                ([], [b""], [b"x"], [b'"'], [b"1e999"], [b"NaN"], [b"\x00"], [fields[place]] * 2)
            )
            return separator.join(fields)
    return body


JSON_MUTATORS: tuple[Mutator, ...] = (drop_key, other_type, other_number, same_key_twice, nest)
TEXT_MUTATORS: tuple[Mutator, ...] = (
    flip,
    cut,
    behead,
    remove,
    repeat,
    insert,
    recode,
    as_page,
    another_kind,
    other_field,
)
# These mutations leave no changed figure readable, so the landed rows are a subset of the good body's rows.
ADD_NO_ROWS = frozenset(m.__name__ for m in (cut, as_page, another_kind, *JSON_MUTATORS))


def fitting(body: bytes) -> tuple[Mutator, ...]:
    """Return the mutators that apply to a body."""
    is_json = body.lstrip(b"\xef\xbb\xbf ")[:1] == b"{"
    return (*TEXT_MUTATORS, *JSON_MUTATORS, *JSON_MUTATORS) if is_json else TEXT_MUTATORS


def _in_json(rng: random.Random, body: bytes, change: Callable[[Any, Any], None]) -> bytes:
    content = json.loads(body.decode("utf-8-sig"))
    places = list(_places(content))
    if places:
        # Pick outer places as often as the far more numerous inner ones.
        outer = [place for place in places if place[0] is content]
        change(*rng.choice(rng.choice((places, outer or places, places[: 1 + len(places) // 50]))))
    return json.dumps(content).encode()


def _places(content: Any) -> Iterator[Place]:
    items = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in items:
        yield content, key
        if isinstance(value, dict | list):
            yield from _places(value)
