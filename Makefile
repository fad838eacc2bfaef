# Requirements of a fresh machine: Python 3.11+ and make. Everything else is installed into .venv from hash-locked
# files.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
# In file order: ordered by number of tests, the few long pipelines would come last, on one core.
BOTH_CORES := -n 2 --dist loadscope --no-loadscope-reorder
SOURCE ?= auto
REPLAY ?=
SCOPES ?=
VENV := .venv
BIN := $(VENV)/bin
VENV_BI := .venv-bi
VENV_AUDIT := .venv-audit
SBOM := sbom
INSTALL := PYTHON=$(PYTHON) deploy/install
APT_INSTALL := apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq

# Python images set it, which makes each of the many processes recompile all its modules.
unexport PYTHONDONTWRITEBYTECODE

export METAALEXPORT_PROFILE := $(SOURCE)
export METAALEXPORT_REPLAY := $(REPLAY)
ifneq ($(SCOPES),)
export METAALEXPORT_SCOPES := $(SCOPES)
endif

.PHONY: postgresql odbc chromium debian docs docs-serve help setup setup-dev run up test test-unit test-marts test-long test-browser test-postgres test-bi test-compose test-pages warehouses bench bench-marts check lint lint-style lint-types lint-sql format lock audit sbom report clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  SOURCE=auto|live|simulator|replay   source of the figures (auto: the offices, else the simulator)"
	@echo "  REPLAY=<folder>                     recorded responses, for SOURCE=replay"
	@echo "  FAULTS=quick                        test-long as run by .ci/run (docs/contributing.md)"
	@echo "  SCOPES=<file.csv>                   your own product scopes, in addition to the shipped ones"
$(VENV)/runtime: requirements.lock deploy/uv.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 to 3.13 is needed, this is " + sys.version.split()[0] if not (3, 11) <= sys.version_info < (3, 14) else 0)'
	@echo "installing into $(VENV)"
	@$(INSTALL) $(VENV) requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev: $(VENV)/runtime requirements-dev.lock
	@echo "installing the tools for tests and lint"
	@$(INSTALL) $(VENV) requirements-dev.lock
	@touch $@

# Superset cannot share an environment with Airflow.
$(VENV_BI)/superset: bi/requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit("Superset needs Python 3.11 or 3.12, this is " + sys.version.split()[0] + "; next: PYTHON=python3.11" if not (3, 11) <= sys.version_info < (3, 13) else 0)'
	@echo "installing Superset into $(VENV_BI)"
	@$(INSTALL) $(VENV_BI) bi/requirements.lock
	@touch $@

$(VENV_AUDIT)/tools: requirements-audit.lock
	@$(INSTALL) $(VENV_AUDIT) requirements-audit.lock
	@touch $@

# Debian packages that some tests need.
postgresql:
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || ($(APT_INSTALL) postgresql >/dev/null)
odbc:
	@command -v isql >/dev/null && odbcinst -q -d | grep -q PostgreSQL || ($(APT_INSTALL) unixodbc odbcinst odbc-postgresql >/dev/null)
chromium:
	@command -v chromium >/dev/null || ($(APT_INSTALL) chromium >/dev/null)
# One installation at a time holds apt's lock; stages that run in parallel then find everything installed.
debian: postgresql odbc chromium

setup: $(VENV)/runtime ## Install the runtime dependencies
setup-dev: $(VENV)/dev ## Install the test and lint dependencies as well

run: setup ## Set up and run the whole pipeline once through Airflow
	@$(BIN)/metaalexport run

up: setup ## Start Airflow with its UI on http://localhost:8080
	@$(BIN)/metaalexport up

report: setup ## Rewrite the report from the published file
	@$(BIN)/metaalexport report

test: setup-dev $(VENV_AUDIT)/tools ## Set up and run the tests that need only pip, except the long ones and those of the marts
	$(BIN)/pytest -m "not bi and not browser and not long and not postgres and not compose" --ignore tests/marts $(BOTH_CORES)

warehouses: setup-dev ## Build the warehouses that tests share, if they do not exist (minutes; the tests do it as well)
	@$(BIN)/python -m tests.states

test-unit: setup-dev ## Run the unit tests, in less than a minute
	$(BIN)/pytest tests/unit $(BOTH_CORES)

test-marts: setup-dev ## Load two releases, recompute every metric in Python and compare every row
	@# Without `make warehouses`, the first test waits for two releases to be loaded and built.
	$(BIN)/pytest tests/marts $(BOTH_CORES) --timeout 900

