# Every target with a `##` comment shows in `make help`; .ci/run calls these and nothing else.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
# Files stay together, for their fixtures, and in order: the long ones of tests/acceptance come first.
PARALLEL ?= -n 2 --dist loadfile --no-loadscope-reorder
STAMP := $(VENV)/.installed
EMULATOR := local-slack-linux-x64@0.1.8
EMULATOR_SHA512 := d810932b129a8e364d5824828fae89ab954349c503369199d65037dbcd48f11be90c4e3f50b0b00b6e9395c5baff8b0f6d24ecd364372a34e296d269dd9044be

.PHONY: help setup demo up test check fmt lint types imports cov docs base-model browser emulator test-ray contract serving-clients tgi-smoke clean

help: ## show this list
	@grep -hE '^[a-z][a-z%-]*:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | sort | awk -F'\t' '{printf "  %-18s %s\n", $$1, $$2}'

setup: $(STAMP) ## create .venv with everything (torch 2.13.0 first, pinned exactly)

# torch goes in first and by its exact pin: a range would bring gigabytes of GPU packages.
$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[train,dev]'
	@touch $(STAMP)

demo: setup ## run the whole loop offline on the sample company, with the before/after table
	$(BIN)/understudy demo $(ARGS)

up: setup ## start the local stack to play with by hand (sandbox workspace in a browser)
	$(BIN)/understudy up $(ARGS)

test: setup browser ## run the whole test suite, in two processes
	$(BIN)/pytest -q $(PARALLEL) $(ARGS)

check: setup fmt-check lint types imports ## formatting, lint, types, import rules

fmt: setup ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

fmt-check: setup
	$(BIN)/ruff format --check .

lint: setup ## lint
	$(BIN)/ruff check .

types: setup ## mypy strict over source and tests
	$(BIN)/mypy bot feedback retrain deploy migrations tests

imports: setup ## the arrows between the packages
	$(BIN)/lint-imports

cov: setup browser ## test suite with a coverage report in htmlcov/
	$(BIN)/pytest -q $(PARALLEL) --cov --cov-report=term --cov-report=html $(ARGS)

browser: ## Chromium for the tests that drive a real browser (Debian's package)
	@command -v chromium >/dev/null || (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null)

docs: setup ## regenerate the reference pages
	$(BIN)/python -m tests.docs.generate

emulator: ## an independent Slack emulator into .emulator, which its tests then use (Linux, npm, 36 MB)
	mkdir -p .emulator
	cd .emulator && npm pack --silent $(EMULATOR) && echo "$(EMULATOR_SHA512)  $(subst @,-,$(EMULATOR)).tgz" | sha512sum --check --quiet
	cd .emulator && tar xzf $(subst @,-,$(EMULATOR)).tgz

base-model: setup ## train the packaged tiny base model again from its recipe (about 50 CPU minutes)
	$(BIN)/python -m retrain.base_model $(ARGS)

contract: setup ## schemathesis with TGI's document against the model server (or ARGS="--url URL"; -n 500 for more)
	$(BIN)/python -m tests.serving_contract $(ARGS)

test-ray: setup ## train with two CPU workers on Ray (installs ray, 70 MB; not part of `make test`)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[ray]'
	$(BIN)/pytest -q tests/training/ray_workers.py

serving-clients: setup ## huggingface_hub 0.36, 1.33, 2.4 and openai, each in its own environment, against the model server
	$(BIN)/python -m tests.serving_clients $(ARGS)

bench-%: setup ## run one benchmark: bot, serving, publish, training, defects, split, experiments, allocations, retrieval, mining, tone, redaction
	$(BIN)/python -m tests.benchmarks.bench_$* $(ARGS)

tgi-smoke: setup ## hold the serving contract against a live server: URL=http://host:8080 [ADAPTERS=a,b] [KEY=...]
	@test -n "$(URL)" || { echo "say which server: make tgi-smoke URL=http://host:8080 ADAPTERS=first,second KEY=..."; exit 2; }
	$(BIN)/pytest -q tests/contract/serving --server-url "$(URL)" --server-adapters "$(ADAPTERS)" --server-key "$(or $(KEY),-)" -k "not fake" $(ARGS)

clean: ## remove caches and the local state folder, keep .venv
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis htmlcov .coverage .understudy
