"""Write docs/marts.md from the contracts of the published models: python docs/generate_marts.py."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jinja2
import yaml

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "dbt_project" / "models"
TARGET = ROOT / "docs" / "marts.md"
SCHEMAS = {
    "marts": "The figures. `dim_` tables are dimensions, `fct_` tables facts, `rpt_` tables reports.",
    "ops": "What the pipeline did, up to gate 2 of the run that published the file; `publish` and `report` of that run"
    " appear with the next one.",
}
# Written by publish/duckdb_file.py and not by dbt, so it has no contract file.
PUBLICATION = """\
### ops.publication

What this file is.

**Grain:** one row.\\
**Key:** `publish_id`

| column | type | description |
|---|---|---|
| `publish_id` | varchar | First 12 digits of the content hash, and the time of publishing. |
| `content_sha256` | varchar | Hash of all of schema `marts`: equal content, equal hash (within one DuckDB version). |
| `is_simulated` | boolean | Whether the figures are simulated. |
| `profile` | varchar | `simulator`, `live` or `replay`. |
| `published_at` | timestamp | When, UTC. |
"""

INTRODUCTION = """\
<!-- Written by docs/generate_marts.py; change that file or the contracts in dbt_project/models, not this page. -->

# Tables and formulas

The published file has two schemas: `marts` (figures) and `ops` (what the pipeline did). Every table has a key that is
checked in every build. Tables and columns carry the texts of this page as comments (`duckdb_tables()`,
`duckdb_columns()`).

