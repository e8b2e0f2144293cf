# Everything that people and CI do. `make` alone lists it.
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The local AWS has an environment of its own: MiniStack pins another botocore than SAM does.
E2E_VENV := .venv-e2e
E2E_STAMP := $(E2E_VENV)/.installed
# So has the tool that breaks the code and looks whether the tests notice.
MUTATION_VENV := .venv-mutation
MUTATION_STAMP := $(MUTATION_VENV)/.installed
# The demo runs in the development environment where that is there, else in a small one of its own.
DEMO_VENV := .venv-demo
DEMO_STAMP := $(if $(wildcard $(STAMP)),$(STAMP),$(DEMO_VENV)/.installed)
# And what looks at the project from outside: the template's scanner, and what pins the lock files.
TOOLS_VENV := .venv-tools
TOOLS_STAMP := $(TOOLS_VENV)/.installed
WORKERS ?= 1
PYTHON ?= python3.13
# sam looks for the runtime's interpreter by name on the PATH; the environment has it under that name.
SAM := SAM_CLI_TELEMETRY=0 PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/sam
RUN := PYTHONPATH=src/function:src/tools $(BIN)/python

.PHONY: help install demo test soak figures e2e local check lint types template build deploy format readme endpoints lock outdated clean bench bench-full mutate bench-recovery

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

define NEEDS_PYTHON
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null || \
	{ echo "lastgood needs Python 3.13: put python3.13 on the PATH, or say where it is with make PYTHON=…" >&2; exit 1; }
endef

$(STAMP): requirements/dev.txt
	$(NEEDS_PYTHON)
	@echo "Setting up $(VENV), once: two minutes, 500 MB."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

