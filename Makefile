# `make help` lists the commands. Each works from a fresh clone; each says what it does and how long it took.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help doctor build venv try demo traffic test package clean parity conformance bench fuzz sql

FAST := --profile fast

help: ## this list
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

doctor: ## what this machine lacks, and how to install it
	@scripts/doctor

try: ## 10,000 events through the command line: check, fit, transform; no Python, no AWS
	@scripts/doctor rust
	@scripts/try

build: ## every binary, in the fast profile
	cargo build $(FAST) --all-targets

venv: ## the Python environment: local AWS, Spark, the wheel
	scripts/venv .venv local/requirements.txt
	scripts/wheel

demo: ## the whole pipeline on a local AWS: history, training, live stream, accounts
	@scripts/doctor
	@scripts/demo

traffic: ## promotions while events stream: no gap, no overlap, no emptier window
	@scripts/doctor
	@scripts/traffic

test: ## everything that continuous integration runs
	@scripts/doctor
	@scripts/test

parity: ## one corpus through every path: equal to the bit
	cargo build $(FAST) --all-targets
	cargo test $(FAST) --test parity -- --nocapture

conformance: ## public events, rulesets and hostile texts: make conformance DIR=<folder>
	@test -d "$(DIR)" || { echo "make conformance DIR=<folder>: the folder with the test material" >&2; exit 2; }
	LEAT_CONFORMANCE=$(abspath $(DIR)) cargo test $(FAST) --no-fail-fast -- conformance of_others

bench: ## Leat beside a program written by hand, the floor, and other stacks: one table
	@scripts/doctor rust
	@scripts/bench

fuzz: ## a minute of fuzzing for each place where bytes from outside enter
	@scripts/doctor rust
	@scripts/fuzz

sql: ## a `leat` that evaluates CustomSql, and its tests: target/sql/leat
	@scripts/doctor rust
	@scripts/sql

package: ## release zips for Amazon Linux 2023, the wheel and the command line, in dist/
	@scripts/package

clean: ## all that was built or started here
	rm -rf target dist .venv .venv-sam .leat
