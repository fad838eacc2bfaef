"""The published warehouse as read by the report."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import duckdb

from publish.report.texts import Text, name_of, same

UNITED_STATES = "US"
_OFFICE_NAMES = {"CBS": "CBS", "EUROSTAT": "Eurostat"}

Row = dict[str, Any]
# Source, concept, scope and reporter: a share is meaningless without them.
Key = tuple[str, str, str, str]
OF_VIEW = "source_code = ? and concept_code = ? and scope_code = ? and reporter_code = ?"


def office_name(code: str | None) -> str:
    """Return the name of a statistical office."""
    return _OFFICE_NAMES.get(code or "", code or "")


class Marts:
    """A published warehouse, or a candidate, behind a connection.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Connection to the file; read only.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._catalog = connection.execute("select current_database()").fetchall()[0][0]
        listed = connection.execute(
            "select table_schema || '.' || table_name from information_schema.tables where table_catalog = ?",
            [self._catalog],
        )
        self.tables = {row[0] for row in listed.fetchall()}

    def rows(self, sql: str, parameters: Iterable[object] = ()) -> list[Row]:
        """Run a query whose tables are qualified by schema (``marts.x``, ``ops.x``)."""
        # A file named marts.duckdb is a catalog named marts, which makes `marts.x` ambiguous in DuckDB.
        qualified = re.sub(r"\b(marts|ops)\.(?=\w)", rf'"{self._catalog}".\1.', sql)
        cursor = self._connection.execute(qualified, list(parameters))
        columns = [column[0] for column in cursor.description or ()]
        return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]


def read_names(marts: Marts) -> dict[str, Any]:
    """Read the names of everything the page can show, by code, in display order."""
    concepts = marts.rows("select * from marts.dim_concept order by source_code, concept_code")
    scopes = marts.rows(
        """
        select *, case when origin = 'user' then 'user' when is_metal then 'metal' else 'other' end as scope_group
        from marts.dim_metal_scope
        order by
            array_position(['metal', 'user', 'other'], scope_group), scope_code <> 'metal_core_hs', scope_code
        """
    )
    used = marts.rows(
        """
        select country_code, country_name_nl, country_name_en, destination_kind
        from marts.dim_country
        where
            country_code in (select destination_code from marts.rpt_destination_shares)
            or country_code in (select reporter_code from marts.rpt_destination_shares)
        order by country_code
        """
    )
    return {
        "concepts": {
            row["concept_code"]: {
                "name": name_of(row, "concept_name"),
                "definition": name_of(row, "definition"),
                "source": office_name(row["source_code"]),
                "includes_quasi_transit": row["includes_quasi_transit"],
            }
            for row in concepts
        },
        "scopes": {
            row["scope_code"]: {
                "name": name_of(row, "scope_name"),
                "description": name_of(row, "description"),
                "group": row["scope_group"],
            }
            for row in scopes
        },
        "countries": {row["country_code"]: name_of(row, "country_name") for row in used},
    }


def country_name(names: Mapping[str, Any], code: str) -> Text:
    """Return the name of a country; its code if it has none."""
    found: Text = names["countries"].get(code, same(code))
    return found
