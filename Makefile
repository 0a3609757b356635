# make demo · make test · make check · make bench
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test check format bench clean

NATIVE := $(wildcard native/CMakeLists.txt native/*.cpp native/*.h native/*/*.cpp native/*/*.h native/*/*.inl)

$(STAMP): pyproject.toml $(NATIVE)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; this is " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@$(BIN)/python -m native
	@touch $@

demo: $(STAMP)   ## render examples/ and print where the videos are
	$(BIN)/video-pipeline render examples/lighthouse.json -o demo/lighthouse.mp4 --preset veryfast --crf 21
	$(BIN)/video-pipeline render examples/voyage.yaml -o demo/voyage.mp4 --preset veryfast --crf 21
	@echo
	@echo "The videos: $(CURDIR)/demo/lighthouse.mp4"
	@echo "            $(CURDIR)/demo/voyage.mp4"

test: $(STAMP)   ## run the tests
	$(BIN)/python -m pytest

check: $(STAMP)  ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)  ## time this engine beside its peers; BENCH='--quick' and other options
	$(BIN)/python -m benchmarks.pipeline $(BENCH)

clean:
	rm -rf build dist demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
