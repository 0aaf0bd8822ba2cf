# The front door. `make help` lists what there is.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup demo build test bench interop fuzz soak proto check-wire lint docs install

PREFIX ?= /usr/local

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:
	@scripts/setup

build: setup ## Build everything (debug)
	swift build

demo: setup ## The first minute: two nodes on this machine, a file moved by key (FILE=… for one of yours)
	swift build -c release --product pnet
	@.build/release/pnet demo $(if $(FILE),--file "$(FILE)")

test: ## All tests that need no root and no foreign peer
	@scripts/test

soak: setup ## The random tests with many more seeds; more still: make soak FACTOR=100
	@scripts/soak $(or $(FACTOR),20)

install: setup ## Install pnet, with the Swift runtime linked in (PREFIX=/usr/local)
	swift build -c release --product pnet --static-swift-stdlib --scratch-path .build-static
	install -D -s -m 755 .build-static/release/pnet "$(DESTDIR)$(PREFIX)/bin/pnet"

lint: setup ## Style, and no layer imports what its target does not list
	@scripts/lint

docs: setup ## The API reference, from the comments, in .build/docs
	@scripts/docs

proto: setup ## Regenerate the packet codec's C code from proto/
	@scripts/proto

check-wire: setup ## Fail when that code is not what proto/ says
	@scripts/check-wire

bench: setup ## Measure the layers, or one: make bench LAYER=Replay
	@scripts/bench $(LAYER)

interop: ## Our node with wireguard-go, needs root: make interop LONG=1 CASES='ping-v4 roaming-*'
	@scripts/interop $(if $(LONG),--long) $(CASES)

fuzz: setup ## Fuzz every decoder, or one: make fuzz TARGET=packet SECONDS=60
	@scripts/fuzz --seconds $(or $(SECONDS),60) $(TARGET)
