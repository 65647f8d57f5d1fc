# Two commands matter: `make demo` and `make test`. Everything runs in .venv, made from requirements.lock
# (and requirements-dev.lock for the tests).
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true
export PYTHONUNBUFFERED := 1

.PHONY: help demo dub lipgan test fuzz lint check docs app mlflow server clean

help:
	@echo "make demo    install, run the pipeline on the embedded corpus, dub a clip: up to 25 minutes"
	@echo "make dub     FACE=talk.mp4 AUDIO=speech.wav [OUT=out/dubbed.mp4]: install, dub a video with the released model"
	@echo "make lipgan  GRID=FOLDER: install, train LipGAN on people of GRID into released/: hours"
	@echo "make test    install, run every test, on all cores: about 15 minutes on two"
	@echo "make lint    ruff and mypy"
	@echo "make check   lint, types, dependencies, tests: what .ci/run calls"
	@echo "make docs    the documentation as a site, in out/docs"
	@echo "make app     web UI: dub in a browser, on http://127.0.0.1:7860"
	@echo "make mlflow  open the MLflow pages on port 5000"
	@echo "make server  a Prefect server with its pages on port 4200"

.venv/.installed: requirements.lock
	@echo "installing requirements.lock into .venv (two to four minutes)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11, 4) and "error: Python 3.11.4 or newer is needed")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m tasks.features.mesh_model || echo "going on without the face mesh's model"
	@touch $@

.venv/.installed-dev: .venv/.installed requirements-dev.lock
	@echo "installing requirements-dev.lock into .venv: what the tests need beside it"
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.lock -r requirements-dev.lock
	@touch $@

.venv/.installed-docs: .venv/.installed requirements-docs.lock
	@echo "installing requirements-docs.lock into .venv: what the documentation needs beside it"
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.lock -r requirements-docs.lock
	@touch $@

demo: .venv/.installed
	python -m tasks.core.config
	python -m flows demo

OUT ?= out/dubbed.mp4
dub: .venv/.installed
	@test -n "$(FACE)" -a -n "$(AUDIO)" || { echo "error: make dub FACE=talk.mp4 AUDIO=speech.wav [OUT=out/dubbed.mp4]" >&2; exit 2; }
	python -m flows dub --face "$(FACE)" --audio "$(AUDIO)" --out "$(OUT)"

# LipGAN and its sync expert on real people, into released/: docs/released.md. Interrupted, the same command resumes.
LIPGAN := corpus.name=folder corpus.folder=data/people corpus.splits=data/people.csv model.width=0.1875 \
	expert.num_steps=1000 \
	train.num_steps=40000 train.augment.colour=0.3 train.audio_from_expert=first
OF_GRID := CC BY 4.0: GRID audiovisual sentence corpus, Cooke, Barker, Cunningham and Shao 2006, doi 10.5281/zenodo.3625687; and rendered heads
lipgan: .venv/.installed
	@test -d "$(GRID)/video" || { echo "error: make lipgan GRID=FOLDER, with video/s1, video/s4, ...: docs/training.md" >&2; exit 2; }
	python -m tasks.motion.rendered --out data/rendered
	python -m tasks.train.people --grid "$(GRID)" --heads data/rendered --out data/people
	dvc exp run $(LIPGAN:%=-S %) -S 'corpus.licence="$(OF_GRID)"'
	python -m tasks.train.release

# A process a core; what several need is built once for all (tests/conftest.py, built_once). A test whose process dies
# runs once more in a fresh one and is named in the summary; a test that fails is not repeated.
test: .venv/.installed-dev
	python -m pytest -n auto --dist worksteal --reruns 1 --only-rerun "crashed while running"

# Each edge at which bytes from outside come in, fed by hypothesis for about a minute.
fuzz: .venv/.installed-dev
	LIPGAN_FUZZ=2000 python -m pytest -k any_

lint: .venv/.installed-dev
	ruff check .
	ruff format --check .
	mypy

check: lint test
	python -m pip check

docs: .venv/.installed-docs
	NO_MKDOCS_2_WARNING=1 python -m mkdocs build --strict --quiet
	@echo "docs: open out/docs/index.html in a browser"

app: .venv/.installed
	python -m flows app --port 7860

mlflow: .venv/.installed
	@echo "open http://localhost:5000/#/experiments/1/runs?workflowType=machine_learning"
	python -m mlflow server --backend-store-uri sqlite:///$(CURDIR)/mlflow.db --port 5000

server: .venv/.installed
	prefect server start
