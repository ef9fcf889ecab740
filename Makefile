# Two commands matter to a newcomer: `make deploy` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help

INVENTORY ?= inventories/sandbox
PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
export PATH := $(BIN):$(PATH)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
# Runs start hundreds of Pythons; compiling every import anew doubles what a start costs. Empty means: not set.
export PYTHONDONTWRITEBYTECODE :=

IS_SANDBOX := $(filter inventories/sandbox,$(patsubst %/,%,$(patsubst ./%,%,$(INVENTORY))))
PLAYBOOK := ansible-playbook -i $(INVENTORY)

.PHONY: help
help: ## List the targets.
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(VENV)/.installed $(if $(IS_SANDBOX),$(VENV)/.installed-sandbox) ## Make the virtual environment with pinned, hashed requirements.

$(VENV)/.uv: requirements-bootstrap.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "langsmith.aws needs Python 3.11 or newer, $(PYTHON) is " + sys.version.split()[0] + "; name another one: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip --quiet --disable-pip-version-check install --require-hashes -r requirements-bootstrap.txt
	@touch $@

$(VENV)/.installed: $(VENV)/.uv requirements.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.txt
	@mkdir -p .ansible/collections/ansible_collections/langsmith
	@ln -sfn ../../../.. .ansible/collections/ansible_collections/langsmith/aws
	@for namespace in amazon ansible community kubernetes; do \
	  ln -sfn "$$($(BIN)/python -c 'import ansible_collections as c; print(list(c.__path__)[0])')/$$namespace" .ansible/collections/ansible_collections/$$namespace; \
	done
	@touch $@

$(VENV)/.installed-sandbox: $(VENV)/.installed sandbox/requirements.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.txt -r sandbox/requirements.txt
	@touch $@

.PHONY: deploy
deploy: setup $(if $(IS_SANDBOX),sandbox-start) ## Deploy (INVENTORY=inventories/sandbox by default) and prove it with a trace.
	@$(PLAYBOOK) playbooks/site.yml $(ARGS)

.PHONY: teardown
teardown: setup $(if $(IS_SANDBOX),sandbox-start) ## Remove an installation: make teardown ARGS='-e teardown_confirm=NAME'.
	@$(PLAYBOOK) playbooks/teardown.yml $(ARGS)

.PHONY: sandbox-build sandbox-start sandbox-stop sandbox-status sandbox-reset
sandbox-build: $(VENV)/.installed-sandbox ## Build and fetch what the sandbox is made of (about five minutes, once).
	@$(BIN)/python -m sandbox build

sandbox-start: $(VENV)/.installed-sandbox ## Build the sandbox (once) and start it.
	@$(BIN)/python -m sandbox start

sandbox-stop: ## Stop every process of the sandbox; its state is kept.
	@$(BIN)/python -m sandbox stop

sandbox-status: ## Show every part of the sandbox, its port, version, memory and health.
	@$(BIN)/python -m sandbox status

sandbox-reset: ## Stop the sandbox and delete its state.
	@$(BIN)/python -m sandbox reset

.PHONY: test lint sanity unit end-to-end
test: lint sanity unit end-to-end ## Run everything that CI runs, the deployment on a sandbox among it.

lint: $(VENV)/.installed-sandbox ## ruff, mypy, ansible-lint, the changelog and the docs.
	ruff check .
	ruff format --check .
	mypy -p sandbox -p tests -p ansible_collections.langsmith.aws.plugins
	ansible-lint
	antsibull-changelog lint
	@# It copies what git tells of a collection, and of those in the virtual environment our git would tell nothing.
	ANSIBLE_COLLECTIONS_PATH=$(CURDIR)/.ansible/collections GIT_CEILING_DIRECTORIES=$(CURDIR)/$(VENV) \
	  antsibull-docs lint-collection-docs --plugin-docs --skip-rstcheck --validate-collection-refs dependent .

sanity: $(VENV)/.installed-sandbox ## ansible-test sanity on a copy at the path that it insists on.
	tests/sanity.sh

unit: sandbox-build ## The tests that need no deployment.
	tests/pytest.sh -m "not sandbox" -n 2 --dist loadfile

end-to-end: sandbox-build ## Everything that needs a sandbox: deploy on a fresh one, again, kill it, misuse it, tear it down.
	tests/pytest.sh -m sandbox -n 2 --dist loadfile --no-loadscope-reorder
