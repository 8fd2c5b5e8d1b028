# The help is what stands behind ##.
SUITE ?= trixie
SUITES = trixie bookworm sid
PYTHON ?= python3
BIN = .venv/bin
PIP = $(BIN)/pip --disable-pip-version-check
PYTEST_FLAGS ?= -q
PYTEST = $(BIN)/pytest $(PYTEST_FLAGS)
# What runs the tests of `make test`: two kinds at a time, the longest first. canlab-tests are not
# among them: a machine that has nothing yet builds a kernel for them, which is 10 of the 20 minutes.
KINDS = system machines faults-short kernel-tests unit check
EACH_SUITE = $(foreach suite,$(SUITES),'kernel-tests SUITE=$(suite)' 'system SUITE=$(suite)' \
	'machines SUITE=$(suite)')
# Of the system tests, those that boot machines of their own: systemd, the package, two hosts, Podman.
MACHINES = $(patsubst %,tests/system/test_%.py,boots cni cni_boots package pair podman podman_boots readme \
	systemd)

# A guest needs mounts. What is root of a user namespace of its own may make them, too.
ifneq ($(shell id -u),0)
AS_ROOT = unshare --user --map-root-user --map-auto --pid --fork --kill-child --mount-proc --
endif

.PHONY: help demo test test-matrix test-smp test-faults fast check unit kernel-tests canlab-tests system \
	faults-short bench suites deb dist zipapp plugin kernel release lock shell clean
.DELETE_ON_ERROR:

help: ## this list
	@echo "make COMMAND: on a fresh Debian or Ubuntu, as root, each does all its own set-up;"
	@echo "as another user, with mmdebstrap, e2fsprogs, uidmap and python3-venv installed"
	@sed -n 's/^\([a-z-]*\):[^#]*## /  \1\t/p' Makefile | expand -t 16

demo: ## watch it work: a bus, two containers, a power cut, and all is back
	$(AS_ROOT) $(PYTHON) -m examples.demo

test: export CI = true
test: export PYTHONHASHSEED = 0
test: export SELECT = not long
test: .venv/ready ## all that CI checks: about 20 minutes, and 5 more to build the guests once
	$(BIN)/python -m tests.runner $(KINDS)

test-matrix: export CI = true
test-matrix: export PYTHONHASHSEED = 0
test-matrix: .venv/ready ## the same in trixie, bookworm and sid (Docker 26.1, 20.10, 28.5), and with a kernel of ours
	$(BIN)/python -m tests.runner $(EACH_SUITE) test-smp canlab-tests unit check

# What goes wrong only where two processors forward frames at the same moment.
test-smp: export CANWHARF_BOOT = own-smp
test-smp: kernel-tests ## each frame once on two processors, too: on the lab's own kernel
	CANWHARF_SUITE=$(SUITE) $(AS_ROOT) $(PYTEST) tests/system/test_bus.py

test-faults: .venv/ready ## crashes at every step, 50 power cuts, … (an hour)
	$(AS_ROOT) $(PYTEST) tests/faults

fast: check unit ## lint, types and unit tests: under a minute, after each edit

check: .venv/ready ## lint, format, types, imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: .venv/ready ## tests that need no kernel
	$(PYTEST) tests/unit

kernel-tests: .venv/ready ## tests in a guest: real netlink, real frames (SUITE=sid …)
	$(AS_ROOT) $(BIN)/python -m lab run --suite $(SUITE) --timeout 900 -- \
		python3 -m pytest $(PYTEST_FLAGS) -ra -p no:cacheprovider -c /dev/null \
		--rootdir /repo /repo/tests/kernel

canlab-tests: .venv/ready ## canlab as a user calls it, with the lab's own kernel; needs no root
	$(AS_ROOT) $(BIN)/python -m lab kernel
	$(PYTEST) tests/canlab

