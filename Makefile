# Every target makes what it needs, from a bare machine with Python 3.11, git and make.
PYTHON ?= python3.11
BIN := .venv/bin
.DEFAULT_GOAL := help

.PHONY: help install demo test lint types proto lock bench soak clean

help:  ## these lines
	@sed -n 's/^\([a-z]*\):.*  ## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

install: .venv/installed  ## a virtual environment with everything pinned

.venv/installed: requirements/dev.lock pyproject.toml
	@echo "Installing the pinned packages into .venv (once) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: install  ## the main job in a minute: import, trade, hold, retire, prove, verify, tamper
	@$(BIN)/python -m cli.demo

test: install lint types  ## everything that must hold before a commit
	@$(BIN)/python -m pytest -n auto --dist worksteal

lint: install
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: install
	@$(BIN)/mypy

proto: install  ## generate proto/keeling/v1 from the .proto files
	@PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/python -m grpc_tools.protoc -I proto --python_out=proto \
		--grpc_python_out=proto --mypy_out=quiet:proto --mypy_grpc_out=quiet:proto \
		--descriptor_set_out=.venv/keeling.binpb --include_imports proto/keeling/v1/*.proto
	@$(BIN)/python proto/generate.py .venv/keeling.binpb proto
	@$(BIN)/ruff format --quiet proto/keeling/operations.py proto/keeling/decoding.py

lock:  ## resolve the pinned requirements again (needs uv)
	uv pip compile pyproject.toml --extra dev --extra jetstream --generate-hashes --no-header --no-annotate -q -o requirements/dev.lock
	uv pip compile pyproject.toml --extra dev --extra jetstream --extra bench --generate-hashes --no-header --no-annotate -q -o requirements/bench.lock

bench: install  ## figures, beside the limits of the machine they ran on
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.lock
	@$(BIN)/python -m bench

soak: install  ## the long runs
	@$(BIN)/python -m pytest -n auto -m soak

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis
