# Two commands: `make study` (from nothing to a page to look at) and `make test` (the whole suite).
# VENV=folder puts the environment elsewhere, PYTHON=/path/to/python3.12 chooses the interpreter, OUT=folder where the study goes.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV ?= .venv
OUT ?= study
WORKERS ?= 2
BIN := $(VENV)/bin

# MuJoCo reads MUJOCO_GL when it is imported. Numeric libraries are kept to one thread in the tests, which run in parallel processes.
export MUJOCO_GL ?= egl
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1

.PHONY: help study install install-dev test check lint lock clean

help:  ## what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-12s %s\n", $$1, $$2}' Makefile

study: install  ## install what is needed, record the agent in four tasks, analyse, and write a page
	@$(BIN)/vrodent study --quick --out '$(OUT)'

install:  ## make the environment with the pinned versions that running needs
	@VENV='$(VENV)' bash scripts/setup.sh run

install-dev:  ## the same and what the tests need
	@VENV='$(VENV)' bash scripts/setup.sh dev

test: install-dev lint  ## imports between the rooms, style, types, and every test
	$(ONE_THREAD) $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

check: install-dev lint  ## the same without the tests marked slow
	$(ONE_THREAD) $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m 'not slow'

lint: install-dev
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/pyright --pythonpath $(BIN)/python

lock:  ## choose the newest versions that fit anew and write their hashes (needs uv)
	python3 scripts/lock.py --upgrade

clean:  ## remove the environment and caches, never recordings or runs
	rm -rf '$(VENV)' .pytest_cache .ruff_cache .import_linter_cache
