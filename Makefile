# Two commands do everything on a fresh machine with Python 3.11+, git and make: `make demo` and `make test`.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14 python; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v $$p; break; }; done)
VENV ?= .venv
BIN := $(VENV)/bin
SHARED := ../shared/captures

.PHONY: demo test check format lint types corpus interop bench examples docs judges clean

demo: $(VENV)/.ready
	@$(BIN)/python -m synfin.cli.main demo

test: $(VENV)/.ready-dev
	$(BIN)/python -m pytest -n auto

check: lint types test

format: $(VENV)/.ready-dev
	$(BIN)/ruff format src tests benches examples fuzz tools
	$(BIN)/ruff check --fix src tests benches examples fuzz tools

lint: $(VENV)/.ready-dev
	$(BIN)/ruff format --check src tests benches examples fuzz tools
	$(BIN)/ruff check src tests benches examples fuzz tools

types: $(VENV)/.ready-dev
	$(BIN)/mypy

corpus: $(VENV)/.ready
	@test -e $(SHARED)/compare.py || { echo "make corpus needs the captures in $(SHARED)" >&2; exit 2; }
	$(BIN)/python -m tests.agreement.corpus $(SHARED)

judges: $(VENV)/.ready-judges

interop: $(VENV)/.ready-judges
	$(BIN)/python -m tests.interop.matrix --markdown
	$(BIN)/python -m tests.interop.refusals

bench: $(VENV)/.ready-dev
	$(BIN)/python -m benches $(BENCH)

examples: $(VENV)/.ready
	$(BIN)/python -m examples.record

docs: $(VENV)/.ready
	$(BIN)/python -m synfin.cli.main rule --markdown > docs/reference/rules.md

$(VENV)/.ready: pyproject.toml src/synfin/spec/_runs.c
	@test -n "$(PYTHON)" || { echo "synfin needs Python 3.11 or newer; none was found (set PYTHON=...)" >&2; exit 2; }
	@echo "Setting up in $(VENV) (once)" >&2
	@rm -f src/synfin/spec/*.so
	@$(PYTHON) tools/make_venv.py $(VENV) && touch $@

$(VENV)/.ready-dev: pyproject.toml src/synfin/spec/_runs.c
	@test -n "$(PYTHON)" || { echo "synfin needs Python 3.11 or newer; none was found (set PYTHON=...)" >&2; exit 2; }
	@echo "Setting up for development in $(VENV) (once)" >&2
	@rm -f src/synfin/spec/*.so
	@$(PYTHON) tools/make_venv.py $(VENV) dev && touch $@ $(VENV)/.ready

$(VENV)/.ready-judges: pyproject.toml src/synfin/spec/_runs.c
	@test -n "$(PYTHON)" || { echo "synfin needs Python 3.11 or newer; none was found (set PYTHON=...)" >&2; exit 2; }
	@echo "Setting up foreign TLS engines in $(VENV) (once, 180 MB)" >&2
	@rm -f src/synfin/spec/*.so
	@$(PYTHON) tools/make_venv.py $(VENV) dev,judges && touch $@ $(VENV)/.ready $(VENV)/.ready-dev

clean:
	rm -rf $(VENV) build src/synfin.egg-info src/synfin/spec/*.so .bench .mypy_cache .ruff_cache .pytest_cache .hypothesis
