# `make run` and `make test` need Python 3.11 and nothing else: they make the private environment
# in .venv themselves, once, and again when pyproject.toml changes.
#
# The environment holds an editable install: what runs is what stands in the clone, also after the
# next `git pull`. What users install is the wheel; tests/test_wheel.py builds and starts that.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

.PHONY: help run test test-hosts lint format golden bench fuzz soak dashboards demo deb onefile release pins clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

run: $(VENV)/run.stamp ## start the agent (flags: make run ARGS="--web.listen-address=127.0.0.1:8080")
	$(BIN)/tallyman serve $(ARGS)

test: lint ## all checks: ruff, mypy, the tests, the wheel (tests that need root or an engine say so)
	$(BIN)/python -m pytest $(ARGS)

test-hosts: $(VENV)/dev.stamp ## the engines of Debian 13 and testing in virtual machines; half an hour, not part of make test
	$(BIN)/python -m pytest -m hosts $(ARGS)

lint: $(VENV)/dev.stamp ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/dev.stamp ## let ruff put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

golden: $(VENV)/dev.stamp ## regenerate the golden pages of tests/hosts; review the diff before you commit it
	$(BIN)/python -m pytest tests/hosts --update-golden $(ARGS)

bench: $(VENV)/dev.stamp ## measure what the agent costs, and write the table in docs/
	$(BIN)/python -m tests.bench $(ARGS)

fuzz: $(VENV)/dev.stamp ## fuzz every parser of untrusted bytes (ARGS="--seconds=600 bolt")
	$(BIN)/python -m tests.fuzz $(ARGS)

soak: $(VENV)/dev.stamp ## ten minutes of random changes, compared with the engines' word (ARGS="--minutes=60 --seed=7 --engines=docker,lxc"); churn and faults
	$(BIN)/python -m tests.soak.oracle $(ARGS)
	$(BIN)/python -m tests.soak.day
	$(BIN)/python -m tests.soak

dashboards: $(VENV)/dev.stamp ## regenerate the dashboards' JSON from their code
	$(BIN)/python -m dashboards.build

demo: $(VENV)/dev.stamp ## a Prometheus with six hours of a made-up fleet in it (ARGS="--listen-address=127.0.0.1:9091")
	$(BIN)/python -m dashboards.demo $(ARGS)

deb: ## build the Debian package in dist/ (needs debhelper and python3-venv)
	deploy/debian/build

onefile: ## build dist/tallyman-x86_64, which needs no Python on the host (half an hour the first time)
	deploy/onefile/build $(ARGS)

release: ## build all of a release in dist/, and try each part in a new root (see deploy/release/README.md)
	deploy/release/build

pins: $(VENV)/dev.stamp ## regenerate deploy/requirements.txt, with which package and image are built
	$(PIP) install uv
	$(BIN)/uv pip compile --quiet --no-config --universal --python-version 3.11 --upgrade \
	  --generate-hashes --no-annotate --extra web --custom-compile-command "make pins" \
	  --output-file deploy/requirements.txt pyproject.toml

clean: ## remove everything that these commands made
	rm -rf $(VENV) .cache build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find agent collectors dashboards tests -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/run.stamp: $(VENV)/made.stamp pyproject.toml
	$(PIP) install --editable .
	@touch $@

# One list of development dependencies: the group in pyproject.toml, which pip reads from 25.1 on.
$(VENV)/dev.stamp: $(VENV)/run.stamp
	$(PIP) install --upgrade 'pip>=25.1'
	$(PIP) install --group dev
	@touch $@

# Debian's python3 comes without ensurepip, and venv needs it.
$(VENV)/made.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Tallyman needs Python 3.11 or newer. Name one: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y python3-venv >/dev/null; \
	  else \
	    echo "Python's venv module is missing. As root: apt-get install python3-venv; then again." >&2; exit 1; \
	  fi
	$(PYTHON) -m venv $(VENV)
	@touch $@
