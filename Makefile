# Commands of this repository. `make help` lists them.

ifeq ($(filter 4.% 5.%,$(MAKE_VERSION)),)
$(error GNU make 4 or newer is needed, and this is $(MAKE_VERSION). On macOS: `brew install make`, then `gmake`)
endif
ifeq ($(wildcard template.yaml),)
$(error Run make in the root folder of the checkout)
endif

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
# Name of the stack; by default that of the environment. Taken from the command line only, as it was typed: neither make
# nor the shell expands a `$` in it.
ON_STACK := $(if $(filter command,$(origin STACK)),--stack="$$STACK")
override export STACK := $(if $(filter command,$(origin STACK)),$(value STACK))
# Lambda's provided.al2 has glibc 2.26.
RELEASE_TARGET := aarch64-unknown-linux-gnu.2.26

export CARGO_TARGET_DIR := $(CURDIR)/target
# Builds for this machine are for it, whatever the user's usual target is.
unexport CARGO_BUILD_TARGET
export SAM_CLI_TELEMETRY := 0
# Files are UTF-8 in every locale.
export PYTHONUTF8 := 1
# The message of a failed assertion is enough.
export RUST_BACKTRACE := 0
# The pinned tools come first: cargo-lambda, zig, sam, cfn-lint.
TOOLS := $(CURDIR)/.tools/aws/bin:
export PATH := $(TOOLS)$(subst $(TOOLS),,$(PATH))

PHASE := @tools/phase

# Installs the standard library of a target of Rust.
define rust_target
@rustup target list --installed | grep -qx $(1) || rustup target add $(1)
endef

# First steps of a start; the argument is the number of all steps.
define prepare
@echo 'Step 1 of $(1): install the tools (some minutes the first time)'
@$(MAKE) tools
@echo 'Step 2 of $(1): compile the functions (some minutes the first time)'
@$(MAKE) host-build
@echo 'Step 3 of $(1): compile the program that runs the system (some minutes the first time)'
@cargo build --locked --workspace --bin local
endef

.PHONY: help
help: ## Lists the commands
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 25

# --- The two commands ---

.PHONY: dev
dev: free-PORT+WEB_PORT ## Runs the whole system here until Ctrl-C (PORT=4566 WEB_PORT=5173)
	$(call prepare,5)
	@echo 'Step 4 of 5: install the packages of the web UI (some seconds the first time)'
	@$(MAKE) web/node_modules
	@echo 'Step 5 of 5: start the system'
	@exec tools/run local dev --port $(PORT) --web-port $(WEB_PORT)

.PHONY: watch
watch: free-WATCH_PORT ## Serves the API from the sources and recompiles after edits (WATCH_PORT=9000)
	$(call prepare,4)
	@echo 'Step 4 of 4: start the system'
	@exec tools/run local watch --port $(WATCH_PORT)

.PHONY: start-api
start-api: free-START_API_PORT docker ## Serves the API by sam local start-api; needs Docker (START_API_PORT=3000)
	$(call prepare,5)
	@echo 'Step 4 of 5: compile the functions for their containers (some minutes the first time)'
	@$(MAKE) container-build
	@echo 'Step 5 of 5: start the system'
	@DOCKER_HOST=$$(tools/docker-host); export DOCKER_HOST; exec tools/run local start-api --port $(START_API_PORT)

.PHONY: container-build
container-build: CONTAINER_TARGET := $(subst arm64,aarch64,$(shell uname -m))-unknown-linux-gnu
container-build:
	$(call rust_target,$(CONTAINER_TARGET))
	cargo lambda build --locked --features unauthenticated --target $(CONTAINER_TARGET).2.26 \
	  --lambda-dir target/start-api/target/lambda --output-format zip

.PHONY: docker
docker:
	@tools/docker-host >/dev/null

# For example free-PORT+WEB_PORT: nothing listens on the ports that PORT and WEB_PORT name, and they are two.
free-%: prerequisites
	@python3 tools/port.py $(foreach name,$(subst +, ,$*),'$(name)=$($(name))')

# The system that `url`, `token`, `status` and `follow` ask: a deployed stack if one is named, else that of `make dev`.
ASKED = $(if $(ON_STACK),--config-env $(ENV) $(ON_STACK),--port $(PORT))

