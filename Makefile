# Everything a fresh machine needs: Python 3.11+ and make. All else is installed into .venv from hash-locked files.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
# In the order of the files: by number of tests the whole pipelines, which are few and long, would come last, on one core.
BOTH_CORES := -n 2 --dist loadscope --no-loadscope-reorder
SOURCE ?= auto
REPLAY ?=
SCOPES ?=
VENV := .venv
BIN := $(VENV)/bin
VENV_BI := .venv-bi
VENV_AUDIT := .venv-audit
SBOM := sbom
INSTALL := apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq

# Images of Python set it, and each of the many processes then compiles all its modules again.
unexport PYTHONDONTWRITEBYTECODE

export METAALEXPORT_PROFILE := $(SOURCE)
export METAALEXPORT_REPLAY := $(REPLAY)
ifneq ($(SCOPES),)
export METAALEXPORT_SCOPES := $(SCOPES)
endif

.PHONY: postgresql odbc chromium debian docs docs-serve help setup setup-dev run up test test-unit test-marts test-long test-browser test-postgres test-bi test-compose bench bench-marts check lint lint-style lint-types lint-sql format lock audit sbom report clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  SOURCE=auto|live|simulator|replay   where the figures come from (auto: the offices, else the simulator)"
	@echo "  REPLAY=<folder>                recorded payloads, for SOURCE=replay"
	@echo "  FAULTS=quick                   test-long as .ci/run calls it (docs/contributing.md)"
	@echo "  SCOPES=<file.csv>              your own product scopes, beside the shipped ones"

$(VENV)/runtime: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 to 3.13 is needed, this is " + sys.version.split()[0] if not (3, 11) <= sys.version_info < (3, 14) else 0)'
	@echo "installing into $(VENV) (about a minute and a half the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev: $(VENV)/runtime requirements-dev.lock
	@echo "installing the tools for tests and lint"
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.lock
	@touch $@

# Superset cannot be installed beside Airflow.
$(VENV_BI)/superset: bi/requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit("Superset needs Python 3.11 or 3.12, this is " + sys.version.split()[0] + "; next: PYTHON=python3.11" if not (3, 11) <= sys.version_info < (3, 13) else 0)'
	@echo "installing Superset into $(VENV_BI) (a minute or two)"
	@test -x $(VENV_BI)/bin/python || $(PYTHON) -m venv $(VENV_BI)
	@$(VENV_BI)/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r bi/requirements.lock
	@touch $@

$(VENV_AUDIT)/tools: requirements-audit.lock
	@test -x $(VENV_AUDIT)/bin/python || $(PYTHON) -m venv $(VENV_AUDIT)
	@$(VENV_AUDIT)/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-audit.lock
	@touch $@

# What some tests need of Debian's packages.
postgresql:
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || ($(INSTALL) postgresql >/dev/null)
odbc:
	@command -v isql >/dev/null && odbcinst -q -d | grep -q PostgreSQL || ($(INSTALL) unixodbc odbcinst odbc-postgresql >/dev/null)
chromium:
	@command -v chromium >/dev/null || ($(INSTALL) chromium >/dev/null)
# One installation at a time holds their lock, so stages that run side by side find all of them there.
debian: postgresql odbc chromium

setup: $(VENV)/runtime ## Install what running needs
setup-dev: $(VENV)/dev ## Install what tests and lint need as well

run: setup ## Set up and run the whole pipeline once through Airflow
	@$(BIN)/metaalexport run

up: setup ## Start Airflow with its UI on http://localhost:8080
	@$(BIN)/metaalexport up

report: setup ## Write the report again from what is published
	@$(BIN)/metaalexport report

test: setup-dev $(VENV_AUDIT)/tools ## Set up and run the tests that need only pip, the long ones and those of the marts apart
	$(BIN)/pytest -m "not bi and not browser and not long and not postgres and not compose" --ignore tests/marts $(BOTH_CORES)

test-unit: setup-dev ## Run the tests of single parts, in less than a minute
	$(BIN)/pytest tests/unit $(BOTH_CORES)

test-marts: setup-dev ## Load two releases, compute every metric again in Python and compare every row
	@# The first test waits for two releases to be loaded and built.
	$(BIN)/pytest tests/marts $(BOTH_CORES) --timeout 900

