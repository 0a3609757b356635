# make demo · make test · make check · make sanitize · make soak · make image · make image-check · make mutate · make bench · make bench-check · make release
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
VOICES := $(VENV)/.voices

.PHONY: demo test check sanitize soak image image-check mutate format bench bench-check release clean

NATIVE := $(wildcard native/CMakeLists.txt native/*.cpp native/*.h native/*/*.cpp native/*/*.h native/*/*.inl)

$(STAMP): pyproject.toml $(NATIVE)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; this is " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev,farm,web]'
	@$(BIN)/python -m video_pipeline.native
	@touch $@

demo: $(STAMP)   ## render examples/ and print where the videos are
	$(BIN)/video-pipeline render examples/lighthouse.json -o demo/lighthouse.mp4
	$(BIN)/video-pipeline render examples/voyage.yaml -o demo/voyage.mp4
	@echo
	@echo "The videos: $(CURDIR)/demo/lighthouse.mp4"
	@echo "            $(CURDIR)/demo/voyage.mp4"

# The extra of offline voices takes 440 MB and the servers 150 MB, so only the tests install them.
$(VOICES): $(STAMP)
	$(BIN)/python -c "import tomllib; extras = tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']; print(*extras['voices'], *extras['servers'], *extras['meaning'], *extras['fleet'], sep='\n')" > $(VENV)/voices.txt
	$(BIN)/python -m pip install --quiet -r $(VENV)/voices.txt
	@touch $@

# Most tests wait for processes and disks, so one file more than there are processors runs at a time.
JOBS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1); echo $$((n < 4 ? n + 1 : 4)))
test: $(VOICES)  ## run the tests, JOBS files at a time
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

check: $(STAMP)  ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The extension with sanitizers, installed apart. Without site (-S) the finder of the editable installation, which
# would find the other, is left out; libstdc++ is there before libasan looks for what throws. Tests against the ffmpeg
# program are of formulas, and left out; a sanitizer's report does not pass through sys.stderr.
SANITIZED := build/sanitize
LIBASAN := $(shell $(CXX) -print-file-name=libasan.so 2>/dev/null)
FUZZ_SECONDS ?= 20
sanitized_python = env LD_PRELOAD="$(LIBASAN) $$($(CXX) -print-file-name=libstdc++.so)" ASAN_OPTIONS=detect_leaks=0 \
	UBSAN_OPTIONS=print_stacktrace=1 PYTHONMALLOC=malloc PYTHONDONTWRITEBYTECODE=1 \
	PYTHONPATH="$(SANITIZED)/site:$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("platlib"))'):." \
	$(BIN)/python -S -P

$(SANITIZED)/.installed: $(STAMP) $(shell find engine filters native video_pipeline -name "*.py")
	rm -rf $(SANITIZED)/site
	CXX=$(CXX) $(BIN)/python -m pip install --quiet --no-deps --target $(SANITIZED)/site \
		--config-settings=build-dir=$(SANITIZED)/cmake --config-settings=cmake.build-type=RelWithDebInfo \
		--config-settings=cmake.define.VIDEO_PIPELINE_SANITIZE=ON .
	@touch $@

ifneq ($(filter /%,$(LIBASAN)),)
sanitize: $(SANITIZED)/.installed  ## fuzz and test the kernels under address and undefined-behaviour sanitizers
	$(sanitized_python) tests/native/fuzz.py --sanitized --seconds $(FUZZ_SECONDS)
	$(sanitized_python) -m pytest -q -o pythonpath= -p no:cacheprovider --capture=sys -k "not xfade" tests/native
else
sanitize:
	@echo "sanitize: left out, '$(CXX)' is no g++ that has its sanitizers (libasan)"
endif

KILLS ?= 200
MESSAGES ?= 100000
soak: $(VOICES) image-check  ## kill a render node and its parts KILLS times, send it MESSAGES wrong messages, kill clients that fetch 1 GB, kill publications before each of their lines, audit what is left, do the same to a fleet, upgrade fleets, and rehearse a release
	$(BIN)/python -m tests.soak --kills $(KILLS)
	$(BIN)/python -m tests.engine.jobs.server.fuzz_protocol --messages $(MESSAGES)
	$(BIN)/python -m tests.engine.jobs.client.soak_fetch --megabytes 1000
	$(BIN)/python -m tests.soak_fleet --kills $(KILLS)
	$(BIN)/python -m tests.soak_upgrade
	KILL_EVERY=1 $(BIN)/python -m pytest -n $(JOBS) -k "killed_before_any_line" tests/engine
	$(BIN)/python -m pytest -m soak tests
	$(BIN)/python -m tools.release --rehearse

IMAGE ?= cpu
BASE ?=
DIGEST ?=
BUILDER ?=
image: $(STAMP)  ## build the image IMAGE=cpu|cuda with docker, podman or buildah (BUILDER), on BASE and its DIGEST
	$(BIN)/python docker/image.py --image $(IMAGE) $(if $(BASE),--base $(BASE)) $(if $(DIGEST),--digest $(DIGEST)) $(if $(BUILDER),--builder $(BUILDER))

image-check: $(STAMP)  ## build the image cpu with buildah in a chroot and render in it; as root, with buildah and mmdebstrap
	$(BIN)/python -m tests.docker.try_image

MODULES ?=
SAMPLE ?= 0
SEED ?= 1
mutate: $(STAMP)  ## change SAMPLE things (0: all there are) in each of MODULES, one at a time; do the tests notice?
	$(BIN)/python -m tests.mutate $(MODULES) --sample $(SAMPLE) --seed $(SEED)

release: $(STAMP)  ## make dist/VERSION of the last commit, try out what is in it; RELEASE='--rehearse' and other options
	$(BIN)/python -m tools.release $(RELEASE)

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)  ## time this engine beside its peers; BENCH='--quick' and other options
	$(BIN)/python -m benchmarks.pipeline $(BENCH)

bench-check: $(STAMP)  ## did the default profile become slower or worse than its recorded run? BENCH='--profile NAME'
	$(BIN)/python -m benchmarks.check $(BENCH)

clean:
	rm -rf build dist demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
