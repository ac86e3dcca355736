PYTHON ?= python3

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test docs check format clean

help:
	@echo 'make demo    the main job on a small data set; prints the path of its report'
	@echo 'make test    the test suite'
	@echo 'make docs    the documentation site, in docs/_build; a broken reference fails'
	@echo 'make check   lint, strict types, documentation, then the test suite'
	@echo 'make format  put the code into its canonical form'
	@echo 'make clean   remove the virtual environment and every cache'

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("AutoBalance needs Python 3.11 or newer; name one, as in: make PYTHON=python3.12")'
	@echo 'Installing into $(VENV) (a few minutes the first time) ...'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[all]'
	@touch $@

demo: $(INSTALLED)
	@$(BIN)/autobalance demo

test: $(INSTALLED)
	$(BIN)/python -m pytest --numprocesses=auto --dist=loadfile

docs: $(INSTALLED)
	@rm -rf docs/generated # or pages of modules that are gone would stay
	$(BIN)/python -m sphinx --builder html --fail-on-warning --keep-going --jobs auto --quiet docs docs/_build

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(MAKE) docs
	$(MAKE) test

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist docs/_build docs/generated .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
