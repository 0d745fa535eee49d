# `make demo` and `make test` need python3 (3.11 or 3.12) and a package registry, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-fast lint format docs clean

# make demo model=yolo11n.pt draws what that checkpoint finds in the decoded pictures
demo: $(VENV)/.demo
	$(if $(model),$(BIN)/pip install --quiet -c constraints.txt -e '.[yolo]')
	$(BIN)/vcm demo -o out $(if $(model),--model $(model))

# Several processes, one thread each: threads of two processes wait for each other on the same cores.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

test: $(VENV)/.test lint
	$(PYTEST)

# While working: without what is marked slow (whole trainings and evaluations, other people's networks, servers)
test-fast: $(VENV)/.test
	$(PYTEST) -m "not slow"

lint: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/.test
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict -f docs/mkdocs.yml

clean:
	rm -rf $(VENV) out build *.egg-info

# Installed again whenever what is asked for changes.
$(VENV)/.demo: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)) and "vcm needs Python 3.11 or 3.12: make PYTHON=python3.11 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -c constraints.txt -e '.[demo]'
	touch $@

$(VENV)/.test: $(VENV)/.demo
	$(BIN)/pip install --quiet -c constraints.txt -e '.[demo,dev,eval,perceptual,onnx,yolo,clipseg,wandb,dashboard,train,hub,train-roi,tflite,faces,ocr,web,scale,docs,video]'
	# onnxruntime for browsers, for tests/browser, which are skipped without it
	command -v npm >/dev/null && npm install --silent --no-save --prefix $(VENV) onnxruntime-web@1.30.0 || true
	touch $@
