# One command each. On a fresh Debian or Ubuntu, as root, each does all its own set-up.
#   make demo         watch it work: a bus, two containers, a power cut, and all is back
#   make test         everything that CI checks
#   make test-matrix  the same in the lab's three suites (Docker 20.10, 26.1, 28.5)
#   make test-faults  crashes at every step, 50 power cuts, … (45 minutes)
#   make dist         the wheel, and a zipapp: one file that runs anywhere with Python
#   make bench        what it costs, as ratios, into docs/benchmarks.md
#   make plugin       the managed plugin, for amd64 and arm64, into dist/
#   make shell        a shell in the lab, with Docker
SUITE ?= trixie
SUITES = trixie bookworm sid
PYTHON ?= python3
BIN = .venv/bin
KERNEL_TESTS = python3 -m pytest -q -p no:cacheprovider -c /dev/null --rootdir /repo /repo/tests/kernel

.PHONY: test test-matrix test-faults check unit kernel-tests system faults-short bench demo dist zipapp \
	plugin shell clean
.DELETE_ON_ERROR:

# Two at a time: a guest has one processor. What each printed comes when it is done.
test:
	@echo "all tests, two kinds at a time: about 10 minutes, and 5 more to build the guests once"
	$(MAKE) --no-print-directory -j2 --output-sync=target check unit system kernel-tests faults-short

test-matrix: check unit
	set -e; for suite in $(SUITES); do \
		echo "== $$suite"; $(MAKE) --no-print-directory kernel-tests system SUITE=$$suite; done

check: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: .venv/ready
	$(BIN)/pytest -q tests/unit

kernel-tests: .venv/ready
	$(BIN)/python -m lab run --suite $(SUITE) --timeout 900 -- $(KERNEL_TESTS)

system: .venv/ready
	CANWHARF_SUITE=$(SUITE) $(BIN)/pytest -q --maxfail=3 tests/system

# Faults on the suite whose guest is the fastest.
faults-short: .venv/ready
	$(BIN)/pytest -q -m short tests/faults

test-faults: .venv/ready
	$(BIN)/pytest -q tests/faults

dist: .venv/ready zipapp
	$(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .

# For the Python that makes it; another one starts it more slowly.
zipapp:
	mkdir -p dist
	packaging/zipapp.sh $(PYTHON) dist/canwharf.pyz

demo:
	$(PYTHON) -m examples.demo

# In the suite whose guest is the fastest.
bench: SUITE = sid
bench: .venv/ready
	$(BIN)/python -m bench --suite $(SUITE)

plugin:
	set -e; for arch in amd64 arm64; do $(PYTHON) -m lab.plugin dist/plugin-$$arch --arch $$arch; done

shell:
	$(PYTHON) -m lab shell --suite $(SUITE) --docker

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis dist build

# Debian has venv in a package of its own.
.venv/ready: pyproject.toml
	$(PYTHON) -c 'import ensurepip' 2>/dev/null || apt-get install -y python3-venv
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@
