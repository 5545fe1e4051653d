.DEFAULT_GOAL := help
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
PEERS  := .venv-bench

.PHONY: help demo test asterisk faults certificate bench lint up docs lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(READY) ## run the main job on embedded Kafka and Postgres, with a kill -9 in the middle (ARGS="--contacts 2000")
	@$(BIN)/tally demo $(ARGS)

test: $(READY) lint ## lint, types, import direction, docs and tests, on real Kafka and Postgres (not: faults, asterisk)
	$(BIN)/pytest --ignore=tests/asterisk --ignore=tests/faults/groups

asterisk: $(READY) ## calls of real Asterisk releases, fetched into the user's cache by the machine's apt
	@$(BIN)/python -m tests.asterisk.fetch
	$(BIN)/pytest tests/asterisk

faults: $(READY) ## every fault test: workers, broker, Postgres and events, each with its pass figure
	$(BIN)/pytest -m alone --durations=0 --durations-min=1 tests/faults
	$(BIN)/pytest -m "not alone" -n 2 --dist loadfile --durations=0 --durations-min=1 tests/faults

certificate: $(READY) ## 200,000 events under 50 kills and 25 other faults, four seeds, and long outages; writes docs/certificate.md
	@$(BIN)/python -m tests.faults.certificate --write

bench: $(READY) $(PEERS)/.ready ## throughput beside Faust and quixstreams, freshness, reads, growth, noise; writes docs/benchmarks.md
	@$(BIN)/python -m bench --peers $(PEERS)/bin/python --write docs/benchmarks.md

lint: $(READY) ## ruff, mypy strict, import direction, generated parts of the docs
	$(BIN)/ruff check tally tests bench examples
	$(BIN)/ruff format --check tally tests bench examples
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/cog --check README.md docs/*.md tally/deploy/views.sql

up: $(READY) ## keep the embedded stack and a worker running, to try it by hand
	@$(BIN)/tally up

docs: $(READY) ## write the generated parts of the docs again
	$(BIN)/cog -r README.md docs/*.md tally/deploy/views.sql

lock: $(READY) ## resolve again what is needed, and what only the benchmarks need, into the locks (needs uv)
	uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--group dev pyproject.toml -o requirements.lock
	uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		bench/peers/requirements.in -o requirements-bench.lock

clean: ## stop the embedded servers and remove their data and the virtual environments
	@test ! -x $(BIN)/tally || $(BIN)/tally down
	rm -rf $(VENV) $(PEERS) .tally

# One install for all targets, again only when the lock or the metadata change.
$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" && $(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || { \
		echo "Python 3.11 is needed, and $(if $(PYTHON),$(PYTHON) is another,there is no Python): install it, or say where it is: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@echo "setting up $(VENV) (once)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)

# The peers have an environment of their own, made for the first `make bench`.
$(PEERS)/.ready: requirements-bench.lock
	@echo "setting up $(PEERS) (once)"
	@$(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-bench.lock
	@touch $@
