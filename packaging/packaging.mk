# Wheel, sdist and Debian package. Included by Makefile. The programs of a wheel are the objects of the build, linked anew: with the static libraries
# of the distribution, with an object that asks for no newer glibc than WHEEL_GLIBC, and with the agent in viztracerd.
.PHONY: wheel wheel-bin wheel-stage sdist deb
## Packaging
##   make wheel           builds $(DIST)/viztracerd-*.whl for pip; DIST is dist unless given
##   make sdist           builds $(DIST)/viztracerd-*.tar.gz, which pip can build and install too
##   make deb             builds $(DIST)/viztracerd_*.deb, a Debian package
DIST ?= dist
WHEEL_GLIBC := 2.17
STAGE := $(BUILD)/wheel
WHEEL_BIN := $(addprefix $(BUILD)/wheelbin/,viztracer viztracerd)
WHEEL_LIB := $(addprefix $(BUILD)/wheelbin/,$(notdir $(AGENT) $(LAUNCH)))
# The archive of each library in PROTO_LIBS and its like; two have another name, or need one more.
static = $(foreach l,$(patsubst -l%,%,$(1)),-l:lib$(if $(filter yajl,$l),yajl_s,$l).a $(if $(filter unwind,$l),-l:liblzma.a))
WHEEL_PROTO  := $(call static,$(PROTO_LIBS))
WHEEL_ATTACH := $(call static,$(ATTACH_LIBS))
WHEEL_CLI    := $(call static,$(CLI_LIBS))
# libunwind's archive is not made for position independent programs.
WHEEL_LINK := -no-pie -s -Wl,--wrap=__libc_start_main -Wl,--gc-sections -Wl,-z,now -Wl,-z,relro -Wl,-z,noexecstack -Wl,--hash-style=both
WHEEL_NEEDED := -Wl,--no-as-needed -l:libpthread.so.0 -Wl,--as-needed
# The packages whose archives are linked in: a wheel carries their licenses.
WHEEL_LICENSES := libunwind-dev liblzma-dev libprotobuf-c-dev libzstd-dev zlib1g-dev libmicrohttpd-dev libyajl-dev libncurses-dev

$(BUILD)/obj/packaging/embedded.o: packaging/embedded.S $(WHEEL_LIB)
	@mkdir -p $(@D)
	$(CC) -DAGENT_FILE='"$(BUILD)/wheelbin/$(notdir $(AGENT))"' -DLAUNCH_FILE='"$(BUILD)/wheelbin/$(notdir $(LAUNCH))"' -c -o $@ $<
$(BUILD)/gen/gnutls_stubs.c: packaging/gnutls-stubs.sh | $(BUILD)/.deps-build
	@mkdir -p $(@D)
	packaging/gnutls-stubs.sh "$$($(CC) -print-file-name=libmicrohttpd.a)" >$@.tmp && mv $@.tmp $@
$(WHEEL_LIB): $(BUILD)/wheelbin/%: $(BUILD)/lib/%
	@mkdir -p $(@D)
	strip -o $@ $<
$(BUILD)/wheelbin/viztracer: $(BUILD)/obj/cli/main.o $(BUILD)/libvtcli.a $(BUILD)/libvtoutside.a $(BUILD)/libvtattach.a $(BUILD)/libvtoptions.a $(BUILD)/libvtproto.a \
    $(BUILD)/obj/packaging/floor.o $(BUILD)/gen/gnutls_stubs.o packaging/check-glibc.sh
	@mkdir -p $(@D)
	$(CC) $(WHEEL_LINK) -o $@.tmp $(filter %/main.o %/floor.o,$^) $(filter %.a,$^) $(WHEEL_CLI) $(filter %/gnutls_stubs.o,$^) $(WHEEL_ATTACH) $(WHEEL_PROTO) $(WHEEL_NEEDED)
	packaging/check-glibc.sh $(WHEEL_GLIBC) $@.tmp && mv $@.tmp $@
$(BUILD)/wheelbin/viztracerd: $(BUILD)/obj/daemon/main.o $(BUILD)/libvtdaemon.a $(BUILD)/libvtoutside.a $(BUILD)/libvtattach.a $(BUILD)/libvtoptions.a $(BUILD)/libvtproto.a \
    $(BUILD)/obj/packaging/floor.o $(BUILD)/obj/packaging/embedded.o packaging/check-glibc.sh
	@mkdir -p $(@D)
	$(CC) $(WHEEL_LINK) -o $@.tmp $(filter %.o,$^) $(filter %.a,$^) $(WHEEL_ATTACH) $(WHEEL_PROTO) $(WHEEL_NEEDED)
	packaging/check-glibc.sh $(WHEEL_GLIBC) $@.tmp && mv $@.tmp $@

# What the wheel holds, less its metadata (packaging/backend.py).
DATA := $(STAGE)/viztracerd-$(VERSION).data
wheel-bin: $(WHEEL_BIN)
wheel-stage: $(WHEEL_BIN) $(WHEEL_LIB) $(PACKAGE_FILES) docs
	rm -rf $(STAGE)
	install -d $(DATA)/scripts $(STAGE)/licenses $(addprefix $(DATA)/data/share/,man/man1 man/man8 bash-completion/completions zsh/site-functions)
	install -m 755 $(WHEEL_BIN) packaging/vizviewer $(DATA)/scripts/
	for name in $(PACKAGE_SRC) viztracer/_version.py; do install -D -m 644 $(BUILD)/python/$$name $(STAGE)/$$name || exit 1; done
	install -m 644 $(BUILD)/wheelbin/$(notdir $(AGENT)) $(STAGE)/viztracer/$(notdir $(filter %.so,$(PACKAGE_FILES)))
	install -m 644 $(BUILD)/wheelbin/$(notdir $(LAUNCH)) $(STAGE)/viztracer/
	install -m 644 $(filter %.1,$(DOCS)) $(DATA)/data/share/man/man1/
	install -m 644 $(filter %.8,$(DOCS)) $(DATA)/data/share/man/man8/
	install -m 644 $(filter %/_viztracer,$(DOCS)) $(DATA)/data/share/zsh/site-functions/
	for name in $(INSTALL_BIN); do install -m 644 $(filter %.bash,$(DOCS)) $(DATA)/data/share/bash-completion/completions/$$name || exit 1; done
	install -m 644 LICENSE $(STAGE)/licenses/
	for name in $(WHEEL_LICENSES); do [ ! -e /usr/share/doc/$$name/copyright ] || install -m 644 /usr/share/doc/$$name/copyright $(STAGE)/licenses/$$name || exit 1; done
wheel: wheel-stage
	@python3 -I packaging/backend.py wheel $(DIST) $(STAGE)
deb:
	rm -rf $(BUILD)/deb
	@$(MAKE) --no-print-directory install DESTDIR=$(BUILD)/deb PREFIX=/usr >/dev/null
	@packaging/deb.sh $(abspath $(BUILD)/deb) $(VERSION) $(DIST)
sdist:
	@python3 -I packaging/backend.py sdist $(DIST)