.PHONY: url
url: $(if $(ON_STACK),check-stack) ## Prints the URL of the API of `make dev`, or of a deployed stack (STACK=name)
	@tools/run local url $(ASKED)

.PHONY: token
# The values reach the program as they were typed: neither make nor the shell expands a `$` in them.
token: override export SCOPE := $(value SCOPE)
token: override export PERSON := $(value PERSON)
token: override export PASSWORD := $(value PASSWORD)
token: $(if $(ON_STACK),check-stack) ## Prints an access token for that API (STACK=name SCOPE="orders/read", or PERSON=email PASSWORD=...)
	@tools/run local token $(ASKED) $${SCOPE:+--scope="$$SCOPE"} \
	  $${PERSON:+--person="$$PERSON" --password="$$PASSWORD"}

.PHONY: status
status: $(if $(ON_STACK),check-stack) ## Shows the state of the system on one screen (PORT=4566, or STACK=name ENV=dev)
	@tools/run local status $(ASKED)

.PHONY: follow
# Taken from the command line only, as it was typed.
follow: override export ORDER := $(if $(filter command,$(origin ORDER)),$(value ORDER))
follow: $(if $(ON_STACK),check-stack) ## Shows all that happened to an order (ORDER=id PORT=4566, or STACK=name ENV=dev)
	@tools/run local follow $(ASKED) --order="$$ORDER"

.PHONY: test
test: ## Runs all tests and prints the time of each phase
	@rm -f target/phases
	$(PHASE) tools $(MAKE) tools
	$(PHASE) check $(MAKE) check
	$(PHASE) web $(MAKE) web
	$(PHASE) pipeline $(MAKE) pipeline
	$(PHASE) release-build $(MAKE) release-build check-zips
	$(PHASE) host-build $(MAKE) host-build
	$(PHASE) e2e $(MAKE) e2e
	@tools/phase --summary

# --- Parts of make test ---

.PHONY: check
check: tools ## Runs lints, unit tests and template checks
	@# rustup installs the pinned Rust when it is first used. Several installations at once would break each other.
	@cargo --version
	@python3 tools/side_by_side.py $(MAKE) lint unit template

.PHONY: lint
lint: ## Checks formatting and lints
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets --quiet -- -D warnings
	@# Of the whole workspace, too: a package alone takes other features of the dependencies, and compiles them again.
	@# Not among all targets: `cargo test` leaves it out.
	cargo clippy --locked --workspace --test e2e --quiet -- -D warnings
	cargo clippy --locked --workspace --lib --features shared/unauthenticated --quiet -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps --document-private-items --quiet
	cargo deny --locked --log-level error check -D warnings bans licenses sources
	ruff format --check --quiet tools
	ruff check --quiet tools

.PHONY: unit
unit: ## Runs every Rust test that needs no running system
	cargo test --quiet --locked --workspace

.PHONY: template
template: tools/iam/node_modules ## Checks the templates, the workflows and the tools
	sam validate --lint
	cfn-lint
	zizmor --offline --quiet .github
	check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	npm --prefix tools/iam run --silent check
	@# Last, because it alone uses all processors.
	@# Without the plugins of the installed packages: to import them takes longer than most of the tests.
	pytest --disable-plugin-autoload -p xdist --quiet --numprocesses auto tools/tests

.PHONY: web
web: web/node_modules ## Checks the web UI: types, lints, component tests, build, size
	cd web && npm run --silent check

.PHONY: pipeline
pipeline: pipeline/node_modules ## Checks the program that makes the pipeline: types, lints, unit tests
	cd pipeline && npm run --silent check

.PHONY: release-build
release-build: ## Builds the arm64 zips for AWS in target/lambda
	$(call rust_target,aarch64-unknown-linux-gnu)
	@python3 tools/release_build.py $(RELEASE_TARGET)

.PHONY: reproducible
reproducible: tools ## Builds the last commit twice, in two folders, and compares the zips
	@python3 tools/reproducible.py $(MAKE) release-build

.PHONY: check-zips
check-zips: ## Checks that the zips run on the template's architecture and runtime (ENV=dev)
	@python tools/check_zips.py --config-env $(ENV)

.PHONY: arm64-check
arm64-check: export ORDER_API_STAGING := target/arm64
arm64-check: ## Calls each arm64 zip with its sample event (after make tools release-build)
	@python3 tools/arm64_zips.py $(ORDER_API_STAGING)
	tools/run local run -- cargo test --locked --workspace --test e2e events::every_function -- --nocapture

