# Everything that a person does with a checkout. `make help` lists it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The data of this checkout lives in it, so that two checkouts never meet.
export CADENZA_DATA_DIR ?= $(CURDIR)/var
# Workers use the GPU where there is a driver for one.
DEVICE ?= $(if $(or $(wildcard /proc/driver/nvidia/version),$(shell command -v nvidia-smi 2>/dev/null)),gpu,cpu)
PIP := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo run install test test-fast browser check format bench chaos fuzz fuzz-api requirements screenshots clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: install ## Import chorales, train on them, compose 8 takes, keep serving (EXIT=1: stop then)
	$(BIN)/cadenza demo $(if $(EXIT),--exit)

run: install ## Start the whole system without the demo's content; Ctrl-C ends it
	$(BIN)/cadenza up

install: $(VENV)/installed-$(DEVICE) ## Make the virtual environment with all that the system needs (DEVICE=cpu or gpu)

test: browser ## Install what the tests need and run all of them, on two cores
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-fast: $(VENV)/installed-test ## Run only the tests that take no more than a few seconds each
	$(BIN)/python -m pytest -m "not slow and not browser"

browser: $(VENV)/installed-test ## Find or install the Chromium that the browser tests drive
	$(BIN)/python -m tests.tools.install_browser

check: $(VENV)/installed-test ## Check format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/installed-test ## Format the code and mend what the linter can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/installed-bench ## Measure all stages beside their peers, into benchmarks/RESULTS.md (ONLY=generate: some)
	$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY))

chaos: $(VENV)/installed-test ## Kill every part at random under load and check that nothing is lost (MINUTES=25, KILLS=280, SEED=0)
	$(BIN)/python -m tests.chaos --minutes $(or $(MINUTES),25) --kills $(or $(KILLS),280) --seed $(or $(SEED),0)

fuzz: $(VENV)/installed-test ## Feed damaged MIDI files and zips to the reader of imports (FILES=100000, SEED=0)
	$(BIN)/python -m tests.tools.fuzz_reader --files $(or $(FILES),100000) --seed $(or $(SEED),0) $(if $(CASES),--cases $(CASES))

fuzz-api: $(VENV)/installed-test ## Ask a running server everything its OpenAPI document allows (SECONDS=600, SEED=0)
	$(BIN)/python -m tests.tools.fuzz_api --seconds $(or $(SECONDS),600) --seed $(or $(SEED),0)

requirements: ## Pin all versions anew, with hashes and without any address (needs uv)
	for set in web cpu gpu s3 test bench; do \
	  uv pip compile pyproject.toml requirements/build.in --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
	    --no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command "make requirements" \
	    $$(case $$set in web) ;; s3) echo "--extra s3 --constraint requirements/cpu.txt" ;; test|bench) echo "--extra cpu --extra $$set" ;; *) echo "--extra $$set" ;; esac) \
	    --output-file requirements/$$set.txt || exit 1; \
	done

screenshots: browser ## Take a picture of every page of the running system into var/screenshots
	$(BIN)/python -m tests.tools.screenshots

clean: ## Remove the virtual environment and caches; the data in var/ stays
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build ./*.egg-info

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13) and f"Python 3.11 to 3.13 is needed, this is {sys.version.split()[0]}; name one with PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

# --no-deps, since pip 23.2 (Python 3.11's) else asks for the newest release of what another package names with an
# extra, past its pin. That the pins are complete, a test checks.
$(VENV)/installed-%: requirements/%.txt pyproject.toml | $(VENV)/bin/python
	$(PIP) install --quiet --no-deps --require-hashes --requirement $<
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
