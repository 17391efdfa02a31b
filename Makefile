# `make demo` and `make test` do all set-up themselves; everything lands in .venv and results/.
PYTHON ?= python3
CORES ?= 2
BIN := .venv/bin

.PHONY: demo test test-slow check bench lock clean

# The environment as locked, with hashes: uv first (itself locked), since it installs in seconds what takes pip a minute.
# Where uv cannot reach the registry (an institute's own certificates), pip installs the same lock.
# Compiled once here, so that every job of every run starts quickly even where Python may not write bytecode.
.venv/ready: requirements.lock requirements-uv.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python >= 3.11 is needed, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

demo: .venv/ready
	$(BIN)/celltracker run config --cores $(CORES)

test: .venv/ready
	$(BIN)/python -m pytest -n $(CORES) -m "not slow"

test-slow: .venv/ready
	$(BIN)/python -m pytest -n $(CORES) -m slow

check: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/ready
	for b in benchmarks/*.py; do $(BIN)/python $$b || exit 1; done

# One lock for all Python versions; the addresses of registries do not belong in it.
lock: .venv/ready
	$(BIN)/uv pip compile pyproject.toml --extra build --extra test --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -o requirements.lock
	echo "uv==$$($(BIN)/uv --version | cut -d' ' -f2)" | $(BIN)/uv pip compile - --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -o requirements-uv.lock

clean:
	rm -rf .venv results config/raw config/small/raw
