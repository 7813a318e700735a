# Two commands do all set-up on a fresh machine: `make conformance` and `make test`. `make help` lists the rest.
#
# Variables: PYTHON (interpreter, 3.11 or newer), ARGS (more arguments for `islanding run` or pytest).

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup venv test lint types conformance bench killsweep tamper oscal lock clean
.NOTPARALLEL:

BIN := .venv/bin
export PYTHON

help: ## List these commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 20

venv:
	@requirements/venv.sh

setup: venv ## Set everything up: Python packages, parts, machine image (once; resumable)
	$(BIN)/islanding setup

conformance: setup ## Bring the sites up, run suites and experiments, write the report
	$(BIN)/islanding run $(ARGS)

test: setup lint types ## All of the harness's own tests: lint, types, import rules, unit and lab tests
	@requirements/debian.sh
ifdef ARGS
	$(BIN)/python -m pytest $(ARGS)
else
	$(BIN)/python -m pytest -n auto tests/unit
	$(BIN)/python -m pytest tests/lab
endif

lint: venv ## Style and import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

types: venv ## Types
	$(BIN)/mypy

bench: setup ## Print the figures of docs/performance.md, as ratios from one run
	$(BIN)/python -m benchmarks $(ARGS)

killsweep: setup ## Kill runs 1,000 times, look for what they leave, write docs/reliability.md (ARGS="--keep FILE": in several sittings)
	$(BIN)/python -m tests.killsweep --report docs/reliability.md $(ARGS)

tamper: venv ## Tamper with bundles of evidence 10,000 times, and at every byte in turn
	$(BIN)/python -m tests.tamper --every-byte $(ARGS)

oscal: venv ## Validate OSCAL files by compliance-trestle (ARGS: runs' folders; without them a run made up)
	@python=$$(PYTHON=$(abspath $(BIN)/python) requirements/oscal.sh) && $(BIN)/python -m tests.oscal "$$python" $(ARGS)

lock: venv ## Lock the newest packages that pyproject.toml allows
	$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --extra dev pyproject.toml -o requirements/dev.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header -c requirements/dev.lock pyproject.toml -o requirements/run.lock
	$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header requirements/oscal.in -o requirements/oscal.lock

clean: ## Remove what was made in the checkout (parts stay in the user's cache folder)
	rm -rf .venv .tox build dist htmlcov .coverage .coverage.* *.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
