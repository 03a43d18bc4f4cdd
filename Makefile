# Two commands on a fresh machine: make demo, make test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Tests start the same modules again and again: they are compiled once, whatever the environment says.
export PYTHONDONTWRITEBYTECODE =
# One worker more than processors: some tests wait for a browser, a server or another process.
WORKERS = $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN) + 1 )))

.DEFAULT_GOAL := help
.PHONY: help demo test lint ui bench docs lock format sbom audit

help: ## show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "nanodollar needs Python 3.11 or newer; set PYTHON=/path/to/python3.11 and try again."; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.lock | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

demo: $(VENV)/.installed ## run the main job on a sample fleet
	$(BIN)/nanodollar demo

lint: $(VENV)/.installed-dev ## ruff, mypy, import rules, spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell README.md CONTRIBUTING.md CHANGELOG.md docs models pipelines data/policies data/templates

test: lint ## lint, types and every test
	$(BIN)/pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder

coverage: $(VENV)/.installed-dev ## every test, and the lines of code that none runs
	@mkdir -p build
	$(BIN)/pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder --cov --cov-report=term

ui: $(VENV)/.installed ## Dagster on 127.0.0.1:3000
	$(BIN)/nanodollar ui

bench: $(VENV)/.installed-dev ## benchmarks against named peers
	$(BIN)/python -m benchmarks

docs: $(VENV)/.installed ## write the generated pages and the cookbook's answers anew
	$(BIN)/python -c "from models.schemas.dictionary import data_dictionary; print(data_dictionary())" > docs/data_dictionary.md
	$(BIN)/python -c "from models.schemas.glossary import glossary_page; print(glossary_page(), end='')" > docs/glossary.md
	$(BIN)/python -m tests.reference
	$(BIN)/python -m tests.cookbook

lock: $(VENV)/.installed-dev ## compile the locks anew
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-strip-extras -q requirements.in -o requirements.lock
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-strip-extras -q requirements-dev.in -c requirements.lock -o requirements-dev.lock

format: $(VENV)/.installed-dev ## format and fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)-audit/bin/pip-audit:
	$(PYTHON) -m venv $(VENV)-audit
	$(VENV)-audit/bin/pip install --quiet --disable-pip-version-check pip-audit cyclonedx-bom

sbom: $(VENV)-audit/bin/pip-audit ## what is locked as CycloneDX, in build/sbom.json
	@mkdir -p build
	$(VENV)-audit/bin/cyclonedx-py requirements requirements.lock --output-format JSON -o build/sbom.json

audit: sbom ## the SBOM, and known weaknesses of what is locked (asks pypi.org)
	$(VENV)-audit/bin/pip-audit --disable-pip --require-hashes -r requirements.lock --progress-spinner off
