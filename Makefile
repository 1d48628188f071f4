# The verbs of this project. A bare machine needs Python >= 3.11.4, make and a package index.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

# What runs and deploys; what tests and lints; the CDK CLI.
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev
CDK := node_modules/.bin/cdk

ENVIRONMENTS := local dev staging prod
PORT ?= 8566

.PHONY: demo test lint synth local bench interop docs requirements snapshots clean

demo: $(RUNTIME) $(CDK)
	$(BIN)/python -m tools.demo

test: lint
	$(BIN)/python -m pytest --numprocesses 2 --dist loadscope

lint: $(DEV) $(CDK)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tools.requirements --check

synth: $(RUNTIME) $(CDK)
	@for environment in $(ENVIRONMENTS); do \
		echo "synth $$environment" && \
		npx cdk synth --quiet -c env=$$environment --output build/synth/$$environment || exit 1; \
	done

local: $(RUNTIME)
	$(BIN)/python -m local_runtime up --port $(PORT)

# Measured, and written to docs/benchmarks.md.
bench: $(DEV) $(CDK)
	$(BIN)/python -m tools.bench rules
	$(BIN)/python -m tools.bench synth
	$(BIN)/python -m tools.bench load
	$(BIN)/python -m tools.bench runtime
	$(BIN)/python -m tools.bench multi-model
	$(BIN)/python -m tools.bench cold-start
	$(BIN)/python -m tools.bench drain
	$(BIN)/python -m tools.bench deploy
	$(BIN)/python -m tools.bench coverage
	$(BIN)/python -m tools.bench truth

# Other people's clients against the local runtime, each in an environment of its own.
interop: $(RUNTIME) $(CDK)
	$(BIN)/python -m tools.interop

# Pages that are generated; tests check that they are fresh.
docs: $(DEV)
	$(BIN)/python -m tools.argument_table
	$(BIN)/python -m tools.generate_rule_docs

# Resolve the pinned requirements anew, to the newest versions that pyproject.toml admits.
requirements: $(DEV)
	$(BIN)/python -m tools.requirements --upgrade

snapshots: $(DEV)
	$(BIN)/python -m pytest tests/snapshot --snapshot-update

clean:
	rm -rf $(VENV) node_modules build cdk.out

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11, 4))' || \
		{ echo "$(PYTHON) must be Python 3.11.4 or newer, got $$($(PYTHON) --version)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(RUNTIME): requirements.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	@touch $@

$(DEV): requirements-dev.txt tests/browser/package-lock.json | $(RUNTIME)
	$(BIN)/python -m pip install --quiet --requirement requirements-dev.txt
	$(BIN)/npm ci --prefix tests/browser --no-audit --no-fund --ignore-scripts
	@touch $@

$(CDK): package-lock.json | $(RUNTIME)
	$(BIN)/npm ci --no-audit --no-fund --ignore-scripts
	@touch $@
