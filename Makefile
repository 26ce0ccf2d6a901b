# `make demo` and `make test` are all that a newcomer needs; `make check` is what every commit passes.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test check format test-nightly test-gpu docs clean

demo: $(READY)
	$(BIN)/tuner demo

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n 2 --dist worksteal

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test-nightly: $(READY)
	$(BIN)/python -m pytest -m nightly

test-gpu:
	$(PYTHON) -m pytest -m gpu

docs: $(READY)
	$(BIN)/python -m scripts.write_docs

# torch comes first and pinned: asked for by a range, pip may take a build with gigabytes of CUDA libraries.
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet torch==2.13.0 -c constraints.txt
	$(BIN)/python -m pip install --quiet -e ".[dev]" -c constraints.txt
	touch $(READY)

clean:
	rm -rf $(VENV) build dist
