# Python >= 3.11, make and a network are enough: each target installs what it needs into .venv,
# pinned and hashed, and is instant about it the next time.

VENV := .venv
BIN := $(VENV)/bin
BENCH := $(VENV)-bench
ARGS ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test e2e browser check lint bench bench-races chaos docs fmt lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.demo ## Run the bot with a Slack of its own in your browser; needs no workspace and no Redis
	@exec $(BIN)/python -m bot demo $(ARGS)

test: $(VENV)/.dev ## Run the tests (ARGS="-k name" for some of them)
	@exec $(BIN)/python -m $(if $(ARGS),pytest $(ARGS),tests.lanes)

e2e: $(VENV)/.dev ## Run the end-to-end tests in every shape: over HTTP and Socket Mode, in one process and with workers beside
	@exec env SIGNOFF_SHAPES="http socket http-fleet socket-fleet" $(BIN)/python -m pytest tests/e2e $(ARGS)

browser: $(VENV)/.dev ## Run the tests that drive a real Chromium
	@for program in "$$CHROMIUM" chromium chromium-browser google-chrome google-chrome-stable \
	    "/Applications/Chromium.app/Contents/MacOS/Chromium" \
	    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"; do \
	  if CHROMIUM=$$(command -v "$$program"); then \
	    export CHROMIUM; exec $(BIN)/python -m pytest -m browser $(ARGS); \
	  fi; \
	done; \
	echo "make browser: no Chromium found. Install it (Debian, Ubuntu: apt-get install chromium;" \
	  "macOS: brew install --cask chromium) or say where it is: make browser CHROMIUM=/path/to/it" >&2; \
	exit 1

check: lint ## Everything but the browser: formatting, lint, types, import contracts, tests with coverage
	@exec $(BIN)/python -m pytest --cov --cov-report=term $(ARGS)

lint: $(VENV)/.dev ## The static half of check
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(BENCH)/.bench ## Measure, peers and floors beside ours
	@exec $(BENCH)/bin/python -m pytest -m bench --capture=no tests/bench $(ARGS)

bench-races: $(BENCH)/.bench ## Let two people click at once, on ours and on each peer, and write down what came of it
	@exec $(BENCH)/bin/python -m tests.bench.double_click

# Schedules, runs, kills, stories and pairs of crashes; `make test` is content with a few of each.
CHAOS = SIGNOFF_SEEDS=5000 SIGNOFF_RUNS=1000 SIGNOFF_REDIS_KILLS=100 SIGNOFF_EXAMPLES=1000 SIGNOFF_PAIRS=1000

chaos: $(VENV)/.dev ## Run only the tests that kill servers and workers, at length, and print what they did
	@exec env $(CHAOS) $(BIN)/python -m pytest -m chaos --capture=no $(ARGS)

docs: $(VENV)/.dev ## Write anew what follows from the source: docs/api.md, and the tests named in tests/behaviours.md, tests/acceptance.md
	$(BIN)/python -m docs.make_api
	$(BIN)/python -m tests.behaviours

fmt: $(VENV)/.dev ## Format, and repair what lint can repair
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

COMPILE = $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --fork-strategy fewest \
	--generate-hashes --group build --custom-compile-command "make lock" $(ARGS)

lock: $(VENV)/.dev ## Write the lock files anew from pyproject.toml (ARGS=--upgrade for newer versions)
	$(COMPILE) --extra dev --output-file requirements.lock
	$(COMPILE) --extra embedded --constraint requirements.lock --output-file requirements-demo.lock
	$(COMPILE) --extra llm --constraint requirements.lock --output-file requirements-image.lock
	$(COMPILE) --extra bench --constraint requirements.lock --output-file requirements-bench.lock

clean: ## Remove caches and build leftovers; .venv stays
	rm -rf build dist htmlcov .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name '.venv*' -prune -o -name .git -prune -o -type d -name __pycache__ -exec rm -rf {} +

# ---------------------------------------------------------------- the virtual environment

INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check

$(VENV)/.demo: requirements-demo.lock pyproject.toml | $(BIN)/python
	@echo "Installing what the demo needs into $(VENV)"
	@$(INSTALL) --require-hashes --requirement requirements-demo.lock
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

# Holds everything the demo needs, in the same versions.
$(VENV)/.dev: requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing what the tests and tools need into $(VENV)"
	@$(INSTALL) --require-hashes --requirement requirements.lock
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $(VENV)/.demo $@

# What the tests run on and, away from it, the peers.
$(BENCH)/.bench: BIN := $(BENCH)/bin
$(BENCH)/.bench: requirements-bench.lock pyproject.toml | $(BENCH)/bin/python
	@echo "Installing what is measured into $(BENCH)"
	@$(INSTALL) --require-hashes --requirement requirements-bench.lock
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

%/bin/python:
	@for python in "$$PYTHON" python3.11 python3.12 python3.13 python3 python; do \
	  if "$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    exec "$$python" -m venv $*; \
	  fi; \
	done; \
	echo "make: found no Python >= 3.11 that can make virtual environments. Install one (Debian, Ubuntu:" \
	  "apt-get install python3 python3-venv; macOS: brew install python) or name it: make demo PYTHON=/path/to/it" >&2; \
	exit 1
