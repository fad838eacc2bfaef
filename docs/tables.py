"""The lists of tables and table macros on the page `marts.md`, made from dbt's files when the site is built."""

from __future__ import annotations

import re
from pathlib import Path

import jinja2

from common.contracts import Model, read_models

PROJECT = Path(__file__).resolve().parent.parent / "dbt_project"


def fill(markdown: str) -> str:
    """Put the lists where the page marks their place."""
    filled = markdown.replace("<!-- table macros -->", describe_macros())
    for schema in ("marts", "ops"):
        filled = filled.replace(f"<!-- tables of {schema} -->", describe_schema(schema))
    return filled


def describe_schema(schema: str) -> str:
    """Return a section for each table of a schema, and links to them."""
    models = read_models(PROJECT, schema)
    links = ", ".join(f"[{model.name}](#{schema}{model.name})" for model in models)
    return "\n".join([f"{links}\n", *map(describe_model, models)]).rstrip("\n")


def describe_model(model: Model) -> str:
    """Return the section of one table: description, grain, key, columns."""
    what, _, grain = model.description.partition(" Grain: ")
    lines = [
        f"### {model.layer}.{model.name}",
        "",
        what,
        "",
        f"**Grain:** {grain}\\",
        f"**Key:** {', '.join(f'`{name}`' for name in model.key)}",
        "",
        "| column | type | description |",
        "|---|---|---|",
        *(f"| `{column.name}` | {column.kind} | {column.description} |" for column in model.columns),
    ]
    return "\n".join(lines) + "\n"


def table_macros() -> dict[str, tuple[str, str]]:
    """Return the two statements of each table macro, by name: the one that makes it, and its comment."""
    models = {path.stem: path.read_text(encoding="utf-8") for path in (PROJECT / "models" / "marts").glob("*.sql")}
    found = {}
    for path in sorted((PROJECT / "macros").glob("*.sql")):
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
    """Return the list of the table macros; their texts are their comments in the published file."""
    lines = ["| macro | gives |", "|---|---|"]
    for statement, comment in table_macros().values():
        signature = " ".join(re.findall(r"macro (.*?\)) as table", statement, re.DOTALL)[0].split())
        signature = signature.replace("( ", "(").replace(" )", ")")
        (text,) = re.findall(r" is\s+'(.*)'", comment)
        lines.append(f"| `{signature}` | {text} |")
    return "\n".join(lines)
