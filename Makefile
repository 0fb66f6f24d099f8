# Every target makes the virtual environment itself when it is missing or older than the locks.
# Needs: python3 (3.11 or newer) with its venv module, and make. PYTHON=... picks another one.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := $(VENV)/.installed-run
DEV := $(VENV)/.installed-dev

.PHONY: help install demo test check bench lock docs example clean

help: ## show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 20

install: $(RUN) ## the virtual environment with what running needs; then .venv/bin/outrider

# The hour in which a user counts once begins at a minute that depends on the user's hash, so
# another key moves figures a little. Nobody in the demo exists: its key is no secret.
demo example: export OUTRIDER_PRIVACY_KEY := the key of the demo is no secret

demo: $(RUN) ## simulate one outage, find it in the logs, write the report
	@$(BIN)/outrider demo $(ARGS)

# By module, so that what a module makes ready (a broker, a simulated month) is made once; the
# slow modules begin first (tests/conftest.py), not those with the most tests.
test: $(DEV) ## the tests; ARGS="-k name" picks some
	@$(BIN)/pytest -n auto --dist loadscope --no-loadscope-reorder $(ARGS)

trial: $(DEV) ## a live run on loopback: a made-up tenant behind its services; Ctrl-C ends it
	@$(BIN)/python -m tests.live_sources.trial $(ARGS)

check: ## everything that CI runs
	@./.ci/run

bench: $(DEV) ## every benchmark, each beside a named peer; takes long
	@set -e; for script in benchmarks/bench_*.py; do \
		test -e "$$script" || continue; echo "== $$script"; $(BIN)/python "$$script" $(ARGS); done

# Both locks come from one resolution: the second is constrained by the first.
LOCK := uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
	--no-annotate
lock: $(DEV) ## write the lock files anew from pyproject.toml; ARGS=--upgrade takes newer versions
	$(BIN)/$(LOCK) $(ARGS) pyproject.toml --extra otel --group build -o requirements.lock
	$(BIN)/$(LOCK) $(ARGS) pyproject.toml --group dev -c requirements.lock -o requirements-dev.lock

docs: $(DEV) ## write the reference tables and the JSON Schemas anew from the program
	$(BIN)/python docs/reference.py

example: $(DEV) ## run the demo and write the README's example anew
	@$(BIN)/outrider demo --no-open --out demo >.example.txt
	@$(BIN)/python docs/reference.py --demo .example.txt; status=$$?; rm -f .example.txt; exit $$status

clean: ## remove the environment, caches and demo output
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache demo out build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { \
		echo "outrider needs Python 3.11 or newer and found no '$(PYTHON)'; install one, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "outrider needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) -V 2>&1). Name another one: make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "'$(PYTHON)' has no venv module; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

# The locks hold every package with its hashes; the project itself is linked, not built anew.
define install_from
	@echo "Installing from $(1) into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
endef

$(RUN): requirements.lock pyproject.toml | $(BIN)/python
	$(call install_from,requirements.lock)

$(DEV): requirements-dev.lock requirements.lock pyproject.toml | $(BIN)/python
	$(call install_from,requirements-dev.lock)
	@touch $(RUN)
