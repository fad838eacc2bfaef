"""README and docs name existing commands, targets, links, tables, columns and files. Only help texts are run."""

from __future__ import annotations

import importlib.util
import re
import shlex
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

import duckdb
import nbformat
import pytest
import typer
from pytest_socket import disable_socket
from typer.testing import CliRunner

from common.contracts import read_models
from expectations.candidate import CandidateGateInput, candidate_checks
from expectations.landing import landing_checks
from extract import errors, politeness
from extract.dataset import CONTRACT_MODES, Dataset
from extract.errors import ExtractError
from extract.landing.manifest import LoadManifest
from extract.registry import load_registry
from extract.slices import Slice
from metaalexport import alerts, inherited
from metaalexport.cli import app
from metaalexport.gate_input import landing_gate_input
from metaalexport.health import FINDINGS
from metaalexport.maintenance import TASKS
from publish.duckdb_file import Publication, _write_publication

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
# Hosts that a page may link to or name; package registries and this machine are excluded.
HOSTS = {
    "creativecommons.org",
    "datasets.cbs.nl",
    "ec.europa.eu",
    "keepachangelog.com",
    "localhost",
    "opendata.cbs.nl",
    "schemas.xmlsoap.org",
    "semver.org",
}
# Machine paths and addresses of registries and proxies; a page may still ask the reader to set a proxy.
FORBIDDEN = re.compile(r"/(?:work|home|root|tmp|mnt|Users)/|pypi|index-url|artifactory|proxy[.:/]", re.IGNORECASE)


@pytest.fixture(autouse=True)
def _no_socket() -> None:
    disable_socket(allow_unix_socket=True)