.PHONY: extend-check
extend-check: tools web/node_modules web/e2e/node_modules ## Follows docs/extend.md in a copy: adds a field to an order, and tests it
	@python3 -u tools/extend.py

.PHONY: host-build
host-build: ## Builds the functions for this machine in target/local
	@python3 tools/host_build.py

.PHONY: e2e
e2e: web-build web/e2e/node_modules openapi/node_modules tools/iam/node_modules ## Runs 100 orders under fire, then the end-to-end tests with IAM enforced, on fresh local stacks (after make tools host-build)
	@rm -rf target/iam
	cargo test --quiet --locked --workspace --test e2e --no-run
	$(MAKE) chaos ORDERS=100
	tools/run local run --iam -- $(MAKE) e2e-on-stack
	@# After all tests: a right is superfluous only if none of them needs it.
	node tools/iam/check.ts

.PHONY: e2e-on-stack
e2e-on-stack: tools/clients/node_modules
	cargo test --locked --workspace --test e2e -- --skip workflow:: --skip watch:: --skip logs::
	@# These tests mostly wait, so more of them can run at once.
	cargo test --locked --workspace --test e2e workflow:: -- --test-threads 8
	tools/clients/run
	tools/fuzz/run
	npm --prefix web/e2e run --silent test
	@# After the others, because it reads their logs.
	cargo test --locked --workspace --test e2e logs::
	@# Alone and last, because it compiles, with other flags.
	cargo test --locked --workspace --test e2e watch::

.PHONY: fuzz
fuzz: ## Runs only schemathesis, on a fresh local stack (after make tools host-build)
	tools/run local run -- tools/fuzz/run

FUZZ_SECONDS ?= 600
# Inputs that a run adds. Those in fuzz/corpus are only read.
NEW_INPUTS := target/fuzz-corpus

.PHONY: fuzz-parsers
fuzz-parsers: export CARGO_TARGET_DIR := $(CURDIR)/target/libfuzzer
fuzz-parsers: tools ## Fuzzes what parses input, by libFuzzer; needs a C++ compiler (FUZZ_SECONDS=600 in all)
	@# A sanitizer would need nightly Rust, and finds faults of unsafe code, of which this workspace has none.
	cargo fuzz build --sanitizer none
	@targets=$$(cargo fuzz list); count=$$(wc -w <<<"$$targets"); \
	for target in $$targets; do \
	  echo "$$target:"; mkdir -p "$(NEW_INPUTS)/$$target"; \
	  cargo fuzz run --sanitizer none "$$target" "$(NEW_INPUTS)/$$target" "fuzz/corpus/$$target" -- \
	    -max_total_time=$$(($(FUZZ_SECONDS) / count)) -timeout=10 -verbosity=0 -print_final_stats=1; \
	done

.PHONY: chaos
chaos: ## Injects faults under load and checks every promise (after make tools host-build; ORDERS=2000 SEED=number)
	tools/run chaos $(if $(ORDERS),--orders $(ORDERS)) $(if $(SEED),--seed $(SEED)) $(ARGS)

.PHONY: openapi
openapi: ## Generates openapi.yaml and docs/notification.schema.json from the types
	tools/run openapi >openapi.yaml
	tools/run openapi notification >docs/notification.schema.json

.PHONY: samples
samples: ## Writes samples of stored data and messages to events/release; keeps the old ones
	cargo test --quiet --locked --workspace --test release -- --ignored write

.PHONY: bench
bench: prerequisites ## Measures the functions; fails if they miss what they must reach (ARGS="--only get-orders")
	@# Three builds, because packages of one build share the features of what they depend on.
	cargo build --release --locked
	cargo build --release --locked --package floor
	@cargo run --quiet --release --locked --package bench -- $(ARGS)

.PHONY: bench-defaults
bench-defaults: prerequisites ## Measures get-orders beside a list with the crates' defaults
	cargo build --release --locked
	cargo build --release --locked --package floor
	cargo build --release --locked --manifest-path bench/defaults/Cargo.toml --target-dir target/defaults
	@mkdir -p target/bench
	@sed 's/"10"/"25"/' events/get-orders.json >target/bench/list.json
	@cargo run --quiet --release --locked --package bench -- --event target/bench/list.json \
	  --bootstrap target/defaults/release/defaults --bootstrap target/release/get-orders \
	  --env ORDERS_TABLE=orders --env WEB_ORIGIN=https://example.com --env ENVIRONMENT=dev $(ARGS)

