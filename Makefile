# One word per chore; CI uses the same words. Needs Python >= 3.11 with venv, and nothing else.
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
STAMP   = $(VENV)/.installed
# All tests run in several processes, some of them (T=tests/functions) in one.
TESTS   = $(or $(T),-n auto --dist worksteal)
SAM     = .venv-sam/.installed
AUDIT   = .venv-audit/.installed

.PHONY: help setup page demo serve build sam-local test test-long test-browser test-containers check format compile bench bench-middleware screenshot clean

help:  ## list the chores
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

setup: $(STAMP)  ## install everything into .venv

$(STAMP): requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, found " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	@touch $@

$(SAM): requirements-sam.txt $(STAMP)
	@test -x .venv-sam/bin/python || $(PYTHON) -m venv .venv-sam
	@$(BIN)/uv pip install --quiet --python .venv-sam/bin/python --require-hashes -r requirements-sam.txt
	@touch $@

$(AUDIT): requirements-audit.txt $(STAMP)
	@test -x .venv-audit/bin/python || $(PYTHON) -m venv .venv-audit
	@$(BIN)/uv pip install --quiet --python .venv-audit/bin/python --require-hashes -r requirements-audit.txt
	@touch $@

page: setup  ## bring the page's chart library from npm, where there is npm
	@$(BIN)/python -m local.tools.vendor

demo: page  ## a sample app, real traffic, its dashboard (ONCE=1: show it and exit)
	@$(BIN)/python -m local demo $(if $(ONCE),--once)

serve: page  ## the service on port 3000, data kept in .data
	@$(BIN)/python -m local serve --data .data

build: page $(SAM)  ## sam build, compiled and trimmed, in .aws-sam (RUNTIME=3.12 ARCH=arm64 SNAPSTART=1)
	@$(BIN)/python -m local.tools.build $(if $(RUNTIME),--runtime $(RUNTIME)) $(if $(ARCH),--architecture $(ARCH)) $(if $(SNAPSTART),--snapstart)

sam-local: build  ## the built functions in containers, on port 3000 (needs a Docker engine)
	@$(BIN)/python -m local.tools.sam

test: page  ## every test that needs neither Docker nor a browser (T=tests/functions: these alone)
	$(BIN)/python -m pytest -m "not container and not browser" $(TESTS)

test-long: page  ## the searches among them in full: all schedules, floods, storms, twenty times as many examples
	$(BIN)/python -m pytest --long -m "(long or hypothesis) and not container and not browser" $(TESTS)

test-browser: setup  ## the web page in Chromium (Debian: apt-get install chromium; needs npm)
	@npm ci --silent
	@$(BIN)/python -m local.tools.vendor --strict
	$(BIN)/python -m pytest -m browser tests/page

test-containers: build $(AUDIT)  ## the built functions, in Lambda's emulator and in containers; the stack itself
	$(BIN)/python -m pytest -m container tests/contract tests/deploy tests/client_middleware

check: setup  ## lint, format, types, import floors, dead code, spelling, links, pinned requirements, the API's document
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/vulture
	$(BIN)/typos
	$(BIN)/python -m pytest -q tests/test_markdown.py
	$(BIN)/python -m local.tools.requirements --check
	$(BIN)/python -m local.tools.openapi --check
	@! command -v npm >/dev/null || { npm ci --silent && npm run --silent check; }

format: setup  ## let ruff put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

compile: setup  ## pin requirements anew from pyproject.toml
	$(BIN)/python -m local.tools.requirements

bench: setup  ## measure ingest and dashboard, each beside SQLite
	$(BIN)/python -W ignore -m bench.ingest
	$(BIN)/python -W ignore -m bench.dashboard
	$(BIN)/python -m bench.scale

bench-middleware: setup  ## what tracking adds to a request, beside its peers (installs them into .venv-bench)
	$(BIN)/python -m bench.middleware

screenshot: page  ## take the README's picture of the page
	$(BIN)/python -m local.tools.screenshot

clean:  ## remove what the chores made
	rm -rf $(VENV) .venv-* .aws-sam dist node_modules functions/dashboard/static/vendor .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage
