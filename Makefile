# Two commands for a newcomer: `make demo` and `make test`. Both make their own environment in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXTENSIONS := _core _arrow _verify batch/_rows gateway/_gate
CORE := $(wildcard src/cossign/*.pyx src/cossign/*.pxd src/cossign/*/*.pyx src/cossign/native/* src/cossign/native/*/*)
BUILT := $(foreach name,$(EXTENSIONS),src/cossign/$(name).c src/cossign/$(name).*.so)
NODE_MODULES := tests/oracles/node_modules

.PHONY: demo demo-bucket test test-long check bench docs dist release-check platforms lock report man pages soak soak-gateway attack-gateway coverage fuzz fuzz-c fuzz-python agree golden clean

# Keys of this machine's own files become presigned URLs, and every one verifies.
demo: $(VENV)/demo.stamp
	$(BIN)/python bench/demo.py

# 100,000 objects of one bucket become URLs in another, on a server of the tests that judges every request.
demo-bucket: $(VENV)/test.stamp
	$(BIN)/python -m bench.demo_bucket

# The tests, in at most ten minutes on two cores. What a test needs that is not installed is named at the end.
PYTEST := $(BIN)/python -m pytest -n auto
test: $(VENV)/test.stamp oracles
	$(PYTEST) -m "not long"

# What takes longer: the long forms of pressure, fuzzing and scale, builds with sanitizers, benchmarks, installations;
# and the property tests, with new examples each time.
test-long: $(VENV)/check.stamp oracles
	$(PYTEST) -m "long or hypothesis" --hypothesis-profile new --ignore=tests/e2e/test_site.py  # `make check` runs it

# Ratios to other signers, in turn, on this machine, in a minute.
bench: $(VENV)/test.stamp
	$(BIN)/python -m bench

# Everything that bench/ measures, with all peers that install, as a page with plots: some ten minutes on two cores.
OUT ?= build/report
report: $(VENV)/check.stamp oracles
	$(BIN)/python -m bench report $(OUT)

