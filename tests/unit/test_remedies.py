"""Texts that state a next step: their commands and sections exist, and every error has one."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import typer

from metaalexport import alerts, gaps, health
from metaalexport.cli import app

ROOT = Path(__file__).resolve().parents[2]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
# Pages whose commands are parsed, the runbook first.
GUIDES = RUNBOOK + "".join((ROOT / "docs" / f"{name}.md").read_text("utf-8") for name in ("operations", "contributing"))
HEADINGS = set(re.findall(r"^#{2,3} (.+)$", RUNBOOK, re.MULTILINE))
SOURCES = [
    path for name in ("metaalexport", "extract", "expectations", "publish") for path in (ROOT / name).rglob("*.py")
]
TREES = {str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(SOURCES)}
COMMAND = re.compile(r"`((?:[A-Z_]+=\S+ )*)metaalexport ([^`]+)`")
# Placeholder for a value that is known only at run time.
VALUE = "1"


def text_of(node: ast.expr) -> str | None:
    """Return the text of a string, with `VALUE` for inserted values; None for other expressions."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) or VALUE for part in node.values)
    return None


def texts() -> Iterator[tuple[str, str]]:
    """Yield place and text of every string of the code."""
    for name, tree in TREES.items():
        inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            if isinstance(node, ast.expr) and id(node) not in inner and (text := text_of(node)):
                yield f"{name}:{node.lineno}", text


def parse(command: str) -> None:
    """Parse the arguments of `metaalexport` as the command line does, without running anything.

    Raises
    ------
    typer.BadParameter or a sibling of it
        If there is no such command, option or argument, or one is missing.
    """
    group: Any = typer.main.get_command(app)
    name, *arguments = shlex.split(command.replace("…", VALUE))
    context = group.context_class(group)
    _, found, rest = group.resolve_command(context, [name, *arguments])
    assert found is not None
    found.make_context(name, rest, parent=context)


IN_CODE = sorted({(where, match[2]) for where, text in texts() for match in COMMAND.finditer(text)})
IN_GUIDES = sorted(
    {match[2] for match in COMMAND.finditer(GUIDES)}
    | {
        match[1]
        for block in re.findall(r"```sh\n(.*?)```", GUIDES, re.DOTALL)
        for match in re.finditer(r"\.venv/bin/metaalexport (.*(?:\n  .*)*)$", block, re.MULTILINE)
    }
)


@pytest.mark.parametrize(("where", "command"), IN_CODE)
def test_command_named_in_the_code_is_valid(where: str, command: str) -> None:
    parse(command)


@pytest.mark.parametrize("command", IN_GUIDES)
def test_command_named_in_a_guide_is_valid(command: str) -> None:
    parse(command.replace("<load_id>", VALUE).replace("<code>", VALUE).replace("<office> <words>", "1 1"))


def test_invalid_command_would_be_found() -> None:
    assert len(IN_CODE) > 15
    assert len(IN_GUIDES) > 30
    for wrong in ("withdraw 1", "nonsense", "load", "publish --now"):
        with pytest.raises(cast("type[Exception]", typer.BadParameter.__base__)):
            parse(wrong)


SECTIONS = {*health.FINDINGS.values(), *alerts.SECTIONS.values(), *(section for _, section in health.STEPS.values())}


@pytest.mark.parametrize("section", sorted(SECTIONS))
def test_section_of_a_finding_or_an_alert_exists(section: str) -> None:
    assert section in HEADINGS


def test_every_shared_step_has_a_command_that_repeats_it() -> None:
    source = "".join(
        (ROOT / "metaalexport" / f"{name}.py").read_text(encoding="utf-8") for name in ("ingest", "building", "rebuild")
    )
    steps = set(re.findall(r'run\.step\("(\w+)"', source)) | {"gate_candidate"}
    assert len(steps) > 10
    # A user runs `withdraw` and `reinstate` directly; each ends before its step is recorded.
    assert steps - {*gaps.SLICE_STEPS, "withdraw", "reinstate"} <= set(health.STEPS)


def test_section_named_in_the_code_exists() -> None:
    for where, text in texts():
        if re.search(r"next|remedy|see", text) or "'" in text:
            for rest in re.findall(r"docs/runbook\.md(.{0,60})", text):
                match = re.match(rf",(?: section)? '(?:{VALUE}|([^']+))'", rest)
                assert match, f"{where}: names no section of the runbook: {text}"
                assert match[1] is None or match[1] in HEADINGS, where


def test_every_project_error_has_a_next_step() -> None:
    """Extraction errors carry it as an argument; the others state it in their text."""
    without = []
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and {"dataset"} <= {word.arg for word in node.keywords}:
                called = ast.unparse(node.func)
                if called.endswith("Error") and "next_step" not in {word.arg for word in node.keywords}:
                    without.append(f"{name}:{node.lineno} {called}")
    assert without == []


@pytest.mark.parametrize("name", health.FINDINGS)
def test_remedy_of_every_finding_is_tested(name: str) -> None:
    folder = ROOT / "tests"
    modules = [folder / kind / "test_remedies.py" for kind in ("integration", "postgres")]
    tried = "".join(path.read_text(encoding="utf-8") for path in (*modules, folder / "unit" / "test_health.py"))
    assert f'"{name}"' in tried
