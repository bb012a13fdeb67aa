# What people and CI type. `make setup` is quick when nothing has changed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
JOBS ?= 4
SCHEMA := config_schema/kfops.schema.json
# Where the shell forbids it, each of the many processes would compile the same modules again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test scenes check chaos format bench schema rules fuzz clean

help:
	@echo "make setup    install everything into $(VENV)"
	@echo "make demo     the whole story on this machine (ONCE=1 plays it and ends; REPORT=file writes it down; PORT, BOT_PORT choose)"
	@echo "make test     all tests (ARGS='tests/unit -k gate' for some of them)"
	@echo "make scenes   whole scenes: that of the demo; a bot killed in training and in each phase of a rollout; what commands cost in calls; the main job on Kubeflow and KServe, for which KUBEBUILDER_ASSETS names an API server"
	@echo "make check    format, lint, types, import layers"
	@echo "make chaos    deaths, pushes, bad weather and lost rights at every moment of every workflow (half an hour of CPU; ARGS='--jobs 4 --kept FILE')"
	@echo "make format   put the code into its format"
	@echo "make bench    what was promised as figures (ONLY=start|webhook|ledger|open|idle|overhead|canary; ARGS=--long)"
	@echo "make rules    the rules of trust, each with the tests that carry its number; fails on a gap"
	@echo "make fuzz     the parser and the configuration against atheris, where it is installed (SECONDS=60)"
	@echo "make schema   write config_schema/ anew from the configuration's model"

setup: $(STAMP)

# uv installs the same pins several times faster; where it cannot be had, pip does it. Bytecode is made now: a sandbox
# cannot write it, and every training, scoring and server in one would compile its libraries anew.
$(STAMP): requirements/dev.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip --upgrade
	$(BIN)/uv --version >/dev/null 2>&1 || $(BIN)/python -m pip install --quiet uv || echo "no uv here: pip installs"
	VIRTUAL_ENV="$(CURDIR)/$(VENV)" $(BIN)/uv pip install --quiet --compile-bytecode -r requirements/dev.txt \
	  || $(BIN)/python -m pip install --quiet -r requirements/dev.txt
	VIRTUAL_ENV="$(CURDIR)/$(VENV)" $(BIN)/uv pip install --quiet --no-deps --editable . \
	  || $(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

demo: setup
	$(BIN)/kfops demo $(if $(ONCE),--once) $(if $(REPORT),--report "$(REPORT)") $(if $(PORT),--port $(PORT)) $(if $(BOT_PORT),--bot-port $(BOT_PORT))

test: setup
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup $(ARGS)

scenes: setup
	$(BIN)/python -m pytest -m slow -n 2 --dist loadgroup $(ARGS)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only .

chaos: setup
	PYTHONPATH=bot:. nice -n 10 $(BIN)/python -m tests.chaos $(ARGS)

bench: setup
	PYTHONPATH=bot:. $(BIN)/python -m tests.bench $(ONLY) $(ARGS)

rules: setup
	PYTHONPATH=bot:. $(BIN)/python -m tests.support.rules

fuzz: setup
	PYTHONPATH=bot:. $(BIN)/python -m tests.support.fuzzing $(or $(SECONDS),60)

schema: setup
	$(BIN)/python -m kfops.config.schema > $(SCHEMA).new
	mv $(SCHEMA).new $(SCHEMA)

clean:
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .hypothesis .import_linter_cache
