# Commands of this repository. `make help` lists them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

PORT ?= 4566
WEB_PORT ?= 5173
WATCH_PORT ?= 9000
START_API_PORT ?= 3000
DOCS_PORT ?= 8080
# Not taken from the environment, because ENV means something else to a shell.
ENV = dev
# Lambda's provided.al2 has glibc 2.26.
RELEASE_TARGET := aarch64-unknown-linux-gnu.2.26

export CARGO_TARGET_DIR := $(CURDIR)/target
export SAM_CLI_TELEMETRY := 0
# The message of a failed assertion is enough.
export RUST_BACKTRACE := 0
# The pinned tools come first: cargo-lambda, zig, sam, cfn-lint.
export PATH := $(CURDIR)/.tools/aws/bin:$(PATH)

PHASE := @tools/phase

.PHONY: help
help: ## Lists the commands
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

# --- The two commands ---

.PHONY: dev
dev: tools host-build web/node_modules ## Runs the whole system here until Ctrl-C (PORT=4566 WEB_PORT=5173)
	@cargo build --locked --workspace --bin local
	@exec target/debug/local dev --port $(PORT) --web-port $(WEB_PORT)

.PHONY: watch
watch: tools host-build ## Serves the API from the sources and recompiles after edits (WATCH_PORT=9000)
	@cargo build --locked --workspace --bin local
	@exec target/debug/local watch --port $(WATCH_PORT)

.PHONY: start-api
start-api: docker tools host-build ## Serves the API by sam local start-api; needs Docker (START_API_PORT=3000)
	cargo lambda build --locked --features unauthenticated --target $(shell uname -m)-unknown-linux-gnu.2.26 \
	  --lambda-dir target/start-api/target/lambda --output-format zip
	@cargo build --locked --workspace --bin local
	@exec target/debug/local start-api --port $(START_API_PORT)

.PHONY: docker
docker:
	@docker info >/dev/null 2>&1 || { echo 'error: make start-api needs Docker, and no Docker engine answers' >&2; exit 1; }

.PHONY: url
url: ## Prints the URL of the API that `make dev` runs
	@cargo build --quiet --locked --workspace --bin local
	@target/debug/local url --port $(PORT)

.PHONY: token
token: ## Prints an access token for that API: SCOPE="orders/read", or PERSON=ann@example.com PASSWORD=...
	@cargo build --quiet --locked --workspace --bin local
	@target/debug/local token --port $(PORT) $(if $(SCOPE),--scope '$(SCOPE)') \
	  $(if $(PERSON),--person '$(PERSON)' --password '$(PASSWORD)')

.PHONY: test
test: ## Runs all tests and prints the time of each phase
	@rm -f target/phases
	$(PHASE) tools $(MAKE) tools
	$(PHASE) lint $(MAKE) lint
	$(PHASE) unit $(MAKE) unit
	$(PHASE) template $(MAKE) template
	$(PHASE) release-build $(MAKE) release-build check-zips
	$(PHASE) host-build $(MAKE) host-build
	$(PHASE) e2e $(MAKE) e2e
	@tools/phase --summary

# --- Parts of make test ---

.PHONY: check
check: tools lint unit template ## Runs lints, unit tests and template checks

.PHONY: lint
lint: ## Checks formatting and lints
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets --quiet -- -D warnings
	@# Not among all targets: `cargo test` leaves it out.
	cargo clippy --locked --package local --test e2e --quiet -- -D warnings
	cargo clippy --locked --package shared --features unauthenticated --quiet -- -D warnings
	ruff format --check --quiet tools
	ruff check --quiet tools

.PHONY: unit
unit: ## Runs every Rust test that needs no running system
	cargo test --quiet --locked --workspace

.PHONY: template
template: ## Checks the template and the tools
	sam validate --lint
	cfn-lint template.yaml
	pytest --quiet tools/tests

.PHONY: web
web: web/node_modules ## Checks the web UI: types, lints, component tests, build, size
	cd web && npm run --silent check

web/node_modules: web/package-lock.json
	cd web && npm ci --silent --no-audit --no-fund
	@touch $@

.PHONY: release-build
release-build: ## Builds the arm64 zips for AWS in target/lambda
	@rustup target list --installed | grep -qx aarch64-unknown-linux-gnu || rustup target add aarch64-unknown-linux-gnu
	cargo lambda build --release --locked --target $(RELEASE_TARGET) --output-format zip

.PHONY: check-zips
check-zips: ## Checks that the zips run on the template's architecture and runtime (ENV=dev)
	@python tools/check_zips.py --config-env $(ENV)

.PHONY: host-build
host-build: target/local/.built ## Builds the functions for this machine in target/local

# cargo-lambda would write the zips again at every start, even if nothing has changed.
target/local/.built: $(shell find functions shared Cargo.toml Cargo.lock rust-toolchain.toml tools/requirements.txt -type f)
	cargo lambda build --locked --compiler cargo --lambda-dir target/local/target/lambda --output-format zip
	@touch $@