@pytest.fixture(params=NAMES)
def page(request: pytest.FixtureRequest) -> str:
    """Return the text of one page."""
    return read(request.param)


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tables", ROOT / "docs" / "tables.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def published(generator: ModuleType) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield an empty published file, built from the contracts and the table macros."""
    with duckdb.connect() as connection:
        for schema in ("marts", "ops"):
            connection.execute(f"create schema {schema}")
            for model in read_models(ROOT / "dbt_project", schema):
                columns = ", ".join(f"{column.name} {column.kind}" for column in model.columns)
                connection.execute(f"create table {schema}.{model.name} ({columns})")
        for statement, comment in generator.table_macros().values():
            connection.execute(statement)
            connection.execute(comment)
        _write_publication(connection, Publication("p", "h", True, "simulator", "2026-01-01T00:00:00Z", "i"))
        yield connection


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def fences(text: str, *languages: str) -> list[str]:
    return [body for language, body in FENCE.findall(text) if language in languages]


def inline_code(text: str) -> list[str]:
    return INLINE.findall(FENCE.sub("", text))


def shell_commands(block: str) -> list[list[str]]:
    """Split a block into commands; a quoted argument may span lines."""
    lexer = shlex.shlex(block, posix=True, punctuation_chars=";&|\n")
    lexer.whitespace = " \t"
    lexer.whitespace_split = True
    commands: list[list[str]] = [[]]
    for token in lexer:
        if set(token) <= set(";&|\n"):
            commands.append([])
        else:
            commands[-1].append(token)
    return [[t for t in command if not re.fullmatch(r"[A-Z_0-9]+=.*", t)] for command in commands if command]


def all_shell_commands() -> list[tuple[str, list[str]]]:
    return [
        (name, command)
        for name in NAMES
        for block in fences(read(name), "sh")
        for command in shell_commands(block)
        if command
    ]


def metaalexport_calls() -> list[tuple[str, list[str]]]:
    return [(name, command[1:]) for name, command in all_shell_commands() if Path(command[0]).name == "metaalexport"]


def make_targets() -> set[str]:
    found = {word for _, c in all_shell_commands() if c[0] == "make" for word in c[1:] if "=" not in word}
    for name in NAMES:
        for code in inline_code(read(name)):
            if match := re.match(r"(?:[A-Z_]+=\S+ )?make ([a-z][a-z-]*)", code):
                found.add(match[1])
    return found


def sql_statements() -> list[tuple[str, str]]:
    statements = [(name, block) for name in NAMES for block in fences(read(name), "sql")]
    # Without a statement `sql` opens the prompt or reads a pipe.
    statements += [
        (name, arguments[1])
        for name, arguments in metaalexport_calls()
        if arguments[0] == "sql" and len(arguments) > 1 and not arguments[1].startswith("-")
    ]
    for name, command in all_shell_commands():
        if Path(command[0]).name == "python" and "-c" in command:
            code = command[command.index("-c") + 1]
            compile(code, name, "exec")
            statements += [(name, statement) for statement in re.findall(r"db\.sql\('([^']+)'\)", code)]
    return statements


def slug(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize(("name", "arguments"), metaalexport_calls())
def test_command_and_options_exist(name: str, arguments: list[str]) -> None:
    runner = CliRunner()
    subcommand, *rest = arguments
    assert runner.invoke(app, [subcommand, "--help"]).exit_code == 0, f"{name}: no such subcommand {subcommand}"
    group = typer.main.get_command(app)
    # Parse the arguments without running the command.
    group.commands[subcommand].make_context(subcommand, rest)  # type: ignore[attr-defined]


def test_subcommands_in_prose_exist() -> None:
    known = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    named = {
        match[1]
        for name in NAMES
        for code in inline_code(read(name))
        if (match := re.match(r"(?:\.venv/bin/)?metaalexport ([a-z]+)", code))
    }
    assert named
    assert named <= known
    assert named | {arguments[0] for _, arguments in metaalexport_calls()} >= known, "a subcommand is not documented"


def test_make_targets_exist_and_are_listed() -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    helped = set(re.findall(r"^  make ([a-z-]+)", listed, re.MULTILINE))
    rules = set(re.findall(r"^([a-z][a-z-]*):", read("Makefile"), re.MULTILINE))
    named = make_targets()
    assert {"run", "up", "setup"} <= named
    assert named <= rules
    assert named <= helped


def test_links_and_images_resolve(page: str, request: pytest.FixtureRequest) -> None:
    folder = (ROOT / request.node.callspec.params["page"]).parent
    for target in re.findall(r"!?\[[^\]]*\]\(([^)\s]+)\)", FENCE.sub("", page)):
        if urlsplit(target).scheme:
            continue
        path, _, anchor = target.partition("#")
        linked = folder / path if path else ROOT / request.node.callspec.params["page"]
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {slug(heading) for heading in headings}, target


def test_every_page_is_linked() -> None:
    text = "\n".join(read(name) for name in ("README.md", "docs/architecture.md", "docs/datasets.md"))
    for name in NAMES:
        if name.startswith("docs/"):
            assert Path(name).name in text, name


def page_of(dataset: Dataset) -> str:
    """Return the page of a dataset: its own, or the family page with a table row that starts with its code."""
    pages = sorted((ROOT / "docs" / "data-sources").glob("*.md"))
    own = [path for path in pages if path.stem == dataset.code]
    family = [path for path in pages if re.search(rf"^\| `{dataset.code}` \|", path.read_text("utf-8"), re.MULTILINE)]
    found = own or family
    assert len(found) == 1, f"{dataset.code}: {len(found)} pages in docs/data-sources"
    return found[0].read_text(encoding="utf-8")


@pytest.mark.parametrize("code", load_registry())
def test_every_dataset_has_a_page(code: str) -> None:
    dataset = load_registry()[code]
    text = page_of(dataset)
    for fact in (code, dataset.identifier, dataset.licence, dataset.citation, *dataset.measure_codes):
        assert fact in text, fact
    for measure in dataset.measures:
        # An empty unit has not been observed yet.
        assert measure.unit.lower() in text.lower(), measure.unit
    assert "copyright-notice" in text or dataset.office == "cbs", "the page omits the carve-outs of the licence"
    assert "not verified" in text.lower(), "the page does not state what is not verified"


def test_data_source_pages_name_datasets() -> None:
    for path in (ROOT / "docs" / "data-sources").glob("*.md"):
        text = path.read_text(encoding="utf-8")
        assert [code for code in load_registry() if f"`{code}`" in text or path.stem == code], path.name


def test_datasets_page_matches_the_registry() -> None:
    table = read("docs/datasets.md").partition("## Datasets")[2].partition("Pages:")[0]
    listed = {
        code: (cells[3], cells[4])
        for row in table.splitlines()
        if row.startswith("| `")
        for cells in [[cell.strip() for cell in row.strip("|").split("|")]]
        for code in re.findall(r"`(\w+)`", cells[0])
    }
    assert {*listed} == {*load_registry()}
    for code, dataset in load_registry().items():
        loaded, seen = listed[code]
        assert loaded.startswith("by default") == dataset.by_default, code
        assert seen.startswith(("yes", "no")), code


@pytest.mark.parametrize(("name", "statement"), sql_statements())
def test_sql_names_existing_tables_and_columns(published: duckdb.DuckDBPyConnection, name: str, statement: str) -> None:
    plan = published.execute(f"explain {statement}").fetchall()
    assert plan


def test_scope_product_queries_name_the_nomenclature() -> None:
    """SITC divisions and CN chapters share numbers."""
    queries = [(name, s) for name, s in sql_statements() if re.search(r"product_code in \(select product_code", s)]
    assert len(queries) >= 3
    assert [name for name, statement in queries if "nomenclature_code = 'CN'" not in statement] == []


def test_notebooks_have_no_outputs() -> None:
    paths = sorted((ROOT / "notebooks").glob("*.ipynb"))
    assert paths
    for path in paths:
        notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
        nbformat.validate(notebook)
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        assert len(code) > 5
        assert all(cell.outputs == [] and cell.execution_count is None for cell in code), path.name
        assert not FORBIDDEN.search(path.read_text(encoding="utf-8"))


def test_tables_page_lists_every_table(generator: ModuleType) -> None:
    page = generator.fill(read("docs/marts.md"))
    models = read_models(ROOT / "dbt_project", "marts", "ops")
    assert set(re.findall(r"^### (\w+\.\w+)$", page, re.MULTILINE)) == {
        *(f"{model.layer}.{model.name}" for model in models),
        "ops.publication",
    }
    assert len(re.findall(r"^\| `\w+` \| [a-z]", page, re.MULTILINE)) > sum(len(model.columns) for model in models)


def test_publication_description_matches_the_written_table(
    generator: ModuleType, published: duckdb.DuckDBPyConnection
) -> None:
    section = read("docs/marts.md").partition("### ops.publication")[2]
    described = re.findall(r"^\| `(\w+)` \| (\w+) \|", section, re.MULTILINE)
    written = published.execute("select column_name, lower(column_type) from (describe ops.publication)").fetchall()
    assert described == written


def test_table_macros_are_described_with_their_parameters(
    generator: ModuleType, published: duckdb.DuckDBPyConnection
) -> None:
    made = published.execute(
        "select function_name, parameters, comment from duckdb_functions() where schema_name = 'marts' order by all"
    ).fetchall()
    assert [name for name, _, _ in made] == ["destination_share", "exports_as_of", "top_destinations"]
    page = generator.fill(read("docs/marts.md"))
    for name, parameters, comment in made:
        (signature,) = re.findall(rf"^\| `marts\.{name}\((.*)\)` \| {re.escape(comment)} \|$", page, re.MULTILINE)
        assert [parameter.partition(" := ")[0] for parameter in signature.split(", ")] == parameters


def test_decisions_are_numbered_without_gaps() -> None:
    paths = sorted((ROOT / "docs" / "adr").glob("*.md"))
    assert [int(path.name[:4]) for path in paths] == list(range(1, len(paths) + 1))
    for number, path in enumerate(paths, start=1):
        text = path.read_text(encoding="utf-8")
        assert text.startswith(f"# {number}. "), path.name
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"], path.name
        assert len(text.splitlines()) <= 60, f"{path.name} is longer than a page"


def gate_1_checks(dataset: Dataset) -> set[str]:
    """Return the names of all landing gate checks for a later load of all partners of a dataset."""
    manifest = LoadManifest(
        load_id="load",
        dataset=dataset.code,
        office=dataset.office,
        reporter="NL",
        slice=Slice(dataset.code, "NL", dataset.first_period).to_dict(),
        office_version="1",
        vintage_at="2026-01-01T00:00:00Z",
        retrieved_at="2026-01-01T00:00:00Z",
        transport="simulator",
        is_simulated=True,
        rows_read=1,
        rows_loaded=1,
        rows_rejected=0,
    )
    return {check.name for check in landing_checks(landing_gate_input(dataset, manifest, Path("load"), Path("before")))}


def test_gate_checks_are_in_the_runbook() -> None:
    candidate = CandidateGateInput(Path("candidate"), Path("published"), is_simulated=False)
    names = {check.name for check in candidate_checks(candidate)}
    for dataset in load_registry().values():
        names |= gate_1_checks(dataset)
    assert len(names) > 20
    runbook = read("docs/runbook.md")
    assert {name for name in names if f"`{name}`" not in runbook} == set()
    named = set(re.findall(r"`(\w+)`", "\n".join(re.findall(r"^\| (`\w+`.*?) \|", runbook, re.MULTILINE))))
    # Other tables of the page start with contract rules, `doctor` outcomes, alerts and their settings, `health`
    # findings and maintenance tasks.
    others = {*alerts.SECTIONS, alerts.MAIL, alerts.WEBHOOK, *FINDINGS, *TASKS}
    others |= {
        *CONTRACT_MODES,
        "code_not_offered",
        "period_not_offered",
        "fallback_used",
        "answers",
        "differs",
        "fails",
        "reply_is_data",
    }
    assert named - names - others == set(), "the runbook names checks that no gate has"


def test_contract_rules_have_a_remedy_and_documented_modes() -> None:
    runbook = read("docs/runbook.md")
    rows = dict(re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \|", read("docs/architecture.md"), re.MULTILINE))
    for rule, modes in CONTRACT_MODES.items():
        assert re.search(rf"^\| `{rule}`", runbook, re.MULTILINE), rule
        assert tuple(re.findall(r"`(\w+)`", rows[rule])) == modes, rule


def test_user_facing_errors_are_in_the_runbook() -> None:
    kinds = {
        kind.__name__
        for module in (errors, politeness)
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, ExtractError) and kind is not ExtractError
    }
    runbook = read("docs/runbook.md")
    assert len(kinds) >= 8
    assert {kind for kind in kinds if f"`{kind}`" not in runbook} == set()


def test_environment_variables_exist_and_are_documented() -> None:
    modules = [f"metaalexport/{name}.py" for name in ("settings", "serving", "airflow_home", "airflow_run", "alerts")]
    settings = {word for module in modules for word in re.findall(r'"(METAALEXPORT_[A-Z_]+)"', read(module))}
    settings |= {"METAALEXPORT_CBS_URL", "METAALEXPORT_EUROSTAT_URL"}
    # A secret can also be given as the name of a file that contains it.
    settings |= {f"{name}_FILE" for name in settings if name.endswith("_PASSWORD") and "AIRFLOW" not in name}
    named = {word for name in NAMES for word in re.findall(r"METAALEXPORT_[A-Z_]+", read(name))}
    # Airflow defines its own options and connections.
    named = {word for word in named if not inherited.for_airflow({word: ""})}
    assert named <= settings
    assert settings <= set(re.findall(r"METAALEXPORT_[A-Z_]+", read("docs/architecture.md")))


def test_named_repository_files_exist(page: str) -> None:
    folders = "dags|dbt_project|docs|expectations|extract|metaalexport|publish|simulator|tests"
    for code in inline_code(page):
        if re.fullmatch(rf"(?:{folders})/[\w./-]*", code):
            assert (ROOT / code).exists(), code


def test_pages_contain_no_registry_host_or_machine_path(page: str) -> None:
    assert not FORBIDDEN.search(page), FORBIDDEN.search(page)
    hosts = {urlsplit(url).hostname for url in re.findall(r"https?://[^\s`)\]>\"]+", page)}
    assert hosts <= HOSTS


@pytest.mark.parametrize("name", ["dashboard.png", "report.png"])
def test_picture_is_small_and_wide_enough(name: str) -> None:
    picture = (ROOT / "docs" / "images" / name).read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert struct.unpack(">I", picture[16:20])[0] >= 1200
    assert len(picture) < 300_000
