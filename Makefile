# Everything a person runs here. `make help` lists it; each target brings what it needs.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= $(shell for p in python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null \
	&& echo $$p && break; done)
BIN := .venv/bin
# The files name every package, so pip need not resolve anything: --no-deps keeps it from looking for newer ones.
INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --require-hashes
STAMPS := .venv/stamps
VENDOR := static/vendor
TESTS ?= tests
MONEY_TESTS := tests/servicing/engine tests/servicing/payments/test_month_end.py \
	$(addprefix tests/servicing/test_,$(addsuffix .py,books caps changes closing endings fees freezes history \
	lateness ledger_as_of lessons money_acts payees periods plans repayments settling subsidies tranches))
BENCHES ?= bot reminders close-day replay pages application rules backtest

.PHONY: help setup run test test-slow test-money smoke bench check fmt docs migrate requirements clean system system-bench

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

setup: $(STAMPS)/project $(VENDOR)/.done ## Install what running needs, into .venv and static/vendor

run: setup ## Start everything on http://127.0.0.1:8000 (PORT=… for another)
	@exec $(BIN)/fenqi up

smoke: setup ## Walk a borrower's journey over HTTP on free ports
	@$(BIN)/fenqi smoke

bench: setup system-bench ## Measure against yardsticks, a JSON line each (BENCHES=bot for one)
	@for name in $(BENCHES); do $(BIN)/fenqi bench $$name || failed=1; done; exit $${failed:-0}

test: setup $(STAMPS)/dev system ## Run all tests but the slow ones (TESTS=tests/kernel for some)
	@$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow" $(TESTS)

test-slow: setup $(STAMPS)/dev system ## Run the slow tests; all of them (no TESTS=…) with test-money
	@$(BIN)/pytest -m slow $(TESTS)
	@[ "$(TESTS)" != tests ] || $(MAKE) --no-print-directory test-money

# `make test` runs them on both databases; here on SQLite, but for what has statements of PostgreSQL's own.
test-money: setup $(STAMPS)/dev system ## Run the tests of money and ledger; fails unless they cover every branch
	@$(BIN)/pytest -n 2 --dist loadfile -m "not slow" -k "not postgresql or test_closing or test_periods" $(MONEY_TESTS) \
	  --cov=./servicing --cov-branch --cov-fail-under=100 --cov-report=term-missing:skip-covered

check: setup $(STAMPS)/dev ## Lint, format check, types, import contracts, spelling
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy .
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/codespell

fmt: $(STAMPS)/dev ## Format and fix what can be fixed
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

docs: setup ## Write the tables of docs/errors.md, jobs.md and retention.md out of the code
	@$(BIN)/python tests/support/doc_tables.py

migrate: setup ## Bring the database at DATABASE_URL up to date
	@$(BIN)/fenqi migrate

requirements: $(STAMPS)/dev ## Compile requirements.txt and requirements-dev.txt from their .in files
	@for name in requirements requirements-dev; do \
		$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
			--no-header --no-annotate $$name.in -o $$name.txt; done

clean: ## Remove what set-up and runs left here
	@rm -rf .venv node_modules $(VENDOR) var

$(STAMPS)/python: requirements.txt
	@[ -n "$(PYTHON)" ] || { echo "Fenqi needs python3.11 or python3.12 with venv"; exit 1; }
	@echo "Installing Python packages …"
	@[ -x $(BIN)/pip ] || $(PYTHON) -m venv .venv || { rm -rf .venv; \
		echo "$(PYTHON) cannot make a venv (on Debian: apt install python3-venv)"; exit 1; }
	@$(INSTALL) -r requirements.txt
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/project: $(STAMPS)/python pyproject.toml
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(STAMPS)/dev: $(STAMPS)/python requirements-dev.txt
	@echo "Installing what checks and tests need …"
	@$(INSTALL) -r requirements-dev.txt
	@touch $@

$(VENDOR)/.done: package-lock.json
	@command -v npm >/dev/null || { echo "Fenqi needs npm for its front-end files"; exit 1; }
	@echo "Copying front-end files …"
	@npm ci --silent --ignore-scripts
	@mkdir -p $(VENDOR)
	@cp node_modules/@tabler/core/dist/css/tabler.min.css \
		node_modules/@tabler/core/dist/js/tabler.min.js \
		node_modules/htmx.org/dist/htmx.min.js \
		node_modules/echarts/dist/echarts.min.js \
		node_modules/weui/dist/style/weui.min.css \
		node_modules/swagger-ui-dist/swagger-ui-bundle.js \
		node_modules/swagger-ui-dist/swagger-ui.css $(VENDOR)/
	@for name in @tabler/core htmx.org echarts weui swagger-ui-dist; do \
		for licence in node_modules/$$name/LICENSE* node_modules/$$name/NOTICE*; do \
			[ ! -f "$$licence" ] || cp "$$licence" "$(VENDOR)/$${name##*/}.$${licence##*/}"; done; done
	@touch $@

# Tests use a real PostgreSQL and a real browser; as root on Debian we install them, else tests say what they miss.
system: SYSTEM_PACKAGES := postgresql chromium fonts-noto-cjk libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 wrk
system-bench: SYSTEM_PACKAGES := postgresql wrk
system system-bench:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		missing=$$(for p in $(SYSTEM_PACKAGES); do \
			dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || echo $$p; done); \
		if [ -n "$$missing" ]; then \
			echo "Installing" $$missing "…"; \
			export DEBIAN_FRONTEND=noninteractive; \
			for try in 1 2 3; do \
				apt-get -qq update && apt-get -o DPkg::Lock::Timeout=120 -qq install -y \
					--no-install-recommends $$missing >/dev/null && exit 0; \
				sleep $$((try * 10)); \
			done; \
			echo "could not install" $$missing; exit 1; \
		fi; \
	fi
