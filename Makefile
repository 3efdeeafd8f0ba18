# Everything from nothing: `make demo` and `make test` create the environment, install, and run.

VENV ?= .venv
PYTHON ?= python3
WORKERS ?= 2
RELIABILITY ?= full
DEMO_OUTPUT ?= demo_output
BENCH_OUTPUT ?= .benchmarks/engine
ML4EFT_PYTHON ?= $(VENV)-ml4eft/bin/python
MADMINER_PYTHON ?= $(VENV)-madminer/bin/python
SMEFIT_PYTHON ?= $(VENV)-smefit/bin/python

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1

.DEFAULT_GOAL := help
.PHONY: help install demo test coverage reliability bench bench-methods bench-fits docs lint format wheel clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP)  ## create the environment VENV (default .venv) and install the package with every extra

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.10 or newer is needed: make PYTHON=..." if sys.version_info < (3, 10) else 0)'
	@echo "installing into $(VENV), which takes two or three minutes"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(STAMP)  ## measure pp -> ZH from events to intervals; files go to DEMO_OUTPUT (default demo_output)
	$(BIN)/smeft-unbinned demo --output $(DEMO_OUTPUT)

test: $(STAMP)  ## run all tests with WORKERS processes (default 2); PYTEST adds options of pytest
	$(ONE_THREAD) $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --ignore tests/reliability $(PYTEST)

coverage: $(STAMP)  ## run the tests and say which lines and branches of the package they reach
	$(MAKE) test PYTEST='--cov --cov-report term $(PYTEST)'

reliability: $(STAMP)  ## kill, fill, fuzz and mislead everything; all extras, oldest and newest versions (two hours)
	SMEFT_UNBINNED_RELIABILITY=$(RELIABILITY) $(ONE_THREAD) $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal \
	    tests/reliability $(PYTEST)
	test $(RELIABILITY) = short || { .ci/extras && .ci/versions; }

bench: $(STAMP)  ## measure the likelihood engine, write docs/engine.md (half an hour, 12 GB of memory)
	@mkdir -p $(BENCH_OUTPUT)
	for threads in 1 2; do \
	    export OMP_NUM_THREADS=$$threads OPENBLAS_NUM_THREADS=$$threads; \
	    $(BIN)/python benchmarks/engine/machine.py --output $(BENCH_OUTPUT)/machine_$$threads.json && \
	    ML4EFT_PYTHON=$(ML4EFT_PYTHON) MADMINER_PYTHON=$(MADMINER_PYTHON) $(BIN)/python -m pytest -o addopts=-rs \
	        benchmarks/engine --benchmark-json $(BENCH_OUTPUT)/bench_$$threads.json $(PYTEST) || exit 1; \
	done
	$(BIN)/python benchmarks/engine/report.py --results $(BENCH_OUTPUT)

bench-methods: $(STAMP) $(VENV)-ml4eft/.installed $(VENV)-madminer/.installed  ## measure all methods and the peers, write docs/methods.md (two hours)
	$(ONE_THREAD) $(BIN)/python benchmarks/methods/run.py \
	    --ml4eft-python $(VENV)-ml4eft/bin/python --madminer-python $(VENV)-madminer/bin/python

$(VENV)-ml4eft/.installed $(VENV)-madminer/.installed: $(VENV)-%/.installed: benchmarks/peers/requirements-%.txt
	$(PYTHON) -m venv $(VENV)-$*
	$(VENV)-$*/bin/python -m pip --disable-pip-version-check -qq install -c constraints.txt torch
	$(VENV)-$*/bin/python -m pip --disable-pip-version-check -qq install -r $<
	@touch $@

bench-fits: $(STAMP) $(VENV)-smefit/.installed  ## measure global fits against SMEFiT, with SMEFT_UNBINNED_DATA (hours)
	$(BIN)/python benchmarks/global_fit/linear.py --smefit-python $(SMEFIT_PYTHON)
	for name in quadratic with_unbinned fifty coverage mpi; do \
	    $(BIN)/python benchmarks/global_fit/$$name.py || exit 1; \
	done
	$(BIN)/python benchmarks/smefit_ns.py --smefit-python $(SMEFIT_PYTHON)

$(VENV)-smefit/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)-smefit
	$(VENV)-smefit/bin/python -m pip --disable-pip-version-check -qq install -c constraints.txt 'smefit==4.0.0' pytest -e .
	@touch $@

docs: $(STAMP)  ## build the documentation into build/site, warnings are errors (Python 3.11.5 or newer)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo 'to read and search it: $(BIN)/python -m http.server -d build/site'

lint: $(STAMP)  ## check style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy examples/extending

format: $(STAMP)  ## repair style and formatting
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel: $(STAMP)  ## build the wheel into dist
	$(BIN)/hatchling build -t wheel -d dist

clean:  ## remove the environment .venv and all that was built or cached
	rm -rf .venv .venv-* dist build demo_output .mypy_cache .pytest_cache .ruff_cache .hypothesis .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
