# Every target makes the environment that it needs. VENV=path shares one between clones, PYTHON=path picks another Python.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
DEMO := statistics.num_samples=120 statistics.record=true
WEIGHTS := src/lcrp/models/weights
MODELS := yolov5 yolov6 yolo ssd unet deeplabv3plus
TRAINING_yolo := stage.epochs_at=[[128,12],[256,3]]
TRAINING_ssd := stage.learning_rate=0.002 stage.epochs_at=[[128,12],[256,2]]
TRAINING_unet := stage.epochs_at=[[128,6],[256,2]]
TRAINING_deeplabv3plus := stage.epochs_at=[[128,8],[256,2]]
WORKERS ?= 2
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-fast golden lint types format docs notebook explorer bench bench-gpu benchmark-truth weights \
	clean environment dev-environment docs-environment

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-15s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: environment ## statistics of a few embedded pictures, a figure, and a page to browse; the last lines are their paths
	@$(BIN)/python -m lcrp stage=render $(DEMO) stage.make_statistics=true stage.samples=[34] stage.class_name=boat
	@$(BIN)/python -m lcrp stage=explore $(DEMO) stage.output=outputs/demo.html
	@printf '%s\n' "what to try next:" \
		"  $(BIN)/python -m lcrp stage=render $(DEMO) stage.samples=[3]   # other decisions" \
		"  $(BIN)/python -m lcrp stage=evaluate stage.num_targets=8                   # can it be trusted?" \
		"  $(BIN)/python -m lcrp --help" \
		"the figure, and the page for a browser:" \
		"$$(ls -td outputs/runs/*_render_*/*.png | head -n 1)" outputs/demo.html

test: dev-environment ## all tests but those of `make test-slow` and `make golden`
	@$(PYTEST) -m "not golden and not slow"

test-slow: dev-environment ## kills, launchers and other whole commands (up to 25 minutes)
	@$(PYTEST) -m "slow and not golden"

golden: dev-environment ## compare with the forerunner's recorded outputs (minutes; LCRP_SHARED=FOLDER names them)
	@$(PYTEST) -m golden tests/golden

test-fast: dev-environment ## tests of single parts
	@$(PYTEST) -q -m "not slow" tests/unit tests/property tests/config

lint: types ## style, types, and who may import whom
	@$(BIN)/ruff check --no-cache src tests benchmarks docs
	@$(BIN)/ruff format --check src tests benchmarks docs
	@$(BIN)/lint-imports

types: dev-environment ## mypy, strict
	@$(BIN)/mypy

format: dev-environment ## put the code in order
	@$(BIN)/ruff check --fix src tests benchmarks docs
	@$(BIN)/ruff format src tests benchmarks docs

docs: docs-environment ## the pages as a site, docs/_build/html/index.html; every warning is an error
	@OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -q -W --keep-going -j auto docs docs/_build/html
	@echo docs/_build/html/index.html

notebook: dev-environment ## run the tutorial; outputs/tutorial.ipynb has its figures
	@mkdir -p outputs
	@$(BIN)/jupyter-execute docs/tutorial.ipynb --output=$(CURDIR)/outputs/tutorial.ipynb

explorer: ## build the program of stage=explore's page anew (Node.js; esbuild, pinned, is fetched once)
	@cd explorer && npm ci --silent --no-audit --no-fund && node build.mjs
	@echo src/lcrp/page/built/explorer.js

bench: environment ## lcrp beside the plain network, zennit and zennit-crp (hours; BENCH="--models unet" for less)
	@$(BIN)/python benchmarks/bench.py $(BENCH)

bench-gpu: environment ## images per second, seconds of a render and memory on a GPU (5 minutes; GPU="--models unet" for less)
	@$(BIN)/python benchmarks/gpu.py $(GPU)

benchmark-truth: environment ## which method says what decisions depend on, all models (minutes; TRUTH="stage.num_targets=20" for less)
	@$(BIN)/python benchmarks/truth.py $(TRUTH)

weights: $(MODELS:%=weights-%) $(MODELS:%=weights-%-unbiased) ## train the embedded checkpoints anew, with and without bias (half an hour to two hours each; goes on where it was stopped)

weights-%-unbiased: environment
	@$(BIN)/python -m lcrp stage=train model=$* dataset=scenes dataset.context_bias=0.2 stage.output=$(WEIGHTS)/$*_scenes_unbiased.pt $(TRAINING_$*)

weights-%: environment
	@$(BIN)/python -m lcrp stage=train model=$* dataset=scenes stage.output=$(WEIGHTS)/$*_scenes.pt $(TRAINING_$*)

clean: ## delete caches and builds, never outputs
	@rm -rf dist build docs/_build docs/reference/rooms .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find src tests -type d -name __pycache__ -exec rm -rf {} +

environment:
	@.ci/environment "$(VENV)" "$(PYTHON)"

dev-environment:
	@.ci/environment "$(VENV)" "$(PYTHON)" "[dev]"

docs-environment:
	@.ci/environment "$(VENV)" "$(PYTHON)" "[docs]"
