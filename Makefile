# Everything runs in .venv beside this file; nothing is installed elsewhere.
#
#   make demo    the whole job on the embedded synthetic performers, into out/demo
#   make test    the tests
#   make check   format, lint, types, tests with coverage
#
# Another interpreter: make PY=python3.12 demo. Another package index or mirror: as pip is set up (pip.conf, PIP_*).
# torch comes in the build that the index has under the pinned version; where that is a CUDA build and a CPU one is
# wanted: PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make venv (constraints.txt admits both).

PY ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
OUT ?= out/demo
MINUTES ?=

PYTEST_FLAGS ?=
# Whole files go to each process, so that what a file prepares is prepared once; in the order of tests/conftest.py, the
# longest first. A process takes up to 2 GB.
PYTEST_JOBS ?= 2

# torch's threads must not spin while they wait: on a busy machine two of them are then ten times slower than one.
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: venv demo test lint check format clean

venv: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PY) -c 'import sys; sys.exit("Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ". Try make PY=python3.12" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PY) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable . --group dev
	@touch $@

demo: $(STAMP)
	$(BIN)/countenance demo --out $(OUT) $(if $(MINUTES),--minutes $(MINUTES))

test: $(STAMP)
	$(BIN)/python -m pytest -n $(PYTEST_JOBS) --dist loadfile --no-loadscope-reorder $(PYTEST_FLAGS)

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

check: lint
	$(MAKE) test PYTEST_FLAGS="--cov --cov-report=term:skip-covered"

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .coverage out
