# Set-up, checks and the demo. `make help` lists what there is.
#
# TORCH=...    another build of torch, as pip is to be told (see README.md)
# PYTHON=...   the interpreter to make .venv with
# PYTEST_ARGS  passed on to pytest

SHELL := /bin/bash
export TORCH PYTHON

BIN := .venv/bin
XVFB := $(if $(filter Linux,$(shell uname -s)),xvfb-run -a -s "-screen 0 1400x900x24")

.DEFAULT_GOAL := help
.PHONY: help demo screenshots test check lint format build clean distclean

help:  ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 12

demo:  ## set up, deblur a bundled sample into demo/, and open napari (or take its picture)
	@scripts/setup.sh all
	@window=; scripts/system-libraries.sh $(if $(DISPLAY)$(WAYLAND_DISPLAY),--without-xvfb) || window=--no-window; \
	$(BIN)/python -m napari_m2aenet.demo -o demo/ $$window

screenshots:  ## take the pictures of the plugin's tabs in docs/images anew
	@scripts/setup.sh all
	@scripts/system-libraries.sh
	$(XVFB) $(BIN)/python scripts/screenshots.py

test:  ## set up, then run every test, window tests included
	@scripts/setup.sh all,test
	@scripts/system-libraries.sh
	$(XVFB) $(BIN)/python -m pytest $(PYTEST_ARGS)

check:  ## lint, types and the fast tests that need no display
	@scripts/setup.sh all,dev
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy
	QT_QPA_PLATFORM=offscreen $(BIN)/python -m pytest -m "not slow and not window" $(PYTEST_ARGS)

lint:  ## lint and types only
	@scripts/setup.sh all,dev
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

format:  ## mend what the linter can mend, and lay the code out
	@scripts/setup.sh all,dev
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

build:  ## make the wheel and the sdist in dist/
	@scripts/setup.sh all,test
	$(BIN)/python -m build

clean:  ## remove what checks, tests and builds leave behind
	rm -rf build dist demo htmlcov .coverage .pytest_cache .ruff_cache .mypy_cache
	find src tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean  ## remove .venv too
	rm -rf .venv
