# Two commands do everything: `make quickstart` and `make test`. See README.md.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: quickstart test test-all fuzz reliability setup lock lint type docs check

setup: .venv/.ready

# The stamp is newer than the lock only after a complete installation.
.venv/.ready: requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $@

quickstart: setup
	$(BIN)/emo-bench run --config configs/suites/quickstart.yaml

test: setup
	$(BIN)/pytest -m "not slow and not gpu" -n auto --dist loadfile

test-all: setup
	$(BIN)/pytest -m "not gpu" -n auto --dist loadfile

# Mutated media, records, stored files, YAML and manifests; the counts of docs/reliability.md.
fuzz: setup
	PYTHONPATH=.:models:metrics $(BIN)/python tests/fuzz/campaign.py

# What becomes of odd and broken inputs, by kind; the table of docs/reliability.md.
reliability: setup
	PYTHONPATH=.:models:metrics $(BIN)/python benchmarks/reliability.py

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PYTHONPATH=.:models:metrics $(BIN)/lint-imports

type: setup
	$(BIN)/mypy -p emo_bench -p emo_core -p emo_metrics -p emo_models -p hdtf_synth

# The site, without network; a warning is an error.
docs: setup
	$(BIN)/sphinx-build -q -W --keep-going -b html docs site

check: lint type docs test-all

# Writes no addresses: only names, versions and hashes.
lock:
	test -x $(BIN)/uv || ($(PYTHON) -m venv .venv && $(BIN)/python -m pip install --quiet uv)
	$(BIN)/uv pip compile --universal --generate-hashes --no-annotate --no-header --python-version 3.11 \
	  --extra dvc --extra speech --extra ray --extra openvino --extra credentials --extra tensorboard --extra lora --group dev --group docs --group reference pyproject.toml -o requirements.lock
