# Everything that is done with the project, each in one word. `make` alone lists it.
# A fresh machine needs Python 3.11 or newer; what else a target needs it gets, or says.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
HOMES ?= 20
# Files of tests that run at the same time, each with servers of its own. More need more processors.
WORKERS ?= 2

# Kept in step with the lock files: what is newer than its stamp is installed again.
INSTALLED := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev

.DEFAULT_GOAL := help
.PHONY: help run test test-long check format up down lock clean

help: ## lists these targets
	@echo "make TARGET [ARGS='…']"
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' Makefile | while IFS='|' read -r target text; do \
	  printf '  %-10s %s\n' "$$target" "$$text"; done

run: $(INSTALLED) ## the whole market in one process; ARGS='--homes 50 --pace 0.2'
	@$(BIN)/energymarket run $(ARGS)

test: $(INSTALLED_DEV) ## every test that takes seconds, against real servers; ARGS='-k price'
	@scripts/test-servers.sh
	$(BIN)/python -m pytest -m 'not long' --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

test-long: $(INSTALLED_DEV) ## the tests that take minutes
	@scripts/test-servers.sh
	$(BIN)/python -m pytest -m long $(ARGS)

check: $(INSTALLED_DEV) ## format, lint, strict types, then the tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	@$(MAKE) --no-print-directory test

format: $(INSTALLED_DEV) ## puts the source into the format that check wants
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

up: ## the containers, HOMES=20 of them homes, in the background
	docker compose up --build --detach --scale home=$(HOMES)

down: ## stops the containers, those of every profile too; the ledger is kept
	docker compose --profile '*' down

lock: $(INSTALLED) ## renews the lock files of the dependencies
	$(BIN)/python scripts/lock.py

clean: ## removes .venv and every cache; no ledger
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find energymarket services lab tests bench -name __pycache__ -prune -exec rm -rf {} +

# The locks name everything, hence --no-deps. The constraints pin the tool that builds the project,
# under both of the names that versions of pip know them by.
$(INSTALLED): requirements.lock requirements-parquet.lock pyproject.toml scripts/make-venv.sh
	@scripts/make-venv.sh $(VENV)
	@echo "installing requirements.lock"
	@$(PIP) install --no-deps --requirement requirements.lock
	@$(PIP) install --no-deps --only-binary :all: --requirement requirements-parquet.lock \
	  || echo "pyarrow cannot be had for this machine: exported tables will be CSV alone"
	@PIP_CONSTRAINT=requirements-dev.lock PIP_BUILD_CONSTRAINT=requirements-dev.lock \
	  $(PIP) install --no-deps --editable .
	@touch $@

$(INSTALLED_DEV): $(INSTALLED) requirements-otlp.lock requirements-dev.lock
	@echo "installing requirements-otlp.lock and requirements-dev.lock"
	@$(PIP) install --no-deps --requirement requirements-otlp.lock --requirement requirements-dev.lock
	@touch $@
