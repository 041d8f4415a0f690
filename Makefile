# Every recipe works from a fresh clone on a machine with Python 3.11 to 3.13 and Java 17.

PYTHON := .venv/bin/python
READY := .venv/ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast test-all check audit format clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/:/' | awk -F': *' '{printf "  make %-9s %s\n", $$1, $$2}'

setup: $(READY) ## make .venv from requirements.lock, find or install Java 17

demo: $(READY) ## train, stream 10,000 readings, score and account for every one
	$(PYTHON) -m digitstream demo

test: $(READY) ## all tests but the longest
	$(PYTHON) -m pytest -n 2 --dist worksteal -m "not long and not compute_bound"
	$(PYTHON) -m pytest -n 2 --dist loadfile -m "not long and compute_bound"

test-fast: $(READY) ## the tests that need no JVM, while you work
	$(PYTHON) -m pytest -n 2 --dist worksteal -m "not long and not slow and not spark and not systemds and not kafka"

test-all: $(READY) ## the longest, too: every drill, 100,000 hostile payloads
	$(PYTHON) -m pytest --hypothesis-profile many -n 2 --dist worksteal -m "not compute_bound"
	$(PYTHON) -m pytest --hypothesis-profile many -n 2 --dist loadfile -m compute_bound

check: $(READY) ## ruff and mypy
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy contract digitstream keras2dml producers streaming training bench

audit: ## known weaknesses of what requirements.lock pins (asks PyPI)
	python3 -m venv .venv-audit
	.venv-audit/bin/pip install --quiet pip-audit==2.10.1
	.venv-audit/bin/pip-audit --strict --disable-pip --no-deps --requirement requirements.lock

format: $(READY) ## let ruff mend what it can
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

clean: ## remove .venv and caches; .digitstream, which holds data, stays
	rm -rf .venv .venv-audit .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(READY): requirements.lock pyproject.toml scripts/bootstrap.sh scripts/bootstrap.py
	@sh scripts/bootstrap.sh