test-long: setup-dev postgresql ## Try every fault at every request, kill loads at every step, fill the disk, load a year of releases
	@# By module: pytest 9.2 ignores the groups of --dist loadgroup.
	$(BIN)/pytest -m "long $(if $(filter quick,$(FAULTS)),and not thorough)" \
		tests/integration tests/live tests/fault tests/postgres $(BOTH_CORES)

test-browser: setup-dev chromium ## Run the tests that need Chromium, installing it from Debian if missing
	$(BIN)/pytest -m browser $(BOTH_CORES)

test-postgres: setup-dev postgresql odbc ## Serve from a real PostgreSQL, installing it from Debian if missing
	$(BIN)/pytest -m "postgres and not thorough" tests/postgres -n 2 --dist worksteal

test-bi: setup-dev $(VENV_BI)/superset postgresql chromium ## Provision Superset over a real PostgreSQL and check every chart, installing missing Debian packages
	$(BIN)/pytest -m bi tests/bi --timeout 900

# One after the other: together with other tests, more than one Airflow or Superset exceeds two cores.
test-pages: test-browser
	@$(MAKE) --no-print-directory test-bi

test-compose: setup-dev ## Start the containers of docker-compose.yml and use them, if a container engine is available
	@compose=$$(tests/compose/ensure-engine); status=$$?; \
	if [ $$status = 77 ]; then echo "the containers were not tested"; exit 0; fi; \
	[ $$status = 0 ] && TEST_COMPOSE="$$compose" $(BIN)/pytest -m compose tests/compose

bench: setup-dev ## Benchmark parsing and landing against DuckDB and pandas; writes benchmarks/extraction.md (minutes)
	$(BIN)/python -m benchmarks.extraction

bench-marts: setup-dev ## Benchmark building the marts with 1 and 10 million facts; writes benchmarks/marts.md (minutes)
	$(BIN)/python -m benchmarks.marts --turns 3

docs: setup-dev ## Build the documentation site into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

docs-serve: setup-dev ## Serve the documentation site with live reload, on http://localhost:8000
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

check: setup-dev ## Check style and types, and the SQL and unit tests affected since main (or BASE=<commit>)
	@.ci/check $(BASE)

lint: setup-dev ## Check format, style, types and SQL
	@# Types take one core, SQL two: together they fill both.
	@$(MAKE) --no-print-directory --jobs 3 --keep-going --output-sync lint-style lint-types lint-sql

lint-style: setup-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-logo
	@# Spelling, and words with a better alternative in this field (docs/words.txt).
	$(BIN)/codespell
lint-types: setup-dev
	$(BIN)/mypy
lint-sql: setup-dev
	$(BIN)/sqlfluff lint --disable-progress-bar --processes 2 dbt_project

format: setup-dev ## Format Python and SQL
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/sqlfluff fix --disable-progress-bar --force dbt_project

COMPILE := $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --python-version 3.11
lock: setup ## Update the lock files
	$(COMPILE) pyproject.toml -o requirements.lock
	$(COMPILE) --extra team -c requirements.lock pyproject.toml -o requirements-team.lock
	$(COMPILE) --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	$(COMPILE) bi/requirements.in -o bi/requirements.lock
	$(COMPILE) requirements-audit.in -o requirements-audit.lock
	echo uv | $(COMPILE) - -o deploy/uv.lock

audit: $(VENV_AUDIT)/tools ## Check all lock files for known vulnerabilities (needs network access to the service)
	$(VENV_AUDIT)/bin/python deploy/audit.py requirements*.lock bi/requirements.lock deploy/uv.lock

# The runtime environments, not the test environments.
sbom: $(addprefix $(SBOM)/,requirements.cdx.json requirements-team.cdx.json bi/requirements.cdx.json) ## List the installed packages, as CycloneDX, in sbom/

$(SBOM)/%.cdx.json: %.lock pyproject.toml $(VENV_AUDIT)/tools
	@mkdir -p $(@D)
	$(VENV_AUDIT)/bin/cyclonedx-py requirements $< --pyproject pyproject.toml --output-reproducible --output-file $@

clean: ## Remove the environments and the simulator and replay state; never live state
	rm -rf $(VENV) $(VENV_BI) $(VENV_AUDIT) $(SBOM) var/simulator var/replay var/tests
