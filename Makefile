# Strowger. `make help` lists the targets. Every target does its own set-up.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

TARGET := $(or $(CARGO_TARGET_DIR),target)
CONFIG ?= config/strowger.toml
SOAK_CALLS ?= 1000000
FUZZ_SECONDS ?= 60
# Every plugin is one crate; FOLDER/NAME becomes target/plugins/NAME.wasm.
PLUGIN_FOLDERS := $(patsubst %/Cargo.toml,%,$(wildcard plugins/*/Cargo.toml examples/plugins/*/Cargo.toml))
# Plugins that misbehave, for the tests.
GUEST_FOLDERS := $(patsubst %/Cargo.toml,%,$(wildcard tests/guests/*/Cargo.toml))

.PHONY: help run build plugins test soak fuzz bench lint fmt demo setup-build setup-test setup-bench

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-10s %s\n", $$1, $$2 }'

run: build ## Build everything and start the switch with config/strowger.toml (CONFIG=... for another)
	exec $(TARGET)/release/strowger run --config $(CONFIG)

build: setup-build plugins ## Build the release program and the plugins
	cargo build --release -p strowger

plugins: setup-build ## Compile the plugins to target/plugins/*.wasm
	@scripts/plugins.sh $(TARGET) $(PLUGIN_FOLDERS)

test: setup-test ## Run every test, whole-system tests with sipp included
	@scripts/plugins.sh $(TARGET) $(PLUGIN_FOLDERS) $(GUEST_FOLDERS)
	@scripts/test.sh $(TARGET)

soak: setup-build ## A million simulated calls over a bad network (SOAK_CALLS=... for more or less); some minutes
	STROWGER_SOAK_CALLS=$(SOAK_CALLS) cargo test --release -p strowger-switch --test machine -- --nocapture \
		twelve_thousand_calls_over_a_bad_network_leave_nothing_behind

fuzz: setup-build ## Fuzz every reader of peers' bytes (FUZZ_SECONDS=... for each target, 60)
	BOLERO_RANDOM_TEST_TIME_MS=$(FUZZ_SECONDS)000 BOLERO_RANDOM_ITERATIONS=1000000000 \
		cargo test --release -p strowger-sip -p strowger-media --test fuzz -- --test-threads 1

bench: setup-bench build ## Measure; the table goes to target/bench.jsonl too
	@scripts/bench.sh $(TARGET)

lint: setup-build ## Formatting, clippy and (where installed) cargo-deny
	cargo fmt --all -- --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy --workspace --features strowger-host/luajit --bench hooks -- -D warnings
	@if ! cargo deny --version >/dev/null 2>&1; then \
		echo "cargo-deny is not installed (cargo install cargo-deny): dependencies not checked"; exit 0; \
	fi; \
	cargo deny --log-level error check licenses bans sources; \
	if cargo deny fetch db >/dev/null 2>&1; then cargo deny check advisories; \
	else echo "the advisory database cannot be reached: advisories not checked"; fi

fmt: ## Format the code
	cargo fmt --all

demo: build ## A caller, two vendors and a plugin swap against the real switch, explained as it runs
	$(TARGET)/release/strowger demo

setup-build:
	@scripts/setup.sh build

setup-test:
	@scripts/setup.sh test

setup-bench:
	@scripts/setup.sh bench
