.DEFAULT_GOAL := help
PYTHON ?= python3.11
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: help demo test lint up lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(READY) ## run the main job on embedded Kafka and Postgres, with a kill -9 in the middle
	$(BIN)/tally demo

test: $(READY) lint ## lint, types, import direction and all tests, on real Kafka and Postgres
	$(BIN)/pytest

lint: $(READY) ## ruff, mypy strict, import direction
	$(BIN)/ruff check tally tests
	$(BIN)/ruff format --check tally tests
	$(BIN)/mypy
	$(BIN)/lint-imports

up: $(READY) ## keep the embedded stack and a worker running, to try it by hand
	$(BIN)/tally up

lock: $(READY) ## resolve pyproject.toml again into requirements.lock (needs uv)
	uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--group dev pyproject.toml -o requirements.lock

clean: ## remove the virtual environment and the embedded servers' data
	rm -rf $(VENV) .tally

# One install for all targets, again only when the lock or the metadata change.
$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)