.PHONY: load
# Functions as they are built for AWS, apart from those of `make dev`.
load: export ORDER_API_STAGING := target/load
load: tools tools/autocannon/node_modules ## Measures the API under load from 1 to 64 clients, and the functions without the emulator; on Linux
	python3 tools/host_build.py --release
	cargo build --release --locked --package floor
	cargo build --release --locked --package bench
	@# With the concurrency that AWS gives an account: workflows take functions, too, while the last clients submit orders.
	tools/run local run --concurrency 1000 -- python tools/load.py
	@printf '\nThe functions without the emulator: one process for each client, and AWS with canned answers\n\n'
	@cargo run --quiet --release --locked --package bench -- --load

.PHONY: costs
costs: ## Writes the tables of docs/costs.md
	python tools/costs.py

.PHONY: docs
docs: export ORDER_API_STACK ?= $(shell cat target/local/stack-$(PORT).json 2>/dev/null)
docs: free-DOCS_PORT tools openapi/node_modules web/node_modules ## Serves openapi.yaml as a page; calls go to `make dev` (DOCS_PORT=8080 PORT=4566)
	@mkdir -p target/docs
	@cp openapi/page.html target/docs/index.html
	@cp openapi/node_modules/swagger-ui-dist/swagger-ui{.css,-bundle.js} target/docs/
	@token=$$([ -z "$$ORDER_API_STACK" ] || tools/run local token || true); \
	  python -c 'import json, sys, yaml; \
	    print("const openapi =", json.dumps(yaml.safe_load(open("openapi.yaml"))), ", token =", json.dumps(sys.argv[1]))' \
	    "$$token" >target/docs/document.js
	@echo 'http://localhost:$(DOCS_PORT) - Ctrl-C stops the server'
	@cd web && exec node_modules/.bin/vite --config vite.docs.ts --host 127.0.0.1 --port $(DOCS_PORT) --strictPort --logLevel warn

%/node_modules: %/package-lock.json tools/requirements.txt
	@echo 'Installing the packages of $* ...'
	@# Without the trap, an installation that was interrupted would leave a folder that looks complete.
	@cd $* && trap 'rm -rf node_modules' EXIT && npm ci --ignore-scripts --loglevel=error --no-audit --no-fund && trap - EXIT
	@touch $@

.PHONY: fmt
fmt: ## Formats everything
	cargo fmt --all
	ruff format tools

# --- One function: functions/function.mk calls these ---

.PHONY: build-function
build-function: prerequisites
	@# By its binary: alone in a build, its package would take other features of the dependencies, and compile them again.
	@python3 tools/host_build.py --bin $(FUNCTION)

.PHONY: test-function
test-function:
	cargo test --quiet --locked --workspace --bin $(FUNCTION) --lib

.PHONY: invoke-function
# Taken from the command line only, as it was typed, and from the function's folder.
invoke-function: override export EVENT := $(if $(filter command,$(origin EVENT)),$(value EVENT))
invoke-function:
	@# Under `local run` there is a system already. The standard output is for the answer alone.
	$(if $(ORDER_API_STACK),,@$(MAKE) tools host-build >&2)
	@cd functions/$(FUNCTION) && exec ../../tools/run local invoke $(FUNCTION) --port $(PORT) $${EVENT:+--event="$$EVENT"}

# --- Deployment ---

.PHONY: pipeline-local
pipeline-local: tools ## Runs the commands of the pipeline against an emulated AWS, also with faults; half an hour
	tools/run local run --empty -- python -u tools/pipeline_local.py

.PHONY: deploy
deploy: tools check-parameters release-build check-zips ## Builds, checks and deploys to AWS (ENV=dev STACK=name)
	@# `sam delete` deletes the zips of a stack, so stacks must not share them: the prefix is a folder for each.
	sam package --config-env $(ENV) --template-file template.yaml --output-template-file packaged-template.yaml \
	  $(if $(ON_STACK),--s3-prefix="$$STACK")
	@python tools/release.py --config-env $(ENV) $(ON_STACK)
	sam deploy --config-env $(ENV) --template-file release-template.yaml \
	  $(if $(ON_STACK),--stack-name="$$STACK" --s3-prefix="$$STACK")

