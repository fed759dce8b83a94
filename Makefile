# Two commands: `make run` opens the studio, `make test` runs every test that takes seconds. Both prepare a fresh machine by themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Python keeps its bytecode: otherwise each of some 200 processes of the tests compiles the whole engine anew, a quarter of a second.
ENV := PYTHONDONTWRITEBYTECODE= GOMP_SPINCOUNT=0 ORT_DISABLE_TELEMETRY=1 HF_HUB_OFFLINE=1 HF_HUB_DISABLE_TELEMETRY=1 TOKENIZERS_PARALLELISM=false

.PHONY: run test lint tour bench peers system clean

run: $(STAMP)
	$(ENV) $(BIN)/slim-studio $(ARGS)

test: $(STAMP)
	$(ENV) QT_QPA_PLATFORM=offscreen $(BIN)/python -m pytest tests -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

lint: $(STAMP)
	$(BIN)/ruff check core studio tests resources
	$(BIN)/mypy core studio tests
	$(BIN)/lint-imports

# The whole path in the window, offscreen: sample, sliders, worker, charts, export, screenshots in shots/.
tour: $(STAMP)
	$(ENV) QT_QPA_PLATFORM=offscreen $(BIN)/python -m studio --tour shots

bench: $(STAMP)
	$(ENV) QT_QPA_PLATFORM=offscreen $(BIN)/python tests/benchmarks/feel.py --quick
	$(ENV) $(BIN)/python tests/benchmarks/quality.py --quick
	$(ENV) OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/energy.py --quick
	$(ENV) OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/recovery.py --quick

# What the benchmarks compare with, in a venv of its own: 1.5 GB, never needed to use or test the studio.
peers: .peers/.installed

.peers/.installed: tests/benchmarks/peers.txt
	test -x .peers/bin/python || $(PYTHON) -m venv .peers
	.peers/bin/python -m pip install -q -r $<
	touch $@

$(STAMP): pyproject.toml .ci/system
	bash .ci/system
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --no-compile -e '.[test,dev,samples,cluster,gguf-run,onnx,federated]'
	$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib >/dev/null || true  # on all cores: pip takes one, for a minute; templates are no Python
	touch $@

clean:
	rm -rf $(VENV) build dist shots .mypy_cache .ruff_cache .pytest_cache