system: .venv/ready ## tests with real Docker, crashes, power cuts (SUITE=sid …)
	CANWHARF_SUITE=$(SUITE) $(AS_ROOT) $(PYTEST) -m "$(SELECT)" tests/system \
		$(addprefix --ignore=,$(MACHINES))

machines: .venv/ready ## the same on machines with systemd, from the package, and on two hosts
	CANWHARF_SUITE=$(SUITE) $(AS_ROOT) $(PYTEST) -m "$(SELECT)" $(MACHINES)

# On the suite whose guest is the fastest.
faults-short: .venv/ready ## a selection of test-faults
	$(AS_ROOT) $(PYTEST) -m short tests/faults

bench: SUITE = sid
bench: .venv/ready ## what it costs, as ratios, into docs/benchmarks.md
	$(AS_ROOT) $(BIN)/python -m bench --suite $(SUITE)
	$(AS_ROOT) $(BIN)/python -m lab kernel
	$(BIN)/python -m bench.canlab

suites: .venv/ready ## other projects' test suites, on this machine and by canlab, into docs/suites.md
	$(AS_ROOT) $(BIN)/python -m lab kernel
	$(BIN)/python -m bench.suites

deb: ## the Debian package, into dist/
	$(AS_ROOT) $(PYTHON) -m lab.deb dist

dist: .venv/ready zipapp ## the wheels of canwharf and canlab, and the zipapp, into dist/
	$(PIP) wheel --quiet --no-deps --no-build-isolation --wheel-dir dist . packages/canlab

# For the Python that makes it; another one starts it more slowly.
zipapp: ## one file that runs anywhere with Python
	mkdir -p dist
	packaging/zipapp.sh $(PYTHON) dist/canwharf.pyz

plugin: ## the managed plugin, for amd64 and arm64, into dist/
	set -e; for arch in amd64 arm64; do $(AS_ROOT) $(PYTHON) -m lab.plugin dist/plugin-$$arch --arch $$arch; done

kernel: .venv/ready ## the wheel canwharf-kernel, into dist/; its kernel is built once, in 5 to 10 minutes
	$(AS_ROOT) $(BIN)/python -m lab.kernel_wheel dist

release: ## all that a release has, into dist/: wheels, zipapp, package, plugins, SHA256SUMS
	rm -rf dist
	$(MAKE) --no-print-directory dist deb plugin
	$(AS_ROOT) $(BIN)/python -m lab.kernel_wheel dist --source
	cd dist && for arch in amd64 arm64; do \
		tar -czf canwharf-plugin-$$arch.tar.gz --numeric-owner plugin-$$arch && \
		rm -r plugin-$$arch || exit; done
	cd dist && sha256sum *.whl *.pyz *.deb *.tar.gz *.tar.xz >SHA256SUMS && cat SHA256SUMS

shell: ## a shell in the lab, with Docker (SUITE=sid …)
	$(AS_ROOT) $(PYTHON) -m lab shell --suite $(SUITE) --docker

clean: ## delete what was built here; the guests' roots stay
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis dist build

# uv finds versions that suit every Python that canwharf supports; pip knows only the one it runs on.
lock: ## the newest development tools, with their checksums, into requirements-dev.lock
	$(PYTHON) -m venv build/lock
	build/lock/bin/pip install --quiet --disable-pip-version-check uv
	build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --upgrade \
		--generate-hashes --custom-compile-command 'make lock' --extra dev \
		--output-file requirements-dev.lock pyproject.toml
	rm -r build/lock

# The lock file gives each machine the same tools. Debian has venv in a package of its own.
.venv/ready: pyproject.toml packages/canlab/pyproject.toml requirements-dev.lock
	$(PYTHON) -c 'import ensurepip' 2>/dev/null || apt-get install -y python3-venv || \
		{ apt-get update && apt-get install -y python3-venv; }
	$(PYTHON) -m venv .venv
	$(PIP) install --quiet -r requirements-dev.lock
	$(PIP) install --quiet --no-deps --no-build-isolation -e . -e packages/canlab
	touch $@
