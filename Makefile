# Thin names for scripts/. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help setup demo up images test test-vllm test-clients test-ray test-compose test-bundle test-clone bundle chaos chaos-restarts check docs fix protos lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Make .venv with everything that runs the stack
	@scripts/setup

demo: ## Answer questions about examples/corpus through the whole stack, then stop
	@scripts/demo

up: ## Run the stack in the foreground: HTTP on 8080, gRPC on 50050
	@scripts/up

images: ## Build the container images
	@scripts/images

bundle: ## Write an archive that installs without a network
	@scripts/setup && .venv/bin/trivium bundle

test: ## All checks and tests, a real vLLM and real clients included
	@scripts/test

test-vllm: ## The tests that need vLLM, in an environment of its own
	@scripts/test-vllm

test-clients: ## The stack driven by clients that others wrote, in an environment of its own
	@scripts/test-clients

test-ray: ## Documents sent by a Ray cluster of two nodes, one killed meanwhile, in an environment of its own
	@scripts/test-ray

test-compose: ## The stack in containers: up, asked, a container killed, one replaced, down and up
	@scripts/test-compose

test-bundle: ## A bundle of the whole stack, installed and asked in a namespace without a network
	@scripts/test-bundle

test-clone: ## README and tutorial followed word by word in a fresh clone
	@scripts/test-clone

chaos-restarts: ## 200 restarts at random moments under load, and what was lost: docs/reliability.md
	@TRIVIUM_CHAOS_RESTARTS=1:150,50:42,200:10 scripts/chaos -k restarts

chaos: ## Kills, hangs, floods, full disks and damage, many times: docs/reliability.md
	@scripts/chaos

check: ## Style, types, protos, licences and secrets
	@scripts/check

docs: ## Build the documentation as a site, in dist/site
	@scripts/docs

fix: ## Format, and mend what can be mended without thought
	@scripts/fix

protos: ## Generate the Python stubs from protos/
	@scripts/setup dev && scripts/gen-protos

lock: ## Record the installed versions in requirements/constraints.txt
	@scripts/lock

clean: ## Delete the environments and caches; your data in .data stay
	rm -rf .venv .venv-vllm .venv-clients .venv-ray .venv-bench-infinity .venv-audit .venv-policies .mypy_cache .ruff_cache .pytest_cache .hypothesis