test-long: setup-dev postgresql ## Try every fault at every request, kill loads at every step, fill the disk, load a year of releases
	$(BIN)/pytest -m "long $(if $(filter quick,$(FAULTS)),and not thorough)" tests/fault -n 2 --dist load
	$(BIN)/pytest -m "long $(if $(filter quick,$(FAULTS)),and not thorough)" tests/integration $(BOTH_CORES)
	$(BIN)/pytest -m "long $(if $(filter quick,$(FAULTS)),and not thorough)" tests/live -n 2 --dist load

test-browser: setup-dev chromium ## Run the tests that need Chromium, installing it from Debian's packages where it is missing
	$(BIN)/pytest -m browser $(BOTH_CORES)

test-postgres: setup-dev postgresql odbc ## Serve from a real PostgreSQL, installing it from Debian's packages where it is missing
	$(BIN)/pytest -m postgres tests/postgres -n 2 --dist worksteal

test-bi: setup-dev $(VENV_BI)/superset postgresql chromium ## Provision Superset over a real PostgreSQL and look at every chart, installing what is missing from Debian's packages
	$(BIN)/pytest -m bi tests/bi --timeout 900

test-compose: setup-dev ## Start the containers of docker-compose.yml and use them, where a container engine can be had
	@compose=$$(tests/compose/ensure-engine); status=$$?; \
	if [ $$status = 77 ]; then echo "the containers were not tested"; exit 0; fi; \
	[ $$status = 0 ] && TEST_COMPOSE="$$compose" $(BIN)/pytest -m compose tests/compose

bench: setup-dev ## Measure parsing and landing beside DuckDB and pandas; writes benchmarks/extraction.md (minutes)
	$(BIN)/python -m benchmarks.extraction

bench-marts: setup-dev ## Measure building the marts over 1 and 10 million facts; writes benchmarks/marts.md (minutes)
	$(BIN)/python -m benchmarks.marts --turns 3

docs: setup-dev ## Build the documentation site into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

docs-serve: setup-dev ## Show the documentation site while you write, on http://localhost:8000
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

check: setup-dev ## Check style and types, and SQL and unit tests where something changed since main (or BASE=<commit>)
	@.ci/check $(BASE)

lint: setup-dev ## Check format, style, types and SQL
	@# Types take one core, SQL two: beside one another they fill both.
	@$(MAKE) --no-print-directory --jobs 3 --keep-going --output-sync lint-style lint-types lint-sql

lint-style: setup-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-logo
	@# Spelling, and words that have a better one in this field (docs/words.txt).
	$(BIN)/codespell
lint-types: setup-dev
	$(BIN)/mypy
lint-sql: setup-dev
	$(BIN)/sqlfluff lint --disable-progress-bar --processes 2 dbt_project

format: setup-dev ## Format Python and SQL
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/sqlfluff fix --disable-progress-bar --force dbt_project

lock: ## Renew the lock files (needs uv)
	uv pip compile --quiet --generate-hashes --no-emit-index-url --python-version 3.11 pyproject.toml -o requirements.lock
	uv pip compile --quiet --generate-hashes --no-emit-index-url --python-version 3.11 --extra team -c requirements.lock pyproject.toml -o requirements-team.lock
	uv pip compile --quiet --generate-hashes --no-emit-index-url --python-version 3.11 --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	uv pip compile --quiet --generate-hashes --no-emit-index-url --python-version 3.11 bi/requirements.in -o bi/requirements.lock
	uv pip compile --quiet --generate-hashes --no-emit-index-url --python-version 3.11 requirements-audit.in -o requirements-audit.lock

audit: $(VENV_AUDIT)/tools ## Look all lock files up among known vulnerabilities (needs their service on the network)
	$(VENV_AUDIT)/bin/python deploy/audit.py requirements*.lock bi/requirements.lock

# The environments that run, not those that test.
sbom: $(addprefix $(SBOM)/,requirements.cdx.json requirements-team.cdx.json bi/requirements.cdx.json) ## List what is installed, as CycloneDX, in sbom/

$(SBOM)/%.cdx.json: %.lock pyproject.toml $(VENV_AUDIT)/tools
	@mkdir -p $(@D)
	$(VENV_AUDIT)/bin/cyclonedx-py requirements $< --pyproject pyproject.toml --output-reproducible --output-file $@

clean: ## Remove the environments and the simulator's and replay's state; never live state
	rm -rf $(VENV) $(VENV_BI) $(VENV_AUDIT) $(SBOM) var/simulator var/replay var/tests
