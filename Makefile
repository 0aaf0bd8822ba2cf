# The front door. `make help` lists what there is.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup build test lint proto check-wire bench fuzz

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:
	@scripts/setup

build: setup ## Build everything (debug)
	swift build

test: ## All tests that need no root and no foreign peer
	@scripts/test

lint: setup ## Style, and no layer imports what its target does not list
	@scripts/lint

proto: setup ## Regenerate the packet codec's C code from proto/
	@scripts/proto

check-wire: setup ## Fail when that code is not what proto/ says
	@scripts/check-wire

.PHONY: docs soak
docs: setup ## The API reference, from the comments, in .build/docs
	@scripts/docs

soak: setup ## The random tests with many more seeds; more still: make soak FACTOR=100
	@scripts/soak $(or $(FACTOR),20)

bench: setup ## Measure the layers, or one: make bench LAYER=Replay
	@scripts/bench $(LAYER)

fuzz: setup ## Fuzz every decoder, or one: make fuzz TARGET=packet SECONDS=60
	@scripts/fuzz --seconds $(or $(SECONDS),60) $(TARGET)
