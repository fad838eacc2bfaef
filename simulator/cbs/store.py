"""Tables of a release in DuckDB: long for v4 and the bulk files, wide for v3; built at the first request."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import duckdb
import numpy as np

from common.sql import identifier, quote
from simulator.cbs.table import Table
from simulator.cbs.trade import CbsTrade
from simulator.release import Release

#: SQL by property of the columns of the long table that are not dimensions.
LONG_COLUMNS = {
    "Id": '"Id"',
    "Measure": '"Measure"',
    "ValueAttribute": '"ValueAttribute"',
    "Value": '"Value"',
    "StringValue": "cast(null as varchar)",
}


class Store:
    """Published numbers of all tables, by release.

    Parameters
    ----------
    trade
        Source of the numbers.
    connection
        Holds the tables. The least recently used ones are dropped above ``cells_kept`` cells in total.
    cells_kept
        Limit in cells: one per long row, one per measure of a wide row. A cell takes about 25 bytes.
    """

    def __init__(self, trade: CbsTrade, connection: duckdb.DuckDBPyConnection, cells_kept: int = 8_000_000) -> None:
        self.trade = trade
        self.partners = trade.economy.partners
        self.connection = connection
        self.cells_kept = cells_kept
        self._cells: OrderedDict[str, int] = OrderedDict()
        self._counts: dict[tuple[str, int], int] = {}

    def count(self, table: Table, release: Release) -> int:
        """Return the number of observations, without building the table."""
        key = (table.identifier, release.number)
        if key not in self._counts:
            cube = table.cube(self.trade, release)
            is_there = ~np.isnan(cube.values)
            if cube.impossible is not None:
                is_there |= cube.impossible
            self._counts[key] = int(np.count_nonzero(is_there))
        return self._counts[key]

    def observations(self, table: Table, release: Release) -> str:
        """Return the name of the long table: a row per published cell, in the order of the office.

        Columns ``Id``, ``Measure``, ``ValueAttribute``, ``Value`` (double) and one per dimension.
        """
        name = f"long_{table.identifier}_{release.number}"
        if self._is_kept(name):
            return identifier(name)
        cube = table.cube(self.trade, release)
        is_there = ~np.isnan(cube.values)
        if cube.impossible is not None:
            is_there |= cube.impossible
        *places, measure = np.nonzero(is_there)
        values = cube.values[is_there]
        self._counts[table.identifier, release.number] = len(values)
        columns: dict[str, Any] = {"Id": np.arange(len(values), dtype=np.int32), "Value": values}
        columns["Measure"] = measure.astype(np.int16)
        columns |= {
            dimension: place.astype(np.int16) for dimension, place in zip(table.dimension_names, places, strict=True)
        }
        del places, measure, is_there
        lists = {"Measure": [m.code for m in table.measures]} | {
            dimension: self.keys(table, dimension, release) for dimension in table.dimension_names
        }
        # Text columns are enumerations: a row takes 20 bytes instead of 90.
        attribute = "if(n.\"Value\" is null, 'Impossible', 'None')::enum('None', 'Impossible')"
        self._create(
            name,
            columns,
            lists,
            f'n."Id", {{Measure}}, {attribute} as "ValueAttribute", '
            'n."Value", ' + ", ".join(f"{{{dimension}}}" for dimension in table.dimension_names),
        )
        self._keep(name, len(values))
        return identifier(name)

    def wide(self, table: Table, release: Release) -> str:
        """Return the name of the wide table: a row per position in the grid of the dimensions, published or not.

        Columns ``ID`` (position in the grid, as the office numbers it), one per dimension (keys not padded) and one per
        topic.
        """
        name = f"wide_{table.identifier}_{release.number}"
        if self._is_kept(name):
            return identifier(name)
        cube = table.cube(self.trade, release).values
        size = int(np.prod(cube.shape[:-1]))
        columns: dict[str, Any] = {"ID": np.arange(size, dtype=np.int32)}
        stride = size
        for dimension, length in zip(table.dimension_names, cube.shape, strict=False):
            stride //= length
            columns[dimension] = ((columns["ID"] // stride) % length).astype(np.int16)
        flat = cube.reshape(size, -1)
        topics = []
        for m, measure in enumerate(table.measures):
            columns[measure.column] = np.ascontiguousarray(flat[:, m])
            column = identifier(measure.column)
            kind = "double" if measure.decimals else "bigint"
            topics.append(f"n.{column}::{kind} as {column}")
        lists = {dimension: self.keys(table, dimension, release) for dimension in table.dimension_names}
        dimensions = ", ".join(f"{{{dimension}}}" for dimension in table.dimension_names)
        self._create(name, columns, lists, f'n."ID", {dimensions}, {", ".join(topics)}')
        self._keep(name, size * len(table.measures))
        return identifier(name)

    def keys(self, table: Table, dimension: str, release: Release) -> list[str]:
        """Return the keys of a dimension, in order."""
        return [record["Identifier"] for record in table.codes(dimension, self.partners, release)]

    def _create(self, name: str, columns: dict[str, Any], lists: dict[str, list[str]], fields: str) -> None:
        """Create a table with keys of one or two bytes, and a view that shows them as text.

        DuckDB reads NaN in an array as null.
        """
        data, base = identifier(f"{name} data"), identifier(name)
        self.connection.register("numbers", columns)
        keys: dict[str, str] = {}
        joins = []
        for i, (column, codes) in enumerate(lists.items()):
            self.connection.execute(
                f"create or replace temp table keys_{i} as select unnest(?) as code, unnest(range(?)) as i",
                [codes, len(codes)],
            )
            members = ", ".join(map(quote, codes))
            keys[column] = f"cast(k{i}.code as enum({members})) as {identifier(column)}"
            joins.append(f"join keys_{i} k{i} on k{i}.i = n.{identifier(column)}")
        order = identifier("Id" if "Id" in columns else "ID")
        self.connection.execute(
            f"create or replace table {data} as select {fields.format(**keys)} from numbers n {' '.join(joins)} "
            f"order by n.{order}"
        )
        self.connection.unregister("numbers")
        texts = ", ".join(
            f"{identifier(column)}::varchar as {identifier(column)}"
            for column in (*lists, *(["ValueAttribute"] if "Id" in columns else []))
        )
        self.connection.execute(f"create or replace view {base} as select * replace ({texts}) from {data}")

    def _is_kept(self, name: str) -> bool:
        if name not in self._cells:
            return False
        self._cells.move_to_end(name)
        return True

    def _keep(self, name: str, cells: int) -> None:
        self._cells[name] = cells
        while sum(self._cells.values()) > self.cells_kept and len(self._cells) > 1:
            oldest, _ = self._cells.popitem(last=False)
            self.connection.execute(f"drop view {identifier(oldest)}")
            self.connection.execute(f"drop table {identifier(f'{oldest} data')}")
