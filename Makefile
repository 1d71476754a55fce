# viztracerd: see README.md and docs/README.md. Everything is built into $(BUILD); sources are found by folder.
# `make help` prints the lines that begin with "##" here, in Makefile.setup, packaging/packaging.mk and tests/tests.mk.
MAKEFLAGS += --no-builtin-rules
CC      := $(if $(filter default,$(origin CC)),gcc,$(CC))
PREFIX  ?= /usr/local
DESTDIR ?=
comma := ,
BUILD   ?= build$(if $(SAN),-$(subst $(comma),-,$(SAN)))$(if $(FAULTS),-faults)$(if $(CONSTANT_CLOCK),-clock)$(if $(filter-out gcc,$(CC)),-$(notdir $(CC)))
VERSION := 0.1.0

WARN    := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes -Wmissing-prototypes $(if $(WERROR),-Werror) \
    $(if $(SAN),-Wno-format-overflow -Wno-tsan) # false alarms in code that a sanitizer has changed
CPPFLAGS += -D_GNU_SOURCE -DVT_VERSION=\"$(VERSION)\" $(if $(FAULTS),-DVT_FAULTS) -iquote . -iquote $(BUILD)/gen
CFLAGS  ?= -O2 -g
CFLAGS_ALL := -std=gnu11 $(CFLAGS) $(WARN) -fno-strict-aliasing -fvisibility=hidden $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer)
LDFLAGS_ALL := $(LDFLAGS) $(if $(SAN),-fsanitize=$(SAN))
DEPFLAGS = -MMD -MP

PROTO_LIBS  := -lprotobuf-c -lzstd -lz
ATTACH_LIBS := -lunwind-x86_64 -lunwind
CLI_LIBS    := -lmicrohttpd -lyajl
# `viztracer top` fills a terminal where ncurses is there to build with; NO_NCURSES=1 builds without it
NCURSES     := $(if $(NO_NCURSES),,$(shell echo '\#include <ncurses.h>' | $(CC) -E -x c - >/dev/null 2>&1 && echo y))
CLI_LIBS    += $(if $(NCURSES),-lncursesw -ltinfo)

