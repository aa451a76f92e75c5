# make run     start the server: it needs nothing but Python 3.11 or newer
# make chat    start the client (in another terminal)
# make test    run all tests;  ARGS="-k word" runs those with "word" in their name
# make lint    check style and types
# make bench   measure, and print a table
#
# Everything is installed into .venv, once, and again when pyproject.toml changes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
ARGS ?=

.DEFAULT_GOAL := run
.PHONY: run chat test lint format bench clean

run: $(VENV)/run.stamp
	@exec $(BIN)/chatd --config config.toml $(ARGS)

chat: $(VENV)/run.stamp
	@exec $(BIN)/chat $(ARGS)

test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist loadfile $(ARGS)

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/dev.stamp
	$(BIN)/python -m tests.bench $(ARGS)

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/run.stamp: pyproject.toml | $(BIN)/python
	@echo "Installing chatd into $(VENV) ..."
	@$(PIP) install --editable .
	@touch $@

# What the tests need includes what a run needs.
$(VENV)/dev.stamp: pyproject.toml | $(BIN)/python
	@echo "Installing chatd and its tools into $(VENV) ..."
	@$(PIP) install --editable '.[dev]'
	@touch $@ $(VENV)/run.stamp

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "chatd needs Python 3.11 or newer: say which with make PYTHON=python3.12" >&2; \
	  exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) || { \
	  rm -rf $(VENV); \
	  echo "Python cannot make virtual environments: on Debian and Ubuntu," \
	    "apt install python3-venv" >&2; \
	  exit 1; }