$(DEMO_VENV)/.installed: requirements/demo.txt
	$(NEEDS_PYTHON)
	@echo "Setting up $(DEMO_VENV) for the demo, once: 50 packages, half a minute, 160 MB."
	@$(PYTHON) -m venv $(DEMO_VENV)
	@$(DEMO_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/demo.txt
	@touch $@

$(E2E_STAMP): requirements/e2e.txt | $(STAMP)
	$(BIN)/python -m venv $(E2E_VENV)
	$(E2E_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/e2e.txt
	@touch $@

$(MUTATION_STAMP): requirements/mutation.txt | $(STAMP)
	$(BIN)/python -m venv $(MUTATION_VENV)
	$(MUTATION_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/mutation.txt
	@touch $@

$(TOOLS_STAMP): requirements/tools.txt | $(STAMP)
	$(BIN)/python -m venv $(TOOLS_VENV)
	$(TOOLS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/tools.txt
	@touch $@

install: $(STAMP) ## set up the development environment in .venv

demo: $(DEMO_STAMP) ## play a bad release on each platform, with no AWS account: half a minute
	@PYTHONPATH=src/function:src/tools $(dir $(DEMO_STAMP))bin/python -m stage.demo

test: $(STAMP) ## run every test, except those of the deployed stack: minutes
	$(BIN)/python -m pytest -n auto --dist worksteal

soak: $(STAMP) ## crash every rollback at every call, and the other fault tests at their full size
	LASTGOOD_SOAK=1 $(BIN)/python -m pytest -n auto --dist worksteal -o faulthandler_timeout=0 tests/faults

figures: $(STAMP) ## do what soak does, and write the figures into docs/reliability.md
	PYTHONPATH=src/function:src/tools:tests:tests/support $(BIN)/python -m docs_from_code.fault_figures

e2e: $(STAMP) $(E2E_STAMP) ## deploy the stack into a local AWS and test it there, two minutes
	$(BIN)/python -m pytest -m e2e tests/e2e --verbose --durations=0 --durations-min=1

local: $(STAMP) $(E2E_STAMP) ## deploy the stack into a local AWS and keep it up to play with
	@$(RUN) -m local_aws

mutate: $(STAMP) $(MUTATION_STAMP) ## break what decides in a thousand ways: do the tests notice? Not in check, half an hour
	nice $(MUTATION_VENV)/bin/python src/tools/mutation.py $(WORKERS)

check: lint types template test e2e ## what CI runs, and the deployed stack

lint: $(STAMP) ## style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) ## types of what ships and of the tools, strict
	$(BIN)/mypy src/function/lastgood
	$(BIN)/mypy src/tools/simulated_aws src/tools/lastgood_cli src/tools/local_aws src/tools/stage src/tools/docs_from_code src/tools/supply_chain

# Exceptions have their reason beside them: in template.yaml, in the metadata of the resource.
template: $(STAMP) $(TOOLS_STAMP) ## the templates, by SAM, cfn-lint and checkov; CI's workflow and the issue forms
	$(SAM) validate --lint --region us-east-1
	$(BIN)/cfn-lint --regions us-east-1 eu-central-1 cn-north-1 us-gov-west-1 -- template.yaml satellite.yaml
	$(TOOLS_VENV)/bin/checkov --file template.yaml satellite.yaml --framework cloudformation --compact --quiet --skip-download
	$(TOOLS_VENV)/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(TOOLS_VENV)/bin/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/*.yml
	$(TOOLS_VENV)/bin/zizmor --offline --quiet .github/workflows

outdated: $(STAMP) ## is what ships current? Asks the package index
	$(RUN) -m supply_chain.outdated

build: $(STAMP) ## build what ships
	$(SAM) build

deploy: build ## deploy the stack: asks for its mode and who is told, or MODE=observe EMAIL=ops@example.com
	@mode='$(MODE)'; email='$(EMAIL)'; \
	[ -n "$$mode" ] || { printf 'How far may it go: observe, approve or auto? [as it is; a new stack observes] '; read -r mode; }; \
	[ -n "$$email" ] || { printf 'Which e-mail address gets the notices? [nobody, or as it is] '; read -r email; }; \
	set -- $${mode:+"Mode=$$mode"} $${email:+"NotificationEmail=$$email"} $(OVERRIDES); \
	$(SAM) deploy --no-confirm-changeset $${1:+--parameter-overrides "$$@"}

format: $(STAMP) ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

readme: $(STAMP) ## write the blocks of README.md and docs/, and the example requests, that come from the code
	$(RUN) -m docs_from_code.pages
	$(RUN) -m docs_from_code.example_events events
	$(RUN) -m supply_chain.sbom docs/sbom.cdx.json

endpoints: $(STAMP) ## cut the function's endpoints out of botocore's; a test says when that is due
	$(RUN) src/tools/endpoints.py

bench: $(STAMP) ## measure speed, quickly, and write docs/performance.md
	PYTHONPATH=src/function:src/tools:tests:tests/support $(BIN)/python -m benchmarks.measure quick

bench-recovery: $(STAMP) ## play whole incidents against everybody who could answer them, and write docs/recovery.md
	PYTHONPATH=src/function:src/tools:tests:tests/support $(BIN)/python -m benchmarks.recovery

bench-full: $(STAMP) ## measure speed thoroughly, and write docs/performance.md
	PYTHONPATH=src/function:src/tools:tests:tests/support $(BIN)/python -m benchmarks.measure full

lock: $(STAMP) $(TOOLS_STAMP) ## pin all dependencies again, with hashes
	$(TOOLS_VENV)/bin/uv pip compile -q --python-version 3.13 --generate-hashes requirements/dev.in -o requirements/dev.txt
	$(TOOLS_VENV)/bin/uv pip compile -q --python-version 3.13 --generate-hashes src/function/requirements.in -o src/function/requirements.txt
	$(TOOLS_VENV)/bin/uv pip compile -q --python-version 3.13 --generate-hashes -c requirements/dev.txt requirements/demo.in -o requirements/demo.txt
	$(TOOLS_VENV)/bin/uv pip compile -q --python-version 3.13 --generate-hashes requirements/e2e.in -o requirements/e2e.txt
	$(TOOLS_VENV)/bin/uv pip compile -q --python-version 3.13 --generate-hashes requirements/mutation.in -o requirements/mutation.txt
	$(TOOLS_VENV)/bin/uv pip compile -q --python-version 3.13 --generate-hashes requirements/tools.in -o requirements/tools.txt

clean: ## remove what was built
	rm -rf .aws-sam $(VENV) $(DEMO_VENV) $(E2E_VENV) $(MUTATION_VENV) $(TOOLS_VENV) .mutation .pytest_cache .mypy_cache .ruff_cache .hypothesis
