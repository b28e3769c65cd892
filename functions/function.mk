# Commands for one function. Each functions/*/Makefile includes this file; the Makefile of the checkout does the work.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

FUNCTION := $(lastword $(subst /, ,$(CURDIR)))

.PHONY: help
help: ## Lists these commands
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' ../function.mk | expand -t 16

.PHONY: build test invoke
build: ## Builds the function for this machine, in target/local
test: ## Runs the unit tests of the function and of the libraries, which have most of its code
invoke: ## Calls the function with its event in events/ or EVENT=file, in `make dev` (PORT=4566) or a fresh system
build test invoke:
	@$(MAKE) -C ../.. $@-function FUNCTION=$(FUNCTION)
