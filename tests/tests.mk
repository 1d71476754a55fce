# Running the tests. Included by Makefile. Everything builds and runs in build folders; logs are in $(BUILD)/test-logs*.
## Testing
##   make quick           lint and units: about a minute
##   make check T=states  one program of unit, integration, faults or agent; T=states:forking is one case
##   make test            every check in its short form: lint, units (plain and under sanitizers), fuzzers,
##                        integration on every interpreter
##   make lint            the checks of the sources
##   make test-unit       lint and units, the latter under sanitizers too
##   make test-integration   integration on every interpreter
##   make test-asan       integration under ASan and UBSan on every interpreter
##   make test-stress     200 attaches in each state on each interpreter
##   make test-kill       2,000 kills of the injector, 2,000 more below a daemon
##   make test-kill-asan  KILL_SECONDS=1200 of kills below a daemon with ASan and UBSan
##   make test-soak       SOAK_SECONDS=60 at full speed on each interpreter
##   make test-playwright the known trace in Chromium, driven by playwright-core (make deps-playwright)
##   make test-real      programs of other people bare and under trace (REAL_PYTHON=FILE REAL=NAME)
##   make test-wheel      the wheel in an environment of each interpreter, and in roots of Debian 10 and 11
##   make test-fresh      README's commands on a new Debian 12 (debootstrap); FORM=short takes less time
##   make test-viztracer  VizTracer's own tests against the package; VIZTRACER_TESTS names an sdist or a checkout
##   make fuzz            FUZZ_SECONDS=60 for each fuzzer
##   make test-all        all of the long forms: test, -wheel, -kill, -stress, -soak, -asan, -playwright and fuzz
SOAK_SECONDS ?= 60
.PHONY: quick check test-real test-fresh test test-build test-kill test-kill-asan test-stress test-soak test-asan test-playwright test-wheel test-viztracer test-all fuzz lint test-unit test-integration
FUZZ_SECONDS ?= 60
JOBS       ?= -j$(shell nproc)
SAN_UNIT   := SAN=address,undefined BUILD=build-asan
TSAN_UNIT  := SAN=thread BUILD=build-tsan
FUZZ_FLAGS := CC=clang BUILD=build-fuzz CFLAGS="-O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer"
LINT       := $(wildcard tests/lint/*.sh)

# Units that run the writer and the reader of the arena in two threads: built with TSan.
TSAN_SRC  := $(filter %/daemon_drain.c %_tsan.c,$(UNIT_SRC))
ASAN_BIN  := $(patsubst tests/unit/%.c,build-asan/tests/unit/%,$(UNIT_SRC))
TSAN_BIN  := $(patsubst tests/unit/%.c,build-tsan/tests/unit/%,$(TSAN_SRC))
FUZZ_BIN  := $(patsubst tests/fuzz/%.c,build-fuzz/tests/fuzz/%,$(FUZZ_SRC))
KILL_BIN  := $(addprefix build-faults/tests/faults/,attach_kill daemon_kill)
FAULT_SRC := $(wildcard tests/faults/*.c)
FAULT_BIN := $(patsubst tests/faults/%.c,build-faults/tests/faults/%,$(FAULT_SRC))

# linked with the fuzzer's own main; used only with $(FUZZ_FLAGS)
$(BUILD)/tests/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(HOSTLIBS)
	@mkdir -p $(@D)
	clang -fsanitize=fuzzer,address,undefined -o $@ $^ -lrt -lm -lpthread $(CLI_LIBS) $(ATTACH_LIBS) $(PROTO_LIBS)
.PHONY: fuzz-bin faults-bin asan-bin tsan-bin
$(call obj,$(FUZZ_SRC)): | $(BUILD)/.deps-tests
fuzz-bin: $(patsubst tests/fuzz/%.c,$(BUILD)/tests/fuzz/%,$(FUZZ_SRC))
asan-bin: all $(UNIT_BIN) $(INTEG_BIN) # the agent itself is never built with sanitizers
tsan-bin: $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(TSAN_SRC))
$(call obj,$(FAULT_SRC)): | $(BUILD)/.deps-units
faults-bin: all $(patsubst tests/faults/%.c,$(BUILD)/tests/faults/%,$(FAULT_SRC))

lint:
	@BUILD=$(BUILD) VT_LOGS=$(BUILD)/test-logs-lint tests/run.sh $(LINT)

quick:
	@$(MAKE) --no-print-directory $(JOBS) all $(UNIT_BIN)
	@BUILD=$(BUILD) VT_LOGS=$(BUILD)/test-logs-quick tests/run.sh $(LINT) $(UNIT_BIN)

# T=PROGRAM[:CASE]
check:
	@BUILD=$(BUILD) MAKE="$(MAKE)" tests/check.sh "$(T)"

test-fresh:
	@BUILD=$(BUILD) VT_LOGS=$(BUILD)/test-logs-fresh VT_SUITE_SECONDS=$${VT_SUITE_SECONDS:-5400} tests/run.sh "tests/fresh.sh $(or $(FORM),long)"

test-build:
	@tests/setup/deps.sh all
	@$(MAKE) --no-print-directory $(JOBS) all tests-bin wheel-stage
	@$(MAKE) --no-print-directory $(JOBS) $(SAN_UNIT) asan-bin
	@$(MAKE) --no-print-directory $(JOBS) $(TSAN_UNIT) tsan-bin
	@$(MAKE) --no-print-directory $(JOBS) $(FUZZ_FLAGS) fuzz-bin
	@$(MAKE) --no-print-directory $(JOBS) FAULTS=1 faults-bin

# The integration suites again, with everything except the agent under ASan and UBSan: one interpreter for each kind of hook, or all.
ASAN_PYTHONS ?= 3.10|3.13
# These programs choose other versions themselves.
ASAN_PYTHONS_families = 3.12
ASAN_PYTHONS_numbers  = 3.11|3.12
RUN_ASAN  = $(foreach s,$(ASAN_INTEG),"tests/some-pythons.sh $(s) $(or $(ASAN_PYTHONS_$(notdir $(s))),$(ASAN_PYTHONS))")
ASAN_INTEG := $(patsubst tests/integration/%.c,build-asan/tests/integration/%,$(INTEG_SRC))

# The agent's drivers: two programs of about the same length.
RUN_AGENT = "tests/agent/run.sh --pythons=3.8|3.9|3.10|3.11" "tests/agent/run.sh --pythons=3.12|3.13|3.14|3.15"

# The Python package: one interpreter for each kind of hook and of object layout; what depends on them less, on two.
PACKAGE_FEW := test_around test_company test_examples
PACKAGE_ALL := $(filter-out $(PACKAGE_FEW),$(basename $(notdir $(wildcard tests/package/test_*.py))))
RUN_PACKAGE = "tests/package/run.sh --pythons=3.8|3.11.7|3.12|3.15 $(PACKAGE_ALL)" "tests/package/run.sh --pythons=3.11.2|3.15 $(PACKAGE_FEW)"

RUN = BUILD=$(BUILD) tests/with-pythons.sh tests/run.sh
RUN_FUZZ = $(foreach f,$(FUZZ_BIN),"tests/fuzz.sh $(f) $(1)")

test: test-build
	@$(RUN) $(LINT) $(UNIT_BIN) $(ASAN_BIN) $(TSAN_BIN) $(call RUN_FUZZ,10) $(RUN_AGENT) $(RUN_PACKAGE) "tests/packaging/wheel.sh quick" tests/packaging/deb.sh tests/browser/run.sh "tests/browser/run.sh playwright" $(FAULT_BIN) $(INTEG_BIN) $(RUN_ASAN)
test-unit: test-build
	@$(RUN) $(LINT) $(UNIT_BIN) $(ASAN_BIN) $(TSAN_BIN)
test-integration: test-build
	@$(RUN) $(INTEG_BIN)
fuzz: test-build
	@VT_SUITE_SECONDS=$$(($(FUZZ_SECONDS) + 120)) BUILD=$(BUILD) VT_LOGS=$(BUILD)/test-logs-fuzz tests/run.sh $(call RUN_FUZZ,$(FUZZ_SECONDS))
test-kill: test-build
	@VT_LONG=1 VT_SUITE_SECONDS=7200 VT_LOGS=$(BUILD)/test-logs-kill $(RUN) $(KILL_BIN)
KILL_SECONDS ?= 1200
KILL_ASAN := BUILD=build-asan-faults
test-kill-asan:
	@tests/setup/deps.sh all
	@$(MAKE) --no-print-directory $(JOBS) FAULTS=1 SAN=address,undefined $(KILL_ASAN) all build-asan-faults/tests/faults/daemon_kill
	@VT_LONG=1 VT_SECONDS=$(KILL_SECONDS) VT_SUITE_SECONDS=$$(($(KILL_SECONDS) + 1200)) VT_LOGS=$(BUILD)/test-logs-kill-asan $(KILL_ASAN) \
	    tests/with-pythons.sh tests/run.sh build-asan-faults/tests/faults/daemon_kill
# three at a time: an attach mostly waits
STATES := $(shell sed -n 's/^    {"\([a-z0-9-]*\)".*/\1/p' tests/integration/states.c)
test-stress: test-build
	@VT_LONG=1 VT_JOBS=3 VT_SUITE_SECONDS=7200 VT_LOGS=$(BUILD)/test-logs-stress $(RUN) \
	    $(foreach s,$(STATES),"tests/case.sh $(BUILD)/tests/integration/states $(s)-many-times") $(BUILD)/tests/integration/repeat
test-asan: test-build
	@VT_SUITE_SECONDS=7200 VT_LOGS=$(BUILD)/test-logs-asan $(RUN) $(ASAN_BIN) $(foreach s,$(ASAN_INTEG),"tests/some-pythons.sh $(s) 3")
test-soak: test-build
	@VT_LONG=1 VT_JOBS=1 VT_SOAK_SECONDS=$(SOAK_SECONDS) VT_SUITE_SECONDS=7200 VT_LOGS=$(BUILD)/test-logs-soak $(RUN) $(BUILD)/tests/integration/soak
test-playwright:
	@tests/setup/deps.sh browser || true
	@$(MAKE) --no-print-directory $(JOBS) all $(BUILD)/tests/unit/cli_html
	@BUILD=$(BUILD) VT_LOGS=$(BUILD)/test-logs-playwright tests/run.sh "tests/browser/run.sh playwright install"
# Optional: half an hour with everything installed. Packages that REAL_PYTHON has not are skipped by name. The table goes to stdout.
REAL_PYTHON ?= $(shell command -v python3)
REAL ?=
test-real:
	@$(MAKE) --no-print-directory $(JOBS) all
	@PYTHONDONTWRITEBYTECODE=1 python3 tests/real/run.py $(BUILD)/bin/viztracer $(REAL_PYTHON) $(if $(REAL),"$(REAL)")
test-wheel:
	@tests/setup/deps.sh all
	@$(MAKE) --no-print-directory $(JOBS) all wheel-stage
	@VT_JOBS=1 VT_SUITE_SECONDS=3600 VT_LOGS=$(BUILD)/test-logs-wheel $(RUN) "tests/packaging/wheel.sh venvs" "tests/packaging/wheel.sh old-debian"
test-viztracer:
	@$(MAKE) --no-print-directory $(JOBS) all
	@VT_JOBS=1 VT_SUITE_SECONDS=3600 BUILD=$(BUILD) VT_LOGS=$(BUILD)/test-logs-viztracer tests/run.sh tests/viztracer/run.sh
test-all: test test-wheel test-kill test-kill-asan test-stress test-soak test-asan test-playwright fuzz
