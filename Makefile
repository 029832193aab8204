# Everything runs in .venv, which is made from the locked and hashed requirements.
# CI runs these very targets: see .ci/run.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
OPS_PACKAGES := redis-server redis-sentinel redis-tools prometheus
BROWSER_PACKAGES := chromium fonts-dejavu-core
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq

.DEFAULT_GOAL := help
.PHONY: help run shop test ops browser soak check format lint types imports docs-examples bench bench-tables lock-bench \
  journey mutate lock clean

help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(STAMP) ## Start broker, workers and gateway, show the example, stay up until Ctrl-C.
	@$(BIN)/caas up

shop: $(STAMP) ## Start the example shop; `make run` must be running in another terminal.
	@SHOP_PORT=$(or $(PORT),8080) examples/shop/start $(BIN)/python

test: $(STAMP) ## Run all tests and hold the coverage to its threshold.
	@$(BIN)/python -m pytest --cov --cov-report=term $(ARGS)

ops: $(STAMP) ## Check what operators run: images, manifests, TLS, ACL, Sentinel (Debian packages; root installs them).
	@sh tests/install_packages.sh $(OPS_PACKAGES)
	@$(BIN)/python -m pytest -m ops tests/ops $(ARGS)

browser: $(STAMP) ## Drive the pages that people see in Chromium (a Debian package; root installs it).
	@sh tests/install_packages.sh $(BROWSER_PACKAGES)
	@$(BIN)/python -m pytest -m browser tests/browser $(ARGS)

soak: $(STAMP) ## Kill, restart and cut everything for minutes; no call may be wrong, lost or late.
	@$(BIN)/python -m pytest -m soak tests/soak $(ARGS)

check: $(STAMP) ## Check format, lint, types, import directions and the documentation's examples.
	@echo "== format"; $(BIN)/ruff format --check .
	@$(MAKE) --no-print-directory lint types imports docs-examples

format: $(STAMP) ## Format the code and sort its imports.
	@$(BIN)/ruff check --select I --fix --quiet .
	@$(BIN)/ruff format .

lint: $(STAMP) ## Run the linter.
	@echo "== lint"; $(BIN)/ruff check .

types: $(STAMP) ## Run the type checker, strict.
	@echo "== types"; $(BIN)/mypy
	@$(BIN)/mypy $(wildcard tests/typing/*.py benchmarks/*.py examples/journey/*.py) requirements/lock.py
	@MYPYPATH=examples/shop $(BIN)/mypy -p shop

imports: $(STAMP) ## Check that imports go one way.
	@echo "== imports"; $(BIN)/lint-imports

docs-examples: $(STAMP) ## Run the examples of the README and of docs/.
	@echo "== examples"
	@if [ -d tests/docs ]; then $(BIN)/python -m pytest -q tests/docs; else echo "none yet"; fi

bench: $(STAMP) ## Compare with other queues and services in one run (20 minutes; ARGS=--quick: 3).
	@$(BIN)/python -m benchmarks $(ARGS)

bench-tables: $(STAMP) ## Write the tables of both READMEs from a stored result: RESULT=benchmarks/results/….json.
	@$(BIN)/python -m benchmarks.report $(RESULT)

journey: $(STAMP) ## Record the README's picture from a real run: PICTURE=docs/images/journey.svg.
	@$(BIN)/python examples/journey/record.py $(or $(PICTURE),docs/images/journey.svg)

lock-bench: $(STAMP) ## Resolve the requirements of the benchmark's peers anew.
	@$(BIN)/python requirements/lock.py bench $(ARGS)

mutate: $(STAMP) ## Run mutation testing on envelope, keystore and operations (long).
	@$(BIN)/mutmut run $(ARGS)

lock: $(STAMP) ## Resolve the requirements anew and write them with versions and hashes.
	@$(BIN)/python requirements/lock.py $(ARGS)

clean: ## Remove .venv, caches and reports; keystores in .caas stay.
	@rm -rf $(VENV) build dist mutants htmlcov coverage.xml .coverage .coverage.* *.egg-info \
	  .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): requirements/dev.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed and was not found."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11."; exit 1; }
	@test -x $(BIN)/python || { echo "Making $(VENV) ..."; $(PYTHON) -m venv $(VENV); }
	@echo "Installing the locked requirements into $(VENV) (about a minute the first time) ..."
	@$(PIP) install --require-hashes --requirement requirements/dev.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@
