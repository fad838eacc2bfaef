"""Atom, the XML form of OData v3: feeds, entries and service documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from common.sql import quote
from simulator.reply import Reply

_DATA_NAMESPACE = "http://schemas.microsoft.com/ado/2007/08/dataservices"
_META_NAMESPACE = f"{_DATA_NAMESPACE}/metadata"


def feed(root: str, resource: str, entries: str, link: str | None = None) -> Reply:
    """Return a feed of entries; ``link`` is the address of the next page."""
    following = "" if link is None else f'<link rel="next" href="{escape(link, {chr(34): "&quot;"})}" />'
    text = (
        '<?xml version="1.0" encoding="utf-8"?>'
        f'<feed xml:base="{root}" xmlns="http://www.w3.org/2005/Atom" xmlns:d="{_DATA_NAMESPACE}" '
        f'xmlns:m="{_META_NAMESPACE}"><id>{root}/{resource}</id><title type="text">{resource}</title>'
        f"<updated>1970-01-01T00:00:00Z</updated>{entries}{following}</feed>"
    )
    return Reply(text.encode(), "application/atom+xml; charset=utf-8")


def service_document(root: str, names: list[str]) -> Reply:
    """Return the list of the collections under ``root``."""
    collections = "".join(f'<collection href="{name}"><atom:title>{name}</atom:title></collection>' for name in names)
    text = (
        '<?xml version="1.0" encoding="utf-8"?>'
        f'<service xml:base="{root}" xmlns="http://www.w3.org/2007/app" xmlns:atom="http://www.w3.org/2005/Atom">'
        f"<workspace><atom:title>Default</atom:title>{collections}</workspace></service>"
    )
    return Reply(text.encode(), "application/atomsvc+xml; charset=utf-8")


def entry(resource: str, record: Mapping[str, Any]) -> str:
    """Return the entry of a record of metadata."""
    return _entry(resource, "".join(_element(*pair) for pair in record.items()))


def _entry(resource: str, properties: str) -> str:
    return (
        f'<entry><category term="Cbs.OData.WebAPI.{resource}" scheme="{_DATA_NAMESPACE}/scheme" />'
        "<id /><title /><updated>1970-01-01T00:00:00Z</updated><author><name /></author>"
        f'<content type="application/xml"><m:properties>{properties}</m:properties></content></entry>'
    )


def _element(name: str, value: Any) -> str:
    name = name.replace("odata.type", "odata_type")
    if value is None:
        return f'<d:{name} m:null="true" />'
    if isinstance(value, bool):
        return f'<d:{name} m:type="Edm.Boolean">{str(value).lower()}</d:{name}>'
    if isinstance(value, int):
        return f'<d:{name} m:type="Edm.Int32">{value}</d:{name}>'
    return f'<d:{name} xml:space="preserve">{escape(value)}</d:{name}>'


def field_sql(name: str, sql: str, kind: str) -> str:
    """Return the SQL of a property of an entry; ``sql`` is its value, ``kind`` its EDM type."""
    if kind == "Edm.String":
        # Leading and trailing blanks are significant; without the attribute a reader may drop them.
        return f"""'<d:{name} xml:space="preserve">' || {sql} || '</d:{name}>'"""
    full = f"""'<d:{name} m:type="{kind}">' || {sql} || '</d:{name}>'"""
    return f"""coalesce({full}, '<d:{name} m:type="{kind}" m:null="true" />')"""


def entry_sql(resource: str, fields: str) -> str:
    """Return the SQL of an entry; ``fields`` is the SQL of its properties."""
    before, after = _entry(resource, "\0").split("\0")
    return f"{quote(before)} || {fields} || {quote(after)}"