# What can be found without running the code: format, lint, types, C, spelling, plain English, packaging's files, the
# documentation, which is also looked at in a browser.
C := $(wildcard src/cossign/native/*.[ch] src/cossign/native/*/*.[ch])
GENERATED := $(foreach name,$(EXTENSIONS),src/cossign/$(name).c)
CHECKS := $(wildcard tests/native/*.[ch] bench/*.c)
WARNINGS := -Wall -Wextra -fsyntax-only
check: $(VENV)/check.stamp
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --strict examples
	@if command -v npm >/dev/null; then $(BIN)/pyright --pythonpath $(BIN)/python; \
	else echo "npm is not installed: pyright was not run"; fi
	$(BIN)/clang-format --dry-run -Werror $(C) $(CHECKS)
	$(BIN)/clang-tidy --quiet $(filter %.c,$(C)) -- -std=c11
	$(CC) $(WARNINGS) -std=c11 -Wconversion -pedantic -Werror $(filter %.c,$(C))
	$(CC) $(WARNINGS) -Werror -Isrc/cossign/native -I$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("include"))') \
	  $(GENERATED)
	$(BIN)/codespell
	$(BIN)/python -m share.prose
	$(BIN)/python -m share.make check
	$(BIN)/yamllint --strict .github .pre-commit-config.yaml CITATION.cff docs/*.yaml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docs/compose.yaml
	$(BIN)/kubernetes-validate --strict --quiet docs/kubernetes.yaml
	$(BIN)/zizmor --offline --quiet .github
	$(BIN)/validate-pyproject pyproject.toml
	$(BIN)/python -m pytest -q -p no:cacheprovider tests/e2e/test_site.py

# The documentation as a site, in build/site; it needs no network.
docs: $(VENV)/docs.stamp
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "The site is in build/site: open build/site/index.html"

# An sdist of this commit, and the wheel of it. Both are built twice, and their bytes must be equal.
dist: $(VENV)/check.stamp
	$(BIN)/python -m share.release packages dist

# Everything that a release needs, up to the upload: a clean tree, the version, the lock, the packages, CI in a fresh clone.
release-check: $(VENV)/check.stamp
	$(BIN)/python -m share.release check

# The package on other CPUs and Pythons, as far as they are on this machine or can be emulated, into docs/platforms.md.
PLATFORMS := cpython3.10 cpython3.11 cpython3.12 cpython3.13 debian-x86_64-3.14 debian-x86_64-3.15 debian-aarch64 debian-s390x \
  cpu-core2duo cpu-Nehalem cpu-Haswell
platforms: $(VENV)/check.stamp
	$(BIN)/python -m tests.platforms --build --keep cpython3.13t
	for name in $(PLATFORMS); do $(BIN)/python -m tests.platforms --long --keep $$name || exit; done

# The lock, compiled again after a change of pyproject.toml; with UPGRADE=--upgrade, of today's versions.
UPGRADE ?=
RESOLVE := $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.10 --generate-hashes \
  --custom-compile-command "make lock" $(UPGRADE)
lock: $(VENV)/check.stamp
	$(RESOLVE) --extra all --extra spark --extra ray --group test -o requirements/test.txt
	$(RESOLVE) -c requirements/test.txt --extra batch --extra cli --extra credentials --extra gateway --group build -o requirements/demo.txt
	$(RESOLVE) -c requirements/test.txt --group check -o requirements/check.txt
	$(RESOLVE) -c requirements/test.txt -c requirements/check.txt --group docs -o requirements/docs.txt
	$(RESOLVE) -c requirements/test.txt --extra batch --extra cli --group build --group wheel -o requirements/wheel.txt
	$(RESOLVE) --resolution lowest-direct --extra all --extra spark --extra ray -o requirements/lowest.txt

# The man page, from the command line's parser.
man: $(VENV)/check.stamp
	$(BIN)/python -m share.make

# The pages of docs/ that programs write: commands, gateway.toml, causes, the kept report.
pages: $(VENV)/check.stamp
	$(BIN)/python -m share.make pages

# Batch jobs of every format, ended by signals at random moments, resumed, and compared byte by byte: some ten minutes.
soak: $(VENV)/test.stamp
	$(BIN)/python -m tests.batch.soak
	$(BIN)/python -m tests.batch.bucket_soak

# The gateway at full rate while its clients misbehave, its configuration and credentials changing every second: ten minutes.
soak-gateway: $(VENV)/test.stamp
	$(BIN)/python -m tests.gateway.soak

# What a caller with one token can do to the gateway's workers, memory and reloads: ten minutes.
attack-gateway: $(VENV)/test.stamp
	$(BIN)/python -m tests.gateway.weakest

# Line coverage of Python; and of the Cython core: a second build, in build/coverage, that reports its lines.
coverage: $(VENV)/test.stamp oracles
	$(BIN)/python -m pytest --cov --cov-report=term -m "not long"
	rm -rf build/coverage && mkdir -p build/coverage
	cp -R src tests pyproject.toml setup.py README.md CHANGELOG.md build/coverage
	cd build/coverage && rm -f $(BUILT)
	cd build/coverage && COSSIGN_LINETRACE=1 $(CURDIR)/$(BIN)/python setup.py -q build_ext --inplace
	cd build/coverage && PYTHONPATH=src $(CURDIR)/$(BIN)/python -m coverage run --rcfile=tests/core.coveragerc \
	  -m pytest -q -p no:cacheprovider -m "not long" tests --ignore=tests/e2e --ignore=tests/test_sourcecode.py
	cd build/coverage && $(CURDIR)/$(BIN)/python -m coverage report --rcfile=tests/core.coveragerc

# Everything that reads what comes from outside, over inputs made up by libFuzzer, under AddressSanitizer and
# UndefinedBehaviorSanitizer, for SECONDS each: the C alone, and what Python reaches of it. build/found keeps what was
# found from one run to the next.
SECONDS ?= 120
OPTIMIZE ?= -O1
CLANG ?= clang-14
SANITIZE := -fsanitize=address,undefined,fuzzer-no-link
TARGETS := explain verify verify_many presign_arrow inventory gateway
fuzz: fuzz-c fuzz-python

fuzz-c: $(VENV)/test.stamp
	COSSIGN_FUZZ_SECONDS=$(SECONDS) $(BIN)/python -m pytest -q -s tests/native/test_check.py -k "sanitizers or fuzz"

fuzz-python: $(VENV)/test.stamp
	rm -rf build/fuzz && mkdir -p build/fuzz
	cp -R src tests bench pyproject.toml setup.py README.md CHANGELOG.md build/fuzz
	cd build/fuzz && rm -f $(BUILT)
	cd build/fuzz && CC=$(CLANG) LDSHARED="$(CLANG) -shared" COSSIGN_OPTIMIZE=$(OPTIMIZE) LDFLAGS="$(SANITIZE)" \
	  CFLAGS="-g $(SANITIZE) -fno-sanitize-recover=all" $(abspath $(BIN))/python setup.py -q build_ext --inplace
	cd build/fuzz && runtime=$$($(abspath $(BIN))/python -c "import atheris; print(atheris.path())")/asan_with_fuzzer.so && \
	for target in $(TARGETS); do \
	  PYTHONPATH=src PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 LD_PRELOAD=$$runtime \
	    $(abspath $(BIN))/python -m tests.fuzz $$target $(CURDIR)/build/found/$$target \
	    -max_total_time=$(SECONDS) -timeout=60 -rss_limit_mb=4096 -print_final_stats=1 || exit; \
	done

# The engines agree on as many random rows as fit into SECONDS: a billion in half an hour.
agree: SECONDS := 1800
agree:
	mkdir -p build
	$(CC) -std=c11 -O3 -DMANY tests/native/engines.c $(wildcard src/cossign/native/sha1/*.c src/cossign/native/text/*.c) \
	  -Isrc/cossign/native -pthread -o build/agree
	build/agree $$(date +%s) $(SECONDS)

# The SDKs' answers that machines without Node.js test with.
golden: $(VENV)/test.stamp oracles
	$(BIN)/python -m tests.oracles.make_golden

.PHONY: oracles
oracles:
	@if command -v npm >/dev/null; then \
	  test $(NODE_MODULES)/oracles.stamp -nt tests/oracles/package-lock.json || \
	  { npm ci --prefix tests/oracles --omit=dev --no-audit --no-fund --ignore-scripts --loglevel=error && \
	    touch $(NODE_MODULES)/oracles.stamp; }; \
	else echo "npm is not installed: the tests against the JavaScript SDKs will be skipped"; fi

# Each file of requirements/ is one part of the lock: exact versions with hashes. pip takes nothing else, not even to build with.
LOCKED := $(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps --no-compile \
  --no-build-isolation --use-pep517

# Tests start hundreds of processes, some of which may not write what they compile: pandas alone takes seconds then. A file
# that does not compile is a package's own affair.
BYTECODE := $(BIN)/python -m compileall -q -j 0 $(VENV)/lib >/dev/null 2>&1 || true

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/demo.stamp: requirements/demo.txt pyproject.toml setup.py $(CORE) | $(BIN)/python
	$(LOCKED) -r requirements/demo.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/test.stamp: requirements/test.txt $(VENV)/demo.stamp
	$(LOCKED) -r requirements/test.txt
	$(BYTECODE)
	touch $@

$(VENV)/check.stamp: requirements/check.txt $(VENV)/test.stamp
	$(LOCKED) -r requirements/check.txt
	$(BYTECODE)
	touch $@

$(VENV)/docs.stamp: requirements/docs.txt | $(BIN)/python
	$(LOCKED) -r requirements/docs.txt
	touch $@

clean:
	rm -rf $(VENV) build dist demo src/*.egg-info $(BUILT) $(NODE_MODULES)
