# hoaxwatch: `make` lists what there is. Everything runs from .venv, which `make venv` makes.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# An outer Python's environment must not reach into ours.
unexport PYTHONHOME
unexport PYTHONPATH

RUN := .venv/bin/python -m
# Tests run in so many processes, each with servers of its own; 0: in this one, for a debugger.
JOBS ?= 2

.PHONY: help venv web demo test faults models servers month lint bench clean

help: ## list these targets
	@echo "hoaxwatch; Python 3.11 to 3.13 is needed (PYTHON=... names one), everything else is installed into .venv"
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name what; do printf '  make %-7s %s\n' "$$name" "$$what"; done

venv: ## make .venv and install hoaxwatch into it (every other target does this first)
	@sh infra/venv.sh

web: ## build the interactive network of the page (needs Node and npm)
	@command -v npm >/dev/null || { echo "no npm: install Node.js with npm (Debian: apt install nodejs npm), then make web again"; exit 1; }
	@cd hoaxwatch/web/assets-src && npm ci --no-audit --no-fund --loglevel=error && npm run --silent build

demo: venv ## run the whole pipeline on made-up posts, print the result, write report.html
	@.venv/bin/hoaxwatch demo $(ARGS)

test: venv ## all tests this machine can run, and which were skipped and why (ARGS=tests/unit)
	@$(RUN) pytest -ra -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

faults: venv ## the fault tests in their long form (half an hour; ARGS=-k database)
	@HOAXWATCH_TEST_LONG=1 $(RUN) pytest -ra tests/faults tests/integration/test_over_kafka.py $(ARGS)

models: venv ## the shipped detector on a thousand real posts and all test texts, in fp32 and int8 (a quarter of an hour)
	@HOAXWATCH_TEST_LONG=1 $(RUN) pytest -ra tests/unit/detectors/test_bert.py $(ARGS)

servers: venv ## tests of the database, the long ones too, on every PostgreSQL that is here (half an hour)
	@HOAXWATCH_TEST_SERVERS=all $(RUN) pytest -ra tests/integration $(ARGS)

month: venv ## the invented month of 40,000 posts against its truth, three seeds; a month of a study (half an hour)
	@HOAXWATCH_TEST_MONTH=1 $(RUN) pytest -ra tests/integration/test_simulated_month.py tests/integration/test_study.py $(ARGS)

lint: venv ## style, types, the direction of imports, installed packages
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	$(RUN) mypy
	.venv/bin/lint-imports
	$(RUN) pip check
	@if $(RUN) pip show --quiet torchvision 2>/dev/null; then echo "torchvision is installed and must not be: .venv/bin/pip uninstall torchvision"; exit 1; else echo "torchvision is not installed: good"; fi

bench: venv ## benchmarks, each with its baseline; results in bench/*.json (minutes)
	@mkdir -p bench; failed=; \
	for bench in tests/bench/bench_*.py; do \
	  [ -f "$$bench" ] || { echo "there are no benchmarks in tests/bench"; exit 1; }; \
	  name=$$(basename "$$bench" .py); result=bench/$$name.json; \
	  echo "== $$bench"; \
	  if .venv/bin/python "$$bench" $(ARGS) >"$$result.new"; then mv "$$result.new" "$$result"; cat "$$result"; \
	  else cat "$$result.new"; rm -f "$$result.new" "$$result"; failed="$$failed $$name"; fi; \
	done; \
	[ -z "$$failed" ] || { echo "did not end well:$$failed" >&2; exit 1; }

clean: ## remove .venv, caches, what make web built, demo/, bench/ and report.html (databases stay: hoaxwatch db status)
	rm -rf hoaxwatch/web/assets hoaxwatch/web/assets-src/node_modules
	rm -rf .venv .venv.lock .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache demo bench dist report.html
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
