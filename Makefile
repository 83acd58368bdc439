# Everything a fresh machine needs is Python 3.11 or newer, git and make. Each target sets up what it uses.

VENV := .venv
BIN := $(VENV)/bin
# What Scoreline is measured beside lives apart: it must not decide which versions Scoreline is tested with.
PEERS := .venv-peers
# The first Python on the path that is new enough and can make virtual environments.
FIT := import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	"$$p" -c '$(FIT)' 2>/dev/null && echo "$$p" && break; done)
define NO_PYTHON
No usable Python: Scoreline needs 3.11 or newer, with its venv and ensurepip modules.
  Debian, Ubuntu: apt-get install python3-venv (for another version: python3.12 python3.12-venv)
  or name one:    make PYTHON=/path/to/python3.12
endef
export NO_PYTHON

# Stamps carry a sum of this folder's name: a checkout that was moved or copied makes its environment anew.
STAMPS := $(VENV)/stamps-$(shell pwd | cksum | cut -d' ' -f1)

export UV_PYTHON_DOWNLOADS := never
# Tests start hundreds of processes; none of them should compile again what another one has imported.
unexport PYTHONDONTWRITEBYTECODE
export PIP_DISABLE_PIP_VERSION_CHECK := 1

PIP := $(BIN)/python -m pip
UV := $(BIN)/uv
# uv is fast, but reads none of pip's configuration: where it can't be had or can't reach its index, pip does it.
install = $(call install-into,$(BIN)/python,$(1))
install-into = { test -x $(UV) && $(UV) pip install --python $(1) $(2); } || \
	{ echo "Going on with pip: slower, same result."; $(1) -m pip install $(2); }

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help setup demo test test-versions fuzz lint bench bench-peers requirements clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMPS)/dev $(STAMPS)/scoreline ## Make .venv with everything for development
	@echo "Ready: $(BIN)/scoreline, $(BIN)/python"

demo: $(STAMPS)/demo $(STAMPS)/scoreline ## Train on a month of taxi trips, score two more (DATA=folder: your own files)
	@$(BIN)/python examples/nyc_green/demo.py $(if $(DATA),--data "$(DATA)") $(ARGS)

# Tests wait for processes and disks half of their time, so three files at once keep two cores busy. A file stays
# with one worker, for its fixtures. Debuggers and live output need one process: ARGS="-n 0 ...".
test: $(STAMPS)/dev $(STAMPS)/scoreline ## Run the tests (ARGS="-k name" and the like)
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile $(ARGS)

test-versions: $(STAMPS)/dev $(STAMPS)/scoreline ## Score models made by scikit-learn 1.0 to 1.8 (minutes)
	$(BIN)/python -m pytest tests/versions $(ARGS)

fuzz: $(STAMPS)/dev $(STAMPS)/scoreline ## Run the property tests with new random examples (minutes)
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile -m hypothesis --hypothesis-profile=fuzz $(ARGS)

lint: $(STAMPS)/dev $(STAMPS)/scoreline ## Check style, types and layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: $(STAMPS)/bytecode $(STAMPS)/scoreline ## Measure (ARGS: what and how much)
	@$(BIN)/python -m compileall -q src benchmarks
	$(BIN)/python -m benchmarks $(ARGS)

bench-peers: $(STAMPS)/peers $(STAMPS)/bytecode $(STAMPS)/scoreline ## Measure beside Spark, MLflow and Ray Data (Java 17; long)
	@$(BIN)/python -m compileall -q src benchmarks
	$(BIN)/python -m benchmarks --targets $(ARGS)

clean: ## Remove .venv and caches; results and data stay
	rm -rf $(VENV) $(PEERS) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests examples benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# ---------------------------------------------------------------------------------------- environment

$(STAMPS)/venv: requirements/uv.txt
	@"$(PYTHON)" -c '$(FIT)' 2>/dev/null || { \
		echo "$$NO_PYTHON"; \
		echo "  tried:          $(or $(PYTHON),python3), $$($(or $(PYTHON),python3) --version 2>&1)"; \
		exit 1; } >&2
	"$(PYTHON)" -m venv --clear $(VENV)
	@$(PIP) install --quiet --require-hashes -r requirements/uv.txt || echo "uv could not be installed."
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/demo: requirements/demo.txt $(STAMPS)/venv
	@$(call install,--require-hashes -r requirements/demo.txt)
	@touch $@

$(STAMPS)/dev: requirements/dev.txt $(STAMPS)/demo
	@$(call install,--require-hashes -r requirements/dev.txt)
	@touch $@

# Only benchmarks wait for this: without bytecode, start-up figures would measure Python's compiler. What does
# not compile is a vendor's template file.
$(STAMPS)/bytecode: $(STAMPS)/dev
	@$(BIN)/python -m compileall -q -j 0 $(VENV)/lib >/dev/null 2>&1 || true
	@touch $@

# Java is the machine's own: the benchmark says what to install where there is none, and measures the rest.
$(STAMPS)/peers: requirements/peers.txt $(STAMPS)/dev
	"$(PYTHON)" -m venv --clear $(PEERS)
	@$(call install-into,$(PEERS)/bin/python,--require-hashes -r requirements/peers.txt)
	@$(PEERS)/bin/python -m compileall -q -j 0 $(PEERS)/lib >/dev/null 2>&1 || true
	@touch $@

# The project itself, editable; its build backend came with the requirements, so nothing is downloaded here.
$(STAMPS)/scoreline: pyproject.toml $(STAMPS)/demo
	@$(call install,--no-deps --no-build-isolation --editable .)
	@touch $@

# ---------------------------------------------------------------------------------------- requirements

requirements: $(STAMPS)/venv ## Pin anew what pyproject.toml asks for (ARGS=--upgrade: newest versions)
	$(COMPILE) --group uv --output-file requirements/uv.txt
	$(COMPILE) pyproject.toml --extra sklearn --extra mlflow --group build --output-file requirements/demo.txt
	$(COMPILE) pyproject.toml --extra sklearn --extra mlflow --extra metrics --extra trees --extra xgboost --extra lightgbm \
		--extra onnx --group build --group dev \
		--constraints requirements/demo.txt --output-file requirements/dev.txt
	$(COMPILE) requirements/peers.in --constraints requirements/demo.txt --output-file requirements/peers.txt
	for file in requirements/versions/*.in; do \
		$(COMPILE) "$$file" --output-file "$${file%.in}.txt" || exit 1; done

# One version of each package for every Python from 3.11 on; no index addresses in the result.
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
	--generate-hashes \
	--custom-compile-command "make requirements" $(ARGS)
