# Verbs of this project; CI uses the same ones. Needs Python 3.11-3.13 and make.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
export MLPLATFORM_HOME ?= $(CURDIR)/.mlplatform

.PHONY: help demo ui test test-all test-aws bench lint types docs site lock clean

help: ## What there is
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: $(VENV)/.base ## The whole loop on real prices, from a stream to an endpoint that refreshes itself (KEEP=1 leaves it running; DEMO_ARGS=--short, its first minute)
	@$(BIN)/python -m examples.stock_prices.demo $(if $(KEEP),--keep) $(DEMO_ARGS)

ui: $(VENV)/.base ## Worker, endpoints, gateway and the Dagster UI under one supervisor
	@$(BIN)/mlplatform serve --ui

test: $(VENV)/.dev system-gcc system-java ## All tests but the slow ones
	$(BIN)/pytest -n 2 --dist loadscope -m "not slow" $(TEST_ARGS)

test-all: $(VENV)/.dev system-gcc system-java system-chromium ## All tests, the slow ones and those in a browser too
	MLPLATFORM_TEST_RANDOM=yes $(BIN)/pytest -n 2 --dist loadscope $(TEST_ARGS)

test-aws: $(VENV)/.dev ## What only AWS can show, there: MLPLATFORM_TEST_AWS=yes, credentials, the profile aws's variables
	$(BIN)/pytest mlplatform_tests/aws $(TEST_ARGS)

bench: $(VENV)/.dev system-wrk system-chromium ## Measure beside peers, each in its own environment (IDS="serving ingest", BENCH_ARGS=--full)
	$(BIN)/python -m benchmarks $(IDS) $(BENCH_ARGS)

lint: $(VENV)/.dev ## Style, import contracts, locks in step with pyproject.toml
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

types: $(VENV)/.dev ## Strict types
	$(BIN)/mypy

docs: $(VENV)/.dev ## Generated pages: docs/reference, docs/warehouses.md, docs/profiles.md
	$(BIN)/python -m mlplatform.cli.reference docs/reference
	$(BIN)/python -m mlplatform.gateway.reference docs/reference
	$(BIN)/python -m mlplatform_tests.conformance.warehouse_page docs/warehouses.md
	$(BIN)/python -m mlplatform_tests.conformance.profiles_page docs/profiles.md

site: $(VENV)/.dev docs ## The documentation as a site under site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

lock: $(VENV)/.uv ## Resolve the locks anew
	$(UV) pip compile $(LOCK_FLAGS) pyproject.toml --extra s3 --extra postgres --extra redshift --extra snowflake --extra hive --extra lambda --extra dev --extra build -o requirements/dev.lock
	$(UV) pip compile $(LOCK_FLAGS) pyproject.toml --extra build -c requirements/dev.lock -o requirements/base.lock
	$(UV) pip compile $(LOCK_FLAGS) requirements/uv.in -o requirements/uv.lock
	$(UV) pip compile $(LOCK_FLAGS) --no-deps requirements/example-data.in -o requirements/example-data.lock

LOCK_FLAGS := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --upgrade --quiet

$(VENV)/.uv: requirements/uv.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else f"mlplatform needs Python 3.11, 3.12 or 3.13; {sys.executable} is {v[0]}.{v[1]}. Set PYTHON=python3.12, say.")'
	@echo "Setting up $(VENV): the installer ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.lock
	@touch $@

# A development environment has all that the base has: it is not taken back.
$(VENV)/.base: requirements/base.lock requirements/example-data.lock pyproject.toml | $(VENV)/.uv
	@if [ -f $(VENV)/.dev ]; then $(MAKE) --no-print-directory $(VENV)/.dev; else \
	echo "Setting up $(VENV): packages, with bytecode (about a minute) ..."; \
	$(UV) pip sync --python $(BIN)/python --quiet --compile-bytecode --require-hashes requirements/base.lock; \
	$(call install_project) fi
	@touch $@

$(VENV)/.dev: requirements/dev.lock requirements/example-data.lock pyproject.toml | $(VENV)/.uv
	@echo "Setting up $(VENV): packages and development tools, with bytecode (about a minute) ..."
	@$(UV) pip sync --python $(BIN)/python --quiet --compile-bytecode --require-hashes requirements/dev.lock
	@$(call install_project) true
	@touch $@

define install_project
$(UV) pip install --python $(BIN)/python --quiet --no-deps --compile-bytecode --require-hashes -r requirements/example-data.lock; \
$(UV) pip install --python $(BIN)/python --quiet --no-deps --no-build-isolation --compile-bytecode -e .; \
$(BIN)/python -m compileall -q mlplatform;
endef

# Debian's packages: Java and gcc for 'make test', chromium and wrk for what takes longer.
system-java: # for Hive's stand-in
	@command -v java > /dev/null || { echo "Installing Java 17 ..."; apt-get update -qq && apt-get install -y -qq openjdk-17-jre-headless > /dev/null; }

system-%:
	@command -v $* > /dev/null || { echo "Installing $* ..."; apt-get update -qq && apt-get install -y -qq $* > /dev/null; }

clean: ## Remove the environment and all state of this checkout
	rm -rf $(VENV) .test-env .mlplatform build dist site
