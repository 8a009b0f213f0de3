# The two that a newcomer needs: `make demo` and `make test`. Each makes .venv and installs what it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help demo test unit slow check lint types docs format bench dist matrix audit faults clean

help:
	@echo "make demo    fit a 5-gram model, measure its perplexity, sample from it (base install only)"
	@echo "make test    everything that CI runs: lint, types, rooms, tests"
	@echo "make slow    the tests that take long, and property tests with more examples"
	@echo "make docs    generate man pages and completions again"
	@echo "make format  format the code"
	@echo "make bench   measure speed; see benchmarks/README.md"
	@echo "make faults  kill, damage, fill, starve and race commands, for an hour or so (SHARE=0.1: a tenth)"
	@echo "make dist    build wheel and sdist, twice, and compare their bytes"
	@echo "make audit   list the packages of the base install: versions, sizes, licences, known vulnerabilities"
	@echo "make matrix  install the wheel with every Python, pipx and uv found, and try each"

$(BIN)/python:
	@echo "== making a virtual environment in $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "lmkit needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/base: $(BIN)/python pyproject.toml
	@echo "== installing lmkit and its base dependencies into $(VENV)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/tested: $(BIN)/python pyproject.toml
	@echo "== installing lmkit with its test and development tools into $(VENV)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test,dev]'
	@touch $@ $(VENV)/base

demo: $(VENV)/base
	@$(MAKE) --no-print-directory -f examples/demo.mk LMKIT=$(CURDIR)/$(BIN)/lmkit

test: lint
	@$(MAKE) --no-print-directory -j 2 types unit

unit: $(VENV)/tested
	MAKEFLAGS= $(BIN)/python -m pytest -q -n auto -m "not slow"

slow: $(VENV)/tested
	$(BIN)/python -m pytest -q -n auto -m "slow or hypothesis" --hypothesis-profile thorough -o faulthandler_timeout=1800

check: lint types

lint: $(VENV)/tested
	$(BIN)/ruff format --check lmkit tests benchmarks
	$(BIN)/ruff check lmkit tests benchmarks
	$(BIN)/lint-imports --no-cache
	$(BIN)/python tests/wording.py

types: $(VENV)/tested
	$(BIN)/mypy

docs: $(VENV)/tested
	$(BIN)/python -m lmkit.manual

format: $(VENV)/tested
	$(BIN)/ruff format lmkit tests benchmarks
	$(BIN)/ruff check --fix lmkit tests benchmarks

bench: $(VENV)/base
	$(BIN)/python benchmarks/ngram.py --help

SHARE ?= 1
faults: $(VENV)/tested
	$(BIN)/python tests/faults/campaign.py --share $(SHARE) --keep build/faults

dist: $(VENV)/tested
	rm -rf dist build/again
	$(BIN)/python -m hatchling build -d dist
	$(BIN)/python -m hatchling build -d build/again
	@cd dist && for file in *; do cmp "$$file" "../build/again/$$file" || exit 1; done
	@cd dist && sha256sum *

matrix: dist
	$(BIN)/python tests/packages/matrix.py dist/*.whl

audit: $(VENV)/base
	$(BIN)/python -m pip install --quiet --disable-pip-version-check pip-audit
	$(BIN)/python tests/packages/audit.py

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
