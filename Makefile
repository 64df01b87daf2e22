# Two commands do everything on a fresh clone: `make demo` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PY := .venv/bin/python
RUN := .venv/bin/synth-spark

.PHONY: help setup demo test check unit spark cluster lint types lock bench-quality bench-made bench-rare bench-speed report clean

help:  ## print a line for each command
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup:  ## set up .venv and .jars (needs Python 3.11; installs Java 17, g++ and cmake by apt where it may)
	@.ci/setup

demo: setup  ## run the main job on a built-in telecom world and write demo/report.html
	@$(RUN) run --plan conf/plans/demo.yaml

test: setup lint types  ## pass the tests: style, types, units, Spark, two executors
	@.ci/test

check: lint types unit  ## the quick half of the tests, no JVM

unit: setup  ## tests without Spark
	@.ci/test tests/unit tests/contract

spark: setup  ## tests with one local Spark session
	@.ci/test tests/spark tests/jobs -m "not cluster"

cluster: setup  ## tests that start two executor processes and kill some
	@.ci/test tests/spark -m cluster

lint: setup  ## formatting and style
	@.venv/bin/ruff format --check --quiet . && .venv/bin/ruff check --quiet .

types: setup  ## mypy --strict
	@.venv/bin/mypy

lock: setup  ## resolve the versions again (the lock holds versions and hashes, no addresses)
	@.ci/setup lock

bench-quality: setup  ## SET=cdr (or TABLE=FILE) GENERATOR=autoregressive SEED=0: twins, scores, one table of all
	@$(PY) benchmarks/quality.py $(if $(SET),--set $(SET)) $(if $(GENERATOR),--generator $(GENERATOR)) $(if $(SEED),--seed $(SEED)) $(if $(QUICK),--quick) \
	  $(if $(TABLE),--table $(TABLE)) $(if $(TARGET),--target $(TARGET)) $(if $(KEY),--key $(KEY)) $(if $(TIME),--time $(TIME)) $(ARGS)

bench-made: setup  ## made-up tables of an operator: twins with autoregressive, scores; ONLY=op_bills for one
	@$(PY) benchmarks/made_tables.py $(if $(ONLY),--only $(ONLY)) $(ARGS)

bench-rare: setup  ## rates of a rare class and a rare event in 1,000,000 drawn rows
	@OMP_NUM_THREADS=1 $(PY) benchmarks/rare.py $(ARGS)

bench-speed: setup  ## rows per second, training speed, memory and scaling; JSON under benchmarks/results/speed
	@$(PY) benchmarks/speed.py $(ARGS)

clean:  ## remove what runs wrote (not .venv, not .jars)
	@rm -rf runs demo spark-warehouse artifacts metastore_db