# Refuses a bad name before anything that takes long. It needs the tools.
.PHONY: check-stack
check-stack:
	@python tools/samconfig.py --config-env $(ENV) $(ON_STACK) >/dev/null

.PHONY: check-parameters
check-parameters: ## Checks the parameters of a stack before it is deployed (ENV=dev STACK=name)
	@python tools/check_parameters.py --config-env $(ENV) $(ON_STACK)

.PHONY: deploy-web
deploy-web: tools check-stack web-build ## Builds the web UI and publishes it to a deployed stack (ENV=dev STACK=name)
	@python tools/deploy_web.py --config-env $(ENV) $(ON_STACK)

.PHONY: smoke
smoke: tools ## Tests a deployed stack over HTTPS, signed in as a machine (ENV=dev STACK=name)
	@python tools/smoke.py --config-env $(ENV) $(ON_STACK)

.PHONY: undeploy-web
undeploy-web: tools ## Empties the bucket of the web UI, before sam delete (ENV=dev STACK=name)
	@python tools/deploy_web.py --config-env $(ENV) $(ON_STACK) --empty

.PHONY: verify
verify: tools check-stack web/e2e/node_modules ## Runs the tests of the API on a deployed stack; writes a report (ENV=dev STACK=name)
	@python tools/verify.py --config-env $(ENV) $(ON_STACK)

.PHONY: redrive
redrive: tools ## Moves dead letters back to their queues (ENV=dev STACK=name)
	@python tools/redrive.py --config-env $(ENV) $(ON_STACK)

.PHONY: settle
# Taken from the command line only, as it was typed.
settle: override export ORDER := $(if $(filter command,$(origin ORDER)),$(value ORDER))
settle: tools ## Closes a refund that was made by hand (ORDER=id ENV=dev STACK=name)
	@python tools/settle.py --config-env $(ENV) $(ON_STACK) --order "$$ORDER"

.PHONY: restore
# Taken from the command line only, as it was typed.
restore: override export TABLE := $(if $(filter command,$(origin TABLE)),$(value TABLE))
restore: tools ## Copies lost orders back from a restored table (TABLE=name ENV=dev STACK=name)
	@python tools/restore.py --config-env $(ENV) $(ON_STACK) --table "$$TABLE"

# --- Web UI ---

.PHONY: web-build
web-build: web/node_modules ## Builds the web UI in web/dist
	cd web && npm run --silent build

.PHONY: web-e2e
web-e2e: web-build web/e2e/node_modules openapi/node_modules ## Runs only the browser tests, on a fresh local stack (after make tools host-build)
	tools/run local run -- npm --prefix web/e2e run --silent test

.PHONY: screenshots
screenshots: tools host-build web-build web/e2e/node_modules ## Makes the pictures of the web UI in docs/
	tools/run local run -- npm --prefix web/e2e run --silent screenshots

# --- Tools, inside the checkout ---

.PHONY: tools
# With the user's Python, not with that of the tools.
tools: export PATH := $(subst $(TOOLS),,$(PATH))
tools: prerequisites ## Installs the pinned tools
	@python3 tools/install.py .tools/aws tools/requirements.txt
	@python3 tools/install.py .tools/emulator tools/emulator-requirements.txt

.PHONY: prerequisites
prerequisites:
	@tools/prerequisites

.PHONY: lock
lock: ## Updates the pinned tools after an edit of tools/*.in
	@python3 -m venv .tools/lock
	@.tools/lock/bin/pip install --quiet --disable-pip-version-check uv
	@# In tools/ and with its head of options, as Dependabot runs it.
	@cd tools && for name in requirements emulator-requirements; do \
	  ../.tools/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
	    --output-file $$name.txt $$name.in; done

.PHONY: clean
clean: ## Removes all builds and everything that was installed in the checkout
	rm -rf target fuzz/artifacts .tools .aws-sam .schemathesis packaged-template.yaml release-template.yaml web/dist web/src/api/schema.d.ts
	find . \( -name node_modules -o -name __pycache__ -o -name .pytest_cache -o -name .ruff_cache \) -prune -exec rm -rf {} +
