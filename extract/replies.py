"""Strict readers of stored bodies, and translation of their errors.

An office can send anything. A body either has the expected structure or raises an `UnreadableError` that names the
file; `reading` adds what only the caller knows: dataset, URL and next step. Limits: `extract.limits`.
"""

from __future__ import annotations

import csv
import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from xml.etree import ElementTree

import duckdb

from extract.errors import BadReplyError
from extract.limits import MOST_HEADER_BYTES, MOST_LEVELS, MOST_TEXT_BYTES
from extract.streams import ArchiveError

LOOK = "look at the reply in the raw store; if the office changed it, adapt the module in extract/offices"
# Exceptions of readers. The second line arises from unvalidated structures: it may be an error in this code, and the
# exception chain shows where.
UNREADABLE: tuple[type[Exception], ...] = (
    *(ValueError, ArithmeticError, RecursionError, EOFError, ArchiveError),
    *(LookupError, TypeError, AttributeError),
    *(csv.Error, duckdb.Error, zipfile.BadZipFile, zlib.error, ElementTree.ParseError),
)
_USUAL_LEVELS = 8
_NOT_BRACKETS = bytes({*range(256)} - {*b"[]{}"})
# Surrogates, which may be unpaired, and the null character.
_NO_TEXT = re.compile(r"\\u(?:[dD][89a-fA-F]|0000)")
Kind = TypeVar("Kind")


class UnreadableError(ValueError):
    """A body cannot be read, or is not what it should be.

    Parameters
    ----------
    problem : str
        The problem, in one sentence.
    path : Path or None
        The body; its name leads to the request.
    retryable : bool
        True if a retry may help: the body is truncated.
    """

    def __init__(self, problem: str, path: Path | None = None, *, retryable: bool = False) -> None:
        super().__init__(f"{problem} ({path})" if path else problem)
        self.problem = problem
        self.retryable = retryable


@contextmanager
def reading(dataset: str, kept: Callable[[], Sequence[tuple[str, str]]]) -> Iterator[None]:
    """Translate errors of reading replies into `BadReplyError`.

    Parameters
    ----------
    dataset : str
        Dataset code.
    kept : callable
        Returns URL and sha256 of the replies in question. Bodies are named by their hash, so that an error that names
        a file leads to its request; otherwise the last reply is reported.

    Raises
    ------
    BadReplyError
        Instead of any error of reading, with the URL in addition to the file.
    """
    try:
        yield
    except BadReplyError as error:
        meant = _meant(kept(), error.where)
        if error.where and not meant:
            raise
        where = f"{meant} (kept as {error.where})" if error.where else _last(kept())
        raise type(error)(
            error.problem, dataset=error.dataset, where=where, next_step=error.next_step or LOOK
        ) from error
    except UNREADABLE as error:
        raise BadReplyError(
            f"a reply cannot be parsed: {in_words(error)}",
            dataset=dataset,
            where=_last([pair for pair in kept() if pair[1] and pair[1] in str(error)] or kept()),
            next_step=LOOK,
        ) from error


def in_words(error: Exception) -> str:
    """Return the first line of an error's message, with its type for errors of libraries."""
    text = (str(error).splitlines() or [""])[0][:400]
    return text if isinstance(error, UnreadableError | ArchiveError) else f"{type(error).__name__}: {text}"


def _meant(kept: Sequence[tuple[str, str]], text: str) -> str:
    """Return the URL of the reply whose file a text names; empty if the text names the URL itself."""
    return next((url for url, sha256 in kept if sha256 and sha256 in text and url not in text), "")


def _last(kept: Sequence[tuple[str, str]]) -> str:
    """Return URL and hash of the last reply that has a body."""
    return next((f"{url} (sha256 {sha256})" for url, sha256 in reversed(kept) if sha256), "no reply was read")


def read_bytes(path: Path) -> bytes:
    """Return a whole body.

    Raises
    ------
    UnreadableError
        If it is too large.
    """
    size = path.stat().st_size
    if size > MOST_TEXT_BYTES:
        raise UnreadableError(f"{size:,} bytes are more than the {MOST_TEXT_BYTES:,} of a reply of this kind", path)
    return path.read_bytes()


def read_text(path: Path) -> str:
    """Return a body as text, without a byte order mark.

    Raises
    ------
    UnreadableError
        If it is too large, or not UTF-8.
    """
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableError(f"the reply is not UTF-8 (at byte {error.start:,})", path) from error