obj = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
PROTO_SRC  := $(wildcard proto/*.c)
OPTIONS_SRC := $(wildcard options/*.c)
ATTACH_SRC := $(wildcard attach/*.c attach/arch/*.c)
OUTSIDE_SRC := $(wildcard outside/*.c)
DAEMON_SRC := $(wildcard daemon/*.c daemon/*/*.c)
CLI_SRC    := $(wildcard cli/*.c cli/*/*.c cli/*/*/*.c)
# Python files that the agent carries in itself
CARRIED    := python/viztracer/_instrument.py python/viztracer/_extras.py
AGENT_FILES := $(sort $(shell find agent -name '*.[ch]' -o -name '*.map')) $(sort $(wildcard proto/abi/*.h)) \
    $(CARRIED) # at any depth
AGENT_SRC  := $(filter %.c,$(AGENT_FILES))
TESTLIB_SRC := $(wildcard tests/lib/*.c)
UNIT_SRC   := $(wildcard tests/unit/*.c)
INTEG_SRC  := $(wildcard tests/integration/*.c)
FUZZ_SRC   := $(wildcard tests/fuzz/*.c)
BENCH_SRC  := $(wildcard tests/bench/*.c)

BIN := $(BUILD)/bin/viztracer $(BUILD)/bin/viztracerd $(BUILD)/bin/vizviewer
AGENT := $(BUILD)/lib/libviztracer_agent.so
LAUNCH := $(BUILD)/lib/libviztracer_launch.so
PACKAGE := $(BUILD)/python/viztracer
.PHONY: all help clean
## Building
##   make                 builds the programs, the agent and the man pages (make all)
##   make help            prints this text
##   make docs            builds the man pages and the completion (part of make)
##   make package         builds build/python, the Python package (part of make)
##   make docs-tables     updates the tables of options and formats in docs/
##   make clean           removes every build folder
##   make compile_commands.json  writes the compiler's command for each file, for editors
##   Variables, each with a build folder of its own: CC=clang SAN=address,undefined SAN=thread FAULTS=1
##   CONSTANT_CLOCK=1; and BUILD=folder WERROR=1 NO_NCURSES=1
all: $(BIN) $(AGENT) $(LAUNCH) docs package

help:
	@sed -n 's/^##\( \|$$\)//p' Makefile Makefile.setup packaging/packaging.mk tests/tests.mk

# ---- the packages: checked once in each build folder; one line names those that are missing ----
$(BUILD)/.deps-%: tests/setup/deps.sh
	$(eval missing := $(shell CC="$(CC)" tests/setup/deps.sh missing $*))$(if $(missing),$(error missing packages: $(missing) (`make deps` installs them)))@mkdir -p $(@D) && touch $@

# ---- generated code ----
$(BUILD)/gen/viztracerd.pb-c.c: proto/viztracerd.proto | $(BUILD)/.deps-build
	@mkdir -p $(@D)
	protoc-c --proto_path=proto --c_out=$(BUILD)/gen $<
$(BUILD)/gen/viztracerd.pb-c.h: $(BUILD)/gen/viztracerd.pb-c.c ;
PERFETTO_GEN := $(BUILD)/gen/cli/format/perfetto/perfetto_subset.pb-c
$(PERFETTO_GEN).c: cli/format/perfetto/perfetto_subset.proto | $(BUILD)/.deps-build
	@mkdir -p $(@D)
	protoc-c --proto_path=. --c_out=$(BUILD)/gen $<
$(PERFETTO_GEN).h: $(PERFETTO_GEN).c ;
$(BUILD)/gen/%.o: $(BUILD)/gen/%.c
	$(CC) -std=gnu11 $(CFLAGS) $(CPPFLAGS) -w $(if $(SAN),-fsanitize=$(SAN)) -c -o $@ $<

# ---- bootstrap code that runs in the target: position independent bytes in a header ----
BLOB_CFLAGS := -std=gnu11 -O2 -fPIC -ffreestanding -fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables -fno-builtin $(WARN)
$(BUILD)/gen/attach/blob.o: attach/blob/blob.c attach/blob/blob.ld proto/abi/boot.h | $(BUILD)/.deps-build
	@mkdir -p $(@D)
	gcc $(BLOB_CFLAGS) -iquote . -c -o $@ $<
$(BUILD)/gen/attach/blob_bytes.h: $(BUILD)/gen/attach/blob.o attach/blob/blob.ld
	ld --no-warn-rwx-segments -T attach/blob/blob.ld -o $(BUILD)/gen/attach/blob.elf $<
	objcopy -O binary $(BUILD)/gen/attach/blob.elf $(BUILD)/gen/attach/blob.bin
	{ echo '/* generated from attach/blob */'; echo 'static const unsigned char blob_bytes[] = {'; od -An -v -tx1 $(BUILD)/gen/attach/blob.bin | sed 's/ \([0-9a-f][0-9a-f]\)/0x\1,/g'; echo '};'; } > $@

# ---- the page of .html outputs: bytes in a header ----
PAGE_SOURCES := cli/format/html/embed.py $(wildcard cli/format/html/*.html cli/format/html/*.css cli/format/html/*.js)
$(BUILD)/gen/cli/format/html/page.h: $(PAGE_SOURCES) | $(BUILD)/.deps-build
	@mkdir -p $(@D)
	python3 cli/format/html/embed.py cli/format/html > $@.tmp && mv $@.tmp $@

# ---- the agent: freestanding, no imports; never built with sanitizers ----
AGENT_CFLAGS := -std=gnu11 -O2 -g -fPIC -ffreestanding -fno-builtin -fno-stack-protector -fno-strict-aliasing -fvisibility=hidden \
    -ftls-model=initial-exec -fno-asynchronous-unwind-tables -funwind-tables -fcf-protection=none $(WARN)
AGENT_CPPFLAGS := -DVT_VERSION=\"$(VERSION)\" -iquote . $(if $(FAULTS),-DVT_FAULTS) $(if $(CONSTANT_CLOCK),-DVT_CONSTANT_CLOCK)
# The agent's identity. An agent that is still loaded in a target is used again only if its identity is the same.
AGENT_ID := $(shell { cat $(AGENT_FILES); echo $(CC) $(FAULTS) $(CONSTANT_CLOCK); } | sha1sum | cut -c1-30)
$(BUILD)/agentobj/agent/record/state.o: AGENT_CPPFLAGS += -DVT_AGENT_BUILD=\"$(AGENT_ID)\"
$(BUILD)/agentobj/agent/record/state.o: $(AGENT_FILES)
AGENT_OBJ := $(patsubst %.c,$(BUILD)/agentobj/%.o,$(AGENT_SRC))
$(BUILD)/agentobj/%.o: %.c | $(BUILD)/.deps-build
	@mkdir -p $(@D)
	$(CC) $(AGENT_CFLAGS) $(AGENT_CPPFLAGS) $(DEPFLAGS) -c -o $@ $<
$(BUILD)/gen/agent/%_source.h: python/viztracer/_%.py
	@mkdir -p $(@D)
	{ echo '/* generated from $< */'; echo 'static const char $*_source[] = {'; od -An -v -tx1 $< | sed 's/ \([0-9a-f][0-9a-f]\)/0x\1,/g'; echo '0};'; } > $@
define carry
$(BUILD)/agentobj/agent/$(1).o: $(BUILD)/gen/agent/$(1)_source.h
$(BUILD)/agentobj/agent/$(1).o: AGENT_CPPFLAGS += -iquote $(BUILD)/gen
endef
$(foreach file,$(CARRIED),$(eval $(call carry,$(patsubst python/viztracer/_%.py,%,$(file)))))
$(AGENT): $(AGENT_OBJ) agent/agent.map
	@mkdir -p $(@D)
	$(CC) -shared -nostdlib -Wl,-z,defs -Wl,-z,now -Wl,-z,relro -Wl,-z,noexecstack -Wl,-z,nodelete -Wl,-Bsymbolic -Wl,--build-id=sha1 -Wl,--hash-style=both -Wl,--eh-frame-hdr \
	    -Wl,--version-script=agent/agent.map -o $@ $(AGENT_OBJ)

# ---- the library that is preloaded into programs that are started under trace: freestanding too ----
LAUNCH_SRC := $(wildcard launch/*.c)
LAUNCH_OBJ := $(patsubst %.c,$(BUILD)/launchobj/%.o,$(LAUNCH_SRC) agent/cpython/symbols.c agent/cpython/libc.c)
$(BUILD)/launchobj/%.o: %.c | $(BUILD)/.deps-build
	@mkdir -p $(@D)
	$(CC) $(AGENT_CFLAGS) $(AGENT_CPPFLAGS) $(DEPFLAGS) -c -o $@ $<
$(LAUNCH): $(LAUNCH_OBJ) launch/launch.map
	@mkdir -p $(@D)
	$(CC) -shared -nostdlib -Wl,-z,defs -Wl,-z,now -Wl,-z,relro -Wl,-z,noexecstack -Wl,-z,nodelete -Wl,--build-id=sha1 -Wl,--hash-style=both \
	    -Wl,--version-script=launch/launch.map -o $@ $(LAUNCH_OBJ)

# ---- the Python package: its sources, the version, and the agent as its extension module ----
PACKAGE_SRC := $(shell cd python && find viztracer -name '*.py' -o -name '*.pyi' -o -name py.typed)
PACKAGE_FILES := $(addprefix $(BUILD)/python/,$(PACKAGE_SRC)) $(PACKAGE)/_version.py $(PACKAGE)/_viztracer_agent.so
.PHONY: package
package: $(PACKAGE_FILES)
$(BUILD)/python/%: python/%
	@mkdir -p $(@D)
	cp $< $@
$(PACKAGE)/_version.py: Makefile
	@mkdir -p $(@D)
	echo '__version__ = "$(VERSION)"' >$@
$(PACKAGE)/_viztracer_agent.so: $(AGENT)
	@mkdir -p $(@D)
	cp $< $@.tmp && mv $@.tmp $@

# ---- host side ----
$(BUILD)/obj/cli/top/screen.o: CPPFLAGS += $(if $(NCURSES),-DVT_NCURSES)
$(BUILD)/obj/%.o: %.c | $(BUILD)/gen/viztracerd.pb-c.h $(BUILD)/gen/attach/blob_bytes.h $(BUILD)/gen/cli/format/html/page.h $(PERFETTO_GEN).h
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) $(CPPFLAGS) $(DEPFLAGS) -c -o $@ $<
$(BUILD)/libvtproto.a: $(call obj,$(PROTO_SRC)) $(BUILD)/gen/viztracerd.pb-c.o
	rm -f $@ && ar rcs $@ $^
$(BUILD)/libvtoptions.a: $(call obj,$(OPTIONS_SRC))
	rm -f $@ && ar rcs $@ $^
$(BUILD)/libvtattach.a: $(call obj,$(ATTACH_SRC))
	rm -f $@ && ar rcs $@ $^
$(BUILD)/libvtoutside.a: $(call obj,$(OUTSIDE_SRC))
	rm -f $@ && ar rcs $@ $^
$(BUILD)/libvtdaemon.a: $(call obj,$(filter-out daemon/main.c,$(DAEMON_SRC)))
	rm -f $@ && ar rcs $@ $^
$(BUILD)/libvtcli.a: $(call obj,$(filter-out cli/main.c,$(CLI_SRC))) $(PERFETTO_GEN).o
	rm -f $@ && ar rcs $@ $^
$(BUILD)/bin/viztracerd: $(BUILD)/obj/daemon/main.o $(BUILD)/libvtdaemon.a $(BUILD)/libvtoutside.a $(BUILD)/libvtattach.a $(BUILD)/libvtoptions.a $(BUILD)/libvtproto.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(ATTACH_LIBS) $(PROTO_LIBS)
$(BUILD)/bin/viztracer: $(BUILD)/obj/cli/main.o $(BUILD)/libvtcli.a $(BUILD)/libvtoutside.a $(BUILD)/libvtattach.a $(BUILD)/libvtoptions.a $(BUILD)/libvtproto.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(CLI_LIBS) $(ATTACH_LIBS) $(PROTO_LIBS)
$(BUILD)/bin/vizviewer: $(BUILD)/bin/viztracer
	ln -sf viztracer $@

# ---- man pages and completion, from the tables of the programs ----
DOCGEN_SRC := $(wildcard tools/docgen/*.c)
DOCGEN := $(BUILD)/bin-build/docgen
DOCS := $(addprefix $(BUILD)/man/,viztracer.1 vizviewer.1 viztracerd.8) $(addprefix $(BUILD)/completion/,viztracer.bash _viztracer)
.PHONY: docs docs-tables
docs: $(DOCS)
docs-tables: $(DOCGEN) # the tables in docs/
	for page in docs/options.md docs/formats.md; do $(DOCGEN) page $$page >$(BUILD)/page.tmp && cat $(BUILD)/page.tmp >$$page || exit 1; done
$(DOCGEN): $(call obj,$(DOCGEN_SRC)) $(BUILD)/libvtcli.a $(BUILD)/libvtoutside.a $(BUILD)/libvtattach.a $(BUILD)/obj/daemon/command_line.o $(BUILD)/libvtoptions.a $(BUILD)/libvtproto.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(CLI_LIBS) $(ATTACH_LIBS) $(PROTO_LIBS)
$(BUILD)/man/%: $(DOCGEN)
	@mkdir -p $(@D)
	$(DOCGEN) man $(basename $*) >$@.tmp && mv $@.tmp $@
$(BUILD)/completion/viztracer.bash: $(DOCGEN)
	@mkdir -p $(@D)
	$(DOCGEN) completion bash >$@.tmp && mv $@.tmp $@
$(BUILD)/completion/_viztracer: $(DOCGEN)
	@mkdir -p $(@D)
	$(DOCGEN) completion zsh >$@.tmp && mv $@.tmp $@

# ---- tests: one program per file of tests/unit and tests/integration ----
TESTLIB := $(BUILD)/libvttest.a
HOSTLIBS := $(BUILD)/libvtdaemon.a $(BUILD)/libvtcli.a $(BUILD)/libvtoutside.a $(BUILD)/libvtattach.a $(BUILD)/libvtoptions.a $(BUILD)/libvtproto.a
$(call obj,$(TESTLIB_SRC) $(UNIT_SRC) $(INTEG_SRC) $(BENCH_SRC)): | $(BUILD)/.deps-units
$(TESTLIB): $(call obj,$(TESTLIB_SRC))
	rm -f $@ && ar rcs $@ $^
UNIT_BIN  := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(UNIT_SRC))
INTEG_BIN := $(patsubst tests/integration/%.c,$(BUILD)/tests/integration/%,$(INTEG_SRC))
BENCH_BIN := $(patsubst tests/bench/%.c,$(BUILD)/tests/bench/%,$(BENCH_SRC))
$(BUILD)/tests/unit/agent_governor: $(patsubst %,$(BUILD)/agentobj/agent/limit/%.o,account cpu_time governor throttle window) # on a simulated clock
$(BUILD)/tests/unit/launch_environ: $(BUILD)/launchobj/launch/environ.o
PICK_CASE := -Wl,--wrap=tcase_create,--wrap=_tcase_add_test,--wrap=srunner_run_all # tests/lib/pick.c: VT_CASE
$(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(TESTLIB) $(HOSTLIBS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) $(PICK_CASE) -o $@ $^ -lcheck -lsubunit -lrt -lm -lpthread $(CLI_LIBS) $(ATTACH_LIBS) $(PROTO_LIBS)
$(BUILD)/lib/floor.so: tests/bench/floor/floor.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 $(WARN) -fPIC -shared -fvisibility=hidden -o $@ $<
$(BUILD)/tests/vtarena_layout.py: tests/agent/layout.sh $(wildcard proto/abi/*.h)
	@mkdir -p $(@D)
	tests/agent/layout.sh $(CC) >$@.tmp && mv $@.tmp $@
.PHONY: tests-bin
tests-bin: $(BUILD)/tests/vtarena_layout.py $(UNIT_BIN) $(INTEG_BIN) $(BENCH_BIN) $(BUILD)/lib/floor.so

# ---- for editors: the compiler commands of the rules above, as JSON ----
quoted = "$(subst ",\",$(subst \,\\,$(1)))"
command = {"directory": $(call quoted,$(CURDIR)), "file": "$(1)", "output": "$(2)", "command": $(call quoted,$(3) -c -o $(2) $(1))},
COMPILED := $(PROTO_SRC) $(OPTIONS_SRC) $(DOCGEN_SRC) $(ATTACH_SRC) $(OUTSIDE_SRC) $(DAEMON_SRC) $(CLI_SRC) $(TESTLIB_SRC) $(UNIT_SRC) $(INTEG_SRC) $(BENCH_SRC) $(FUZZ_SRC) $(wildcard tests/faults/*.c packaging/*.c)
.PHONY: FORCE
compile_commands.json $(BUILD)/compile_commands.json: FORCE | $(BUILD)/gen/viztracerd.pb-c.h $(PERFETTO_GEN).h $(BUILD)/gen/attach/blob_bytes.h $(BUILD)/gen/cli/format/html/page.h
	$(file >$@.tmp,[)
	$(foreach s,$(COMPILED),$(file >>$@.tmp,$(call command,$(s),$(call obj,$(s)),$(CC) $(CFLAGS_ALL) $(CPPFLAGS))))
	$(foreach s,$(AGENT_SRC),$(file >>$@.tmp,$(call command,$(s),$(BUILD)/agentobj/$(s:.c=.o),$(CC) $(AGENT_CFLAGS) $(AGENT_CPPFLAGS))))
	$(foreach s,$(LAUNCH_SRC),$(file >>$@.tmp,$(call command,$(s),$(BUILD)/launchobj/$(s:.c=.o),$(CC) $(AGENT_CFLAGS) $(AGENT_CPPFLAGS))))
	$(file >>$@.tmp,$(call command,attach/blob/blob.c,$(BUILD)/gen/attach/blob.o,gcc $(BLOB_CFLAGS) -iquote .))
	@sed '$$s/,$$//' $@.tmp >$@ && echo ']' >>$@ && rm $@.tmp && echo "$@: $$(grep -c '"file"' $@) files"

clean:
	rm -rf build build-*

# Objects of programs are kept: make would remove them as intermediate files and build them again the next time.
.SECONDARY:

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
-include tests/tests.mk
-include Makefile.setup
-include packaging/packaging.mk