.PHONY: e2e
e2e: web-build web/e2e/node_modules ## Runs the end-to-end tests on a fresh local stack
	cargo test --quiet --locked --workspace --test e2e --no-run
	cargo build --quiet --locked --workspace --bin local
	@# A load test, so it has its own system. The low concurrency suits two cores: with more calls at once, the functions
	@# and the emulator would only wait for each other.
	target/debug/local run --concurrency 20 -- cargo test --locked --workspace --test e2e burst -- --nocapture
	target/debug/local run -- $(MAKE) e2e-on-stack

.PHONY: e2e-on-stack
e2e-on-stack:
	cargo test --locked --workspace --test e2e -- --skip workflow:: --skip watch:: --skip logs::
	@# These tests mostly wait, so more of them can run at once.
	cargo test --locked --workspace --test e2e workflow:: -- --skip burst --test-threads 8
	tools/fuzz/run
	npm --prefix web/e2e run --silent test
	@# After the others, because it reads their logs.
	cargo test --locked --workspace --test e2e logs::
	@# Alone and last, because it compiles, with other flags.
	cargo test --locked --workspace --test e2e watch::

.PHONY: fuzz
fuzz: ## Runs only schemathesis, on a fresh local stack (after make tools host-build)
	cargo build --quiet --locked --workspace --bin local
	target/debug/local run -- tools/fuzz/run

.PHONY: openapi
openapi: ## Generates openapi.yaml and docs/notification.schema.json from the types
	cargo build --quiet --locked --workspace --bin openapi
	target/debug/openapi >openapi.yaml
	target/debug/openapi notification >docs/notification.schema.json

.PHONY: docs
docs: tools openapi/node_modules ## Serves openapi.yaml as a readable page (DOCS_PORT=8080)
	@mkdir -p target/docs
	@cp openapi/page.html target/docs/index.html
	@cp openapi/node_modules/swagger-ui-dist/swagger-ui{.css,-bundle.js} target/docs/
	@python -c 'import json, yaml; print("const openapi =", json.dumps(yaml.safe_load(open("openapi.yaml")), default=str))' \
	  >target/docs/document.js
	@echo 'http://localhost:$(DOCS_PORT) - Ctrl-C stops the server'
	@exec python -m http.server --directory target/docs --bind 127.0.0.1 $(DOCS_PORT) >/dev/null 2>&1

openapi/node_modules: openapi/package-lock.json
	cd openapi && npm ci --silent --no-audit --no-fund
	@touch $@

.PHONY: fmt
fmt: ## Formats everything
	cargo fmt --all
	ruff format tools

# --- Deployment ---

.PHONY: deploy
deploy: tools release-build check-zips ## Builds, checks and deploys to AWS (ENV=dev or prod)
	sam deploy --config-env $(ENV)

.PHONY: deploy-web
deploy-web: tools web-build ## Builds the web UI and publishes it to a deployed stack (ENV=dev or prod)
	@python tools/deploy_web.py --config-env $(ENV)

.PHONY: undeploy-web
undeploy-web: tools ## Empties the bucket of the web UI: sam delete needs it empty (ENV=dev or prod)
	@python tools/deploy_web.py --config-env $(ENV) --empty

.PHONY: redrive
redrive: tools ## Moves dead letters back to their queues (ENV=dev or prod)
	@python tools/redrive.py --config-env $(ENV)

.PHONY: settle
# Taken from the command line only, and exported, so that the shell does not read it.
settle: export ORDER =
settle: tools ## Closes a refund that was made by hand (ORDER=id ENV=dev or prod)
	@python tools/settle.py --config-env $(ENV) --order "$$ORDER"

# --- Web UI ---

.PHONY: web-build
web-build: web/node_modules ## Builds the web UI in web/dist
	cd web && npm run --silent build

.PHONY: web-e2e
web-e2e: web-build web/e2e/node_modules ## Runs only the browser tests, on a fresh local stack (after make tools host-build)
	cargo build --quiet --locked --workspace --bin local
	target/debug/local run -- npm --prefix web/e2e run --silent test

.PHONY: screenshots
screenshots: tools host-build web-build web/e2e/node_modules ## Makes the pictures of the web UI in docs/
	cargo build --quiet --locked --workspace --bin local
	target/debug/local run -- npm --prefix web/e2e run --silent screenshots

web/e2e/node_modules: web/e2e/package-lock.json
	cd web/e2e && npm ci --silent --no-audit --no-fund
	@touch $@

# --- Tools, inside the checkout ---

.PHONY: tools
tools: prerequisites .tools/aws/.installed .tools/emulator/.installed ## Installs the pinned tools

.PHONY: prerequisites
prerequisites:
	@tools/prerequisites

.tools/aws/.installed: tools/requirements.txt
.tools/emulator/.installed: tools/emulator-requirements.txt
.tools/%/.installed:
	@echo "Installing $< into .tools/$* ..."
	@rm -rf .tools/$*
	@python3 -m venv .tools/$*
	@.tools/$*/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement $<
	@touch $@

.PHONY: lock
lock: ## Updates the pinned tools after an edit of tools/*.in
	@python3 -m venv .tools/lock
	@.tools/lock/bin/pip install --quiet --disable-pip-version-check uv
	@for name in requirements emulator-requirements; do \
	  .tools/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade \
	    tools/$$name.in --output-file tools/$$name.txt; done

.PHONY: clean
clean: ## Removes all builds and installed tools
	rm -rf target .tools