[Table macros](#table-macros) for common cuts stand beside the tables.

How the figures are made and what they cannot say is on the [methodology](methodology.md) page; queries for the usual questions
are under [questions and answers](questions.md).

Units are part of the name: `…_eur` euros, `…_kg` kilograms, `share…` and `…_share` 0-1, `…_pct` per cent, `…_pp`
percentage points, `…_at` UTC. A missing value is unknown, never zero.

## How to quote a share

A share is quoted with its source, concept, scope and vintage. There are several "Dutch exports": CBS border
crossing with or without quasi-transit, CBS ownership transfer, and Eurostat's community concept. They differ by more than most changes that
are discussed, so a share without its concept cannot be compared with anything. Offices also revise: the same month
has another value in another vintage (`vintage_at`, the office's own stamp). Numerator and denominator of `share`
come from one source, concept, scope and vintage; a month in which the products of a scope come from different
vintages carries no share.

Sums over months (`share_r12`, `share_ytd`) and comparisons with a year before take each month's current vintage.
These are equal when the dataset was loaded as a whole. After a reload of some months only they can differ between
months, and `vintage_at` states the vintage of the row's own month. `ops.loads` shows which loads there are.

## Vintages

Offices overwrite what they published; this warehouse does not. `fct_exports_vintages` holds every figure from the
release that brought it (`valid_from`) until the release that changed or withdrew it (`valid_to`, missing while it is
current; at that moment the figure no longer holds). A release that only repeats a figure adds no row. The rows without
`valid_to` are those of `fct_exports`, where

- `vintage_at` is the newest release that was asked for the figure: it confirms the figure, changed or not;
- `load_id` and `request_id` lead to the reply in which the figure last changed: the bytes that hold it. A derived
  figure (a remainder, a total without transit) leads to its part that changed last.

A figure that this warehouse derives has versions as any other: the remainder of a total changes when the total or
one of its members does. A month that was loaded for all partners and then for some of them is another series from
then on, and the rest turns from `unallocated` into `not_loaded`. The status (`provisional`, `final`) is kept for the
current figures only: it can change without the figure.

`marts.exports_as_of(as_of)` gives the rows of `fct_exports_vintages` that held at a moment. A DATE (or
a text of ten characters, `'2026-03-31'`) means the whole day: what held when it ended, UTC. A TIMESTAMP means its
moment, UTC; a TIMESTAMP WITH TIME ZONE its moment. What was known is bounded by what was loaded: before the first load
of a dataset there is nothing.

What the share of the United States in Dutch exports of metals in January 2026 was, as known at the end of March:

```sql
select sum(value_eur) filter (where destination_code = 'US') / sum(value_eur) as share
from marts.exports_as_of(date '2026-03-31')
where source_code = 'EUROSTAT' and concept_code = 'community' and flow_kind = 'total' and reporter_code = 'NL'
    and month = date '2026-01-01'
    and nomenclature_code = 'CN'
    and product_code in (select product_code from marts.dim_metal_scope_member where scope_code = 'metal_core_hs');
```

Where the office had published no total yet, the destinations do not add up to one; compare with `is_complete` of
`rpt_destination_shares` before a share is taken from a newest month.

## Destinations and totals

`fct_exports` holds destinations only: countries, and two members that are none. Aggregates (world, EU, continents)
are never among them. Wherever the office publishes its own total, the destinations add up to it exactly, and that
total stands in `fct_export_totals`. Never add the two tables together. Years are in `fct_export_totals` only, as
published; a year can differ from the sum of its months by rounding.

| member | means | comes from |
|---|---|---|
| `unallocated` | the office itself cannot or may not say where the goods went: secret, not specified, stores and provisions; and the remainder of its total over all published members, rounding included | loads that asked for all partners |
| `unmapped` | countries under codes that no list of ours knows yet; the load's warning names them | loads with such a code |
| `not_loaded` | what the office's total holds beyond the partners that were asked for; nothing is known of it | loads that asked for some partners (a replay of a partial recording) |

The remainder keeps its sign. CBS rounds each cell to whole millions, so the members can exceed the total by a
little; `unallocated` is then slightly negative, and shares still add up to 1.

`flow_kind` splits CBS figures into `re_export`, `domestic_product` and `quasi_transit` beside `total` (ownership
transfer has no quasi-transit). Scopes and shares use `total`. Eurostat has no such split.

Under ownership transfer CBS publishes one more product, goods that change owner without having been in the
Netherlands ("Niet fysiek in Nederland", code A051811). It is no section of SITC, so it stands under the nomenclature
`CBS`, with CBS's own code, and belongs to no scope but `all_goods`, through the total of all goods: the sections of
SITC and this product add up to that total.

## Complete months

A month carries shares (`is_complete`) when all products of the scope were asked for, the office's total is there for every
product of the scope that it published anything on, all from one vintage, and trade with partners in the EU has reached its usual size. Otherwise `incomplete_reason` says why:

| reason | means |
|---|---|
| `product_not_loaded` | a product of the scope was not asked for; what was loaded is not the scope |
| `office_total_missing` | the office has published no total for the scope yet, for example because EU partners are not in |
| `product_total_missing` | the total of some product of the scope is missing |
| `mixed_vintages` | products of the scope come from different vintages |
| `intra_eu_incomplete` | the total is there, but fewer than half of the usual figures on EU partners are, with less than half of their usual value |

For the last one, figures are counted: pairs of a product of the scope and a destination that was a member of the EU in
that month. Usual is the median over the 12 months before, of that number and of the value of those figures; with fewer than 6 months before, or without
any trade inside the EU, a month is not judged.

An incomplete month shows the values that are published, and no share, total, bound, rank or growth. A destination
without a value in a month has no published figure: no exports, or a suppressed cell. A published 0 in CBS figures
means less than half a million euros.

## Bounds

What is not allocated to a country may all belong to one country, or none of it. For countries in complete months:

- `share_lower` = value / total (a missing value counts as nothing published)
- `share_upper` = (value + unallocated + not loaded) / total, at most 1; a negative remainder counts as 0

## Formulas

These are the formulas of shares and concentration; those of all other reports stand on the
[methodology](methodology.md) page and in the texts of their columns.

Sums run over one source, concept, scope and reporter. "Value" is that of a destination, "total" the office's own
total. "A year before" is the same month of the year before.

| column | formula |
|---|---|
| `share` | value / total |
| `share_r12` | sum of value over the 12 months up to and including this one / sum of total over the same months; a ratio of sums, never a mean of shares; missing unless all 12 are complete |
| `share_ytd` | sum of value from January to this month / sum of total over the same months; missing unless all are complete |
| `yoy_growth_pct` | 100 x (value / value a year before - 1); missing unless the base is above 0 |
| `share_change_pp` | 100 x (share - share a year before); missing where either value is |
| `usual_share_revision_pp` | mean of the absolute differences, x 100, between the share in the first and in the newest release, over months first seen within 6 months and released again |
| `value_sa_eur`, `share_sa` | value / seasonal factor; adjusted value / adjusted total. The factor is the median, over 5 years, of value / centred 12-month mean in the calendar month, divided by the mean of the 12 |
| `contribution_to_growth_pp` | 100 x (value - value a year before) / total a year before, a missing value counting as 0; over all destinations it adds up to the growth of the total |
| `destination_rank`, `destination_rank_r12` | rank among countries by `share`, by `share_r12` |

Concentration is measured among identified countries with exports above 0. Their market share s is value / sum of
the values of these countries; `coverage_share` is that sum / the office's total, and says how much of the exports
the indices speak of. N is `n_markets` (countries that the office can publish), n is `n_active_markets`. `basis` is
`month` or `r12`.

| column | formula |
|---|---|
| `hhi` | sum of s squared (Herfindahl-Hirschman); 1/n to 1. Multiply by 10,000 for the scale of competition law |
| `hhi_normalised` | (HHI - 1/n) / (1 - 1/n); missing with one market |
| `equivalent_markets` | 1 / HHI: as if the exports went to this many equal markets |
| `theil` | sum of s x ln(s x N); the sum of the next two |
| `theil_within` | sum of s x ln(s x n): inequality among the active markets (intensive margin) |
| `theil_between` | ln(N / n): markets that are not served (extensive margin) |
| `top_1_share` … `top_10_share` | sum of the 1, 3, 5 and 10 largest s |

These shares are among identified countries, so `top_1_share` can differ from the largest `share`, whose denominator
is the office's total.

## Example

Share of the United States, with its bounds and everything a quotation needs:

```sql
select month, share, share_lower, share_upper, share_r12, source_code, concept_code, scope_code, vintage_at
from marts.rpt_destination_shares
where source_code = 'EUROSTAT' and concept_code = 'community' and scope_code = 'metal_core_hs'
    and reporter_code = 'NL' and destination_code = 'US' and is_complete
order by month desc
limit 12;
```

## Classes of a product

`bridge_product_classification` leads a CN8 code to SITC, CPA 2.1, CPA 2.2, BEC, BEC 5 and the section of the
Harmonised System, as Eurostat's bulk files state it, with the months for which it does. Masked codes (`72XXXXXX`:
confidential) lead as far as Eurostat says: to a masked class (`672XX`), or to none where the code stands for goods of
several classes. The table is empty until bulk files are loaded.

## More examples

Which concepts and scopes there are:

```sql
select distinct source_code, concept_code, scope_code, reporter_code
from marts.rpt_destination_shares
order by all;
```

How a figure was revised:

```sql
select valid_from, valid_to, value_eur, quantity_kg, load_id
from marts.fct_exports_vintages
where source_code = 'EUROSTAT' and concept_code = 'community' and flow_kind = 'total' and reporter_code = 'NL'
    and destination_code = 'US' and nomenclature_code = 'CN' and product_code = '72' and month = date '2026-01-01'
order by valid_from;
```
"""  # noqa: E501 - rows of tables cannot be folded


# Before the list of the macros, whose texts are their comments in the published file.
MACROS = """\
## Table macros

A table macro is a query with parameters. A parameter is given by its name (`scope := 'metal_sitc'`) or by its place; one
that is left out, or `null`, has the default that is named here. A value that does not exist gives no rows: a misspelt scope is no
error.
"""  # noqa: E501 - as above
MACRO_EXAMPLES = """\
```sql
from marts.destination_share(destination := 'US') where is_complete order by month desc limit 12;
```

```sql
from marts.top_destinations(scope := 'metal_sitc', to_month := date '2026-03-01', n := 5);
```
"""


def contracts(schema: str) -> list[dict[str, Any]]:
    """Return the contracts of a schema's models, in alphabetical order."""
    models: list[dict[str, Any]] = []
    for path in sorted((MODELS / schema).glob("*.yml")):
        models += yaml.safe_load(path.read_text(encoding="utf-8")).get("models", [])
    return models


def key_of(model: dict[str, Any]) -> list[str]:
    """Return the columns of a model's key: a constraint, or a tested key without an index."""
    for constraint in model.get("constraints", []):
        if constraint["type"] == "primary_key":
            return list(constraint["columns"])
    return list(model["config"]["meta"]["primary_key"])


def describe_model(schema: str, model: dict[str, Any]) -> str:
    """Return the section of one table: description, grain, key, columns."""
    text = _one_line(model["description"])
    what, _, grain = text.partition(" Grain: ")
    key = ", ".join(f"`{name}`" for name in key_of(model))
    lines = [
        f"### {schema}.{model['name']}",
        "",
        what,
        "",
        f"**Grain:** {grain}\\",
        f"**Key:** {key}",
        "",
        "| column | type | description |",
        "|---|---|---|",
        *(
            f"| `{column['name']}` | {column['data_type']} | {_one_line(column['description'])} |"
            for column in model["columns"]
        ),
    ]
    return "\n".join(lines) + "\n"


def table_macros() -> dict[str, tuple[str, str]]:
    """Return the two statements of each table macro, by name: the one that makes it, and its comment."""
    models = {path.stem: path.read_text(encoding="utf-8") for path in (MODELS / "marts").glob("*.sql")}
    found = {}
    for path in sorted((MODELS.parent / "macros").glob("*.sql")):
        text = path.read_text(encoding="utf-8")
        names = re.findall(r"macro create_(\w+)\(relation\)", text)
        if names:
            module = jinja2.Environment(autoescape=False).from_string(text).module  # noqa: S701 - SQL, not HTML
            for name in names:
                (model,) = (model for model, sql in models.items() if f"create_{name}(this)" in sql)
                relation = {"schema": "marts", "identifier": model}
                found[name] = (
                    getattr(module, f"create_{name}")(relation),
                    getattr(module, f"comment_on_{name}")(relation),
                )
    return dict(sorted(found.items()))


def describe_macros() -> str:
    """Return the section of the table macros."""
    lines = ["| macro | gives |", "|---|---|"]
    for statement, comment in table_macros().values():
        signature = _one_line(re.findall(r"macro (.*?\)) as table", statement, re.DOTALL)[0])
        signature = signature.replace("( ", "(").replace(" )", ")")
        (text,) = re.findall(r" is\s+'(.*)'", comment)
        lines.append(f"| `{signature}` | {text} |")
    return "\n".join([MACROS, *lines, "", MACRO_EXAMPLES])


def render() -> str:
    """Return the whole page."""
    parts = [INTRODUCTION, describe_macros()]
    for schema, title in SCHEMAS.items():
        models = contracts(schema)
        names = ", ".join(f"[{m['name']}](#{schema}{m['name']})" for m in models)
        parts.append(f"## Schema {schema}\n\n{title}\n\n{names}\n")
        parts += [describe_model(schema, model) for model in models]
    parts.append(PUBLICATION)
    return "\n".join(parts)


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
