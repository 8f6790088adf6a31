# Everything a newcomer or the checks need. Each target sets up what it uses.
PYTHON ?= python3
PIP := .venv/bin/pip --disable-pip-version-check install -q -c constraints.txt
export OMP_NUM_THREADS ?= 2

.PHONY: demo test test-all check lint types package bench gallery clean

demo: .venv/installed
	.venv/bin/vitruve demo --overwrite

test: .venv/installed-dev
	.venv/bin/python -m pytest -n 2 -m "not slow and not gpu and not licensed"

test-all: .venv/installed-dev
	.venv/bin/python -m pytest -n 2

check: lint types package test

lint: .venv/installed-dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/lint-imports --no-cache

types: .venv/installed-dev
	.venv/bin/pyright

package: .venv/installed-dev
	.venv/bin/python scripts/check_package.py

bench: .venv/installed-dev
	.venv/bin/python bench/bodies.py
	.venv/bin/python bench/convert.py
	.venv/bin/python bench/start.py
	.venv/bin/python bench/memory.py
	.venv/bin/python bench/render.py
	.venv/bin/python bench/view.py
	.venv/bin/python bench/export.py
	.venv/bin/python bench/data.py
	.venv/bin/python bench/prior.py speed

gallery: .venv/installed
	.venv/bin/python docs/gallery.py

.venv/installed: pyproject.toml constraints.txt
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	$(PIP) -e '.[view,video]'
	touch $@

.venv/installed-dev: .venv/installed
	$(PIP) -e '.[dev]'
	touch $@

clean:
	rm -rf .venv build dist src/*.egg-info