def is_nested_deeply(body: bytes) -> bool:
    """True if JSON is nested deeper than any reply; detected without a parser, as parsers crash on it.

    Each round removes the innermost pairs of brackets. The rest are outer levels and unpaired brackets in texts, which
    are never that many.
    """
    brackets = body.translate(None, _NOT_BRACKETS)
    for _ in range(_USUAL_LEVELS):
        brackets = brackets.replace(b"{}", b"").replace(b"[]", b"")
    return len(brackets) > 2 * MOST_LEVELS


def is_flat(body: bytes) -> bool:
    """True if a page of rows has no list or object in a row and no bracket in a text."""
    return body.translate(None, _NOT_BRACKETS).replace(b"{}", b"") == b"{[]}"


def read_json(path: Path) -> Any:
    """Return a body as JSON, strictly.

    Raises
    ------
    UnreadableError
        If it is not JSON, is nested too deeply, or has a duplicate member, a non-JSON number or an invalid text.
    """
    text = read_text(path)
    if is_nested_deeply(text.encode()):
        raise UnreadableError(f"the JSON is nested more than {MOST_LEVELS} levels deep", path)

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise UnreadableError(f"the JSON has a member twice: {twice[:100]!r}", path)
        return members

    def no_constant(name: str) -> float:
        raise UnreadableError(f"{name} is not a JSON number", path)

    try:
        content = json.loads(text, object_pairs_hook=once, parse_constant=no_constant)
    except json.JSONDecodeError as error:
        raise UnreadableError(f"the JSON is cut off or broken ({error})", path, retryable=True) from error
    except UnreadableError:
        raise
    except (ValueError, RecursionError) as error:
        # An integer of thousands of digits, which Python refuses.
        raise UnreadableError(f"the JSON cannot be read ({error})", path) from error
    if _NO_TEXT.search(text):
        try:
            is_text = "\\u0000" not in json.dumps(content, ensure_ascii=False).encode().decode()
        except UnicodeEncodeError:
            is_text = False
        if not is_text:
            raise UnreadableError("the JSON has a text with a lone surrogate or a null character", path)
    return content


def read_object(path: Path) -> dict[str, Any]:
    """Return a body that is a JSON object.

    Raises
    ------
    UnreadableError
        If it is anything else.
    """
    return of_kind(read_json(path), dict, "the reply", path)


def read_rows(path: Path, *required: str) -> list[dict[str, Any]]:
    """Return the ``value`` rows of an OData reply.

    Parameters
    ----------
    required : str
        Fields that each row must have, as text.

    Raises
    ------
    UnreadableError
        If it has no such rows.
    """
    rows = member(read_object(path), "value", list, path)
    for row in rows:
        of_kind(row, dict, "a row", path)
        for name in required:
            member(row, name, str, path)
    return rows


def member(content: Mapping[str, Any], name: str, kind: type[Kind], path: Path, default: Kind | None = None) -> Kind:
    """Return a member of a JSON object, which must be of this type; `default` where it is absent.

    Raises
    ------
    UnreadableError
        If it is of another type, or absent without a default.
    """
    if name not in content and default is not None:
        return default
    if name not in content:
        raise UnreadableError(f"the reply has another shape: it lacks {name!r}", path)
    return of_kind(content[name], kind, repr(name), path)


def of_kind(value: Any, kind: type[Kind], what: str, path: Path) -> Kind:
    """Return a value that must be of this type.

    Raises
    ------
    UnreadableError
        If it is not.
    """
    # In Python, True is an integer.
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise UnreadableError(
            f"the reply has another shape: {what} is {type(value).__name__}, not {kind.__name__}", path
        )
    return value


class _Plain(ElementTree.TreeBuilder):
    """Tree builder that rejects a document type before its entities are read: entities can expand endlessly."""

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        raise UnreadableError(f"the XML declares a document type ({name[:100]!r}); none is expected")


def read_xml(path: Path) -> ElementTree.Element:
    """Return the root of an XML body.

    Raises
    ------
    UnreadableError
        If it is not XML, is too large, or declares a document type.
    """
    parser = ElementTree.XMLParser(target=_Plain())  # noqa: S314 - see `_Plain`
    try:
        parser.feed(read_bytes(path))
        root = parser.close()
    except ElementTree.ParseError as error:
        raise UnreadableError(f"the XML is cut off or broken ({error})", path, retryable=True) from error
    except UnreadableError as error:
        raise UnreadableError(error.problem, path) from error
    except (LookupError, ValueError) as error:
        raise UnreadableError(f"the XML is in an encoding that is not known ({error})", path) from error
    return of_kind(root, ElementTree.Element, "the XML", path)


def csv_fields(line: str) -> list[str]:
    """Return the fields of one line of CSV."""
    return next(csv.reader([line[:MOST_HEADER_BYTES]]), [])
