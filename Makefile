# satchel: `make` builds, `make demo` shows, `make check` tests, `make install` installs.
# Variables a packager may set: PREFIX, DESTDIR, CC, CFLAGS, LDFLAGS, B (the build directory).

VERSION	:= 0.1.0
PREFIX	?= /usr/local
BINDIR	?= $(PREFIX)/bin
MANDIR	?= $(PREFIX)/share/man
COMPDIR	?= $(PREFIX)/share/bash-completion/completions
SHAREDIR ?= $(PREFIX)/share/satchel
# Where systemd looks; units name the program by its path.
UNITDIR	?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
TMPFILESDIR ?= $(PREFIX)/lib/tmpfiles.d
B	?= build
PYTHON	?= /usr/bin/python3
CFLAGS	?= -O2 -g
# V=1 shows the commands.
Q	:= $(if $(V),,@)
say	= $(if $(V),,@printf '  %-4s %s\n' $(1) $(patsubst $(CURDIR)/%,%,$(2)))

PKGS	:= libarchive libsodium libzstd yaml-0.1 sqlite3 libseccomp
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -linotifytools
WARN	:= -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wcast-qual \
	   -Wwrite-strings -Wundef -Wvla -Wformat=2 -Wno-unused-parameter -Wimplicit-fallthrough
HARDEN	:= -fstack-protector-strong -fPIE -D_FORTIFY_SOURCE=2
ALL_CFLAGS = -std=c17 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DSATCHEL_VERSION='"$(VERSION)"' -I. -I$(B)/gen \
	   $(WARN) $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer,$(HARDEN)) $(PKG_CFLAGS) -pthread $(CFLAGS)
ALL_LDFLAGS = -pthread $(if $(SAN),-fsanitize=$(SAN),-pie -Wl,-z,relro,-z,now) $(LDFLAGS)

LIB_SRC	:= $(wildcard core/*/*.c bundler/*.c applier/*.c watcher/*.c)
CLI_SRC	:= $(wildcard cli/*.c)
SCHEMAS	:= $(wildcard schemas/*.yaml)
LIB_OBJ	:= $(LIB_SRC:%.c=$(B)/%.o) $(if $(SCHEMAS),$(B)/gen/schemas.o)
CLI_OBJ	:= $(CLI_SRC:%.c=$(B)/%.o)
TEST_OBJ := $(patsubst %.c,$(B)/%.o,$(wildcard tests/support/*.c))
C_FILES	:= $(wildcard core/*/*.[ch] bundler/*.[ch] applier/*.[ch] watcher/*.[ch] cli/*.[ch] tests/*/*.[ch])
SHELL_FILES := $(shell grep -lE '^\#!/bin/(ba)?sh' -r packaging tests .ci 2>/dev/null)
# Under the sanitizers, all but those that a sanitizer only makes slow: large trees, strace, other people's programs.
E2E_LARGE := tests/e2e/20-many tests/e2e/40-killed $(wildcard tests/e2e/6[0-9]-*) tests/e2e/70-package tests/e2e/82-carry-yanked
E2E_ASAN := $(filter-out $(E2E_LARGE),$(wildcard tests/e2e/[0-9]*))
E2E	:= $(E2E_ASAN) $(E2E_LARGE)
JOBS	?= $(shell nproc)
UNIT	:= $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(wildcard tests/unit/*.c))
FUZZ	:= $(patsubst tests/fuzz/%.c,$(B)/tests/fuzz/%,$(wildcard tests/fuzz/*.c))

.PHONY: fuzz-lib sim schemas-check all lib unit e2e check check-run lint asan fuzz bench demo deps deb install install-units uninstall clean analyze format warnings
.DELETE_ON_ERROR:
.SECONDARY:

all: $(B)/satchel

lib: $(B)/libsatchel.a

$(B)/satchel: $(CLI_OBJ) $(B)/libsatchel.a
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS)

$(B)/libsatchel.a: $(LIB_OBJ)
	@rm -f $@
	$(call say,AR,$@)
	$(Q)$(AR) rcs $@ $^

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/gen/schemas.c: schemas/generate.py schemas/pattern.py $(SCHEMAS)
	@mkdir -p $(@D)
	$(call say,GEN,$@)
	$(Q)$(PYTHON) -B schemas/generate.py $(SCHEMAS) > $@

$(B)/gen/schemas.o: $(B)/gen/schemas.c
	$(call say,CC,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# Tests

$(B)/tests/unit/%: tests/unit/%.c $(TEST_OBJ) $(B)/libsatchel.a
	@mkdir -p $(@D)
	$(call say,TEST,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(shell pkg-config --cflags criterion) -MMD -MP -MF $@.d -o $@ $< $(TEST_OBJ) $(B)/libsatchel.a \
	    $(ALL_LDFLAGS) $(shell pkg-config --libs criterion) $(PKG_LIBS)

unit: $(UNIT)
	tests/run-unit $(UNIT)

# End to end: shell programs that use the built binary as a person would.
e2e: $(B)/satchel
	SATCHEL=$(abspath $(B)/satchel) tests/run-e2e $(E2E)

# Everything under the sanitizers, with its own build directory.
SANITIZERS := address,undefined
asan:
	E2E_ONLY=together $(MAKE) B=$(B)/asan SAN=$(SANITIZERS) CFLAGS="-O1 -g" E2E="$(E2E_ASAN)" unit e2e
	E2E_ONLY=alone $(MAKE) B=$(B)/asan SAN=$(SANITIZERS) CFLAGS="-O1 -g" E2E="$(E2E_ASAN)" e2e

# An independent reader of YAML and validator of JSON Schema agrees with the decoders.
$(B)/tests/schemas/decode: tests/schemas/decode.c $(B)/libsatchel.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -MF $@.d -o $@ $< $(B)/libsatchel.a $(ALL_LDFLAGS) $(PKG_LIBS)

schemas-check: $(B)/tests/schemas/decode
	$(PYTHON) -B tests/schemas/generator
	$(PYTHON) -B tests/schemas/agree $<

# A short run of every fuzz target; FUZZ_SECONDS=3600 for a long one.
FUZZ_SECONDS ?= 5
$(B)/tests/fuzz/%: tests/fuzz/%.c $(LIB_SRC) $(B)/gen/schemas.c
	@mkdir -p $(@D)
	$(call say,FUZZ,$@)
	$(Q)clang -std=c17 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DSATCHEL_VERSION='"$(VERSION)"' -I. -I$(B)/gen $(PKG_CFLAGS) -pthread -O1 -g \
	    -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -o $@ $< $(B)/fuzzlib/libsatchel.a $(PKG_LIBS)

fuzz-lib:
	$(MAKE) B=$(B)/fuzzlib CC=clang SAN=fuzzer-no-link,address,undefined CFLAGS="-O1 -g" lib

fuzz: fuzz-lib
	$(MAKE) $(FUZZ)
	FUZZ_SECONDS=$(FUZZ_SECONDS) tests/run-fuzz $(FUZZ)

lint: format warnings
	tests/lint/layers.sh
	tests/lint/words.sh
	shellcheck -x -S warning $(SHELL_FILES)
	mandoc -T lint -W warning man/*.[1-8]

format:
	clang-format --dry-run -Werror $(C_FILES)

# Both compilers, every warning an error.
warnings:
	$(MAKE) B=$(B)/lint-gcc CC=gcc CFLAGS="-O2 -Werror" $(B)/lint-gcc/satchel
	$(MAKE) B=$(B)/lint-clang CC=clang CFLAGS="-O2 -Werror" $(B)/lint-clang/satchel

analyze:
	cppcheck --quiet --error-exitcode=1 --std=c11 --inline-suppr --enable=warning,portability -I. -DSATCHEL_VERSION='"x"' \
	    --suppress=missingIncludeSystem --suppressions-list=tests/lint/cppcheck.txt -j2 core bundler applier watcher cli

deps:
	packaging/install-deps $(DEPS)

# The README's test command.
check:
	packaging/install-deps build test deb parts
	$(MAKE) -j$(JOBS) check-run

check-run:
	$(MAKE) lint
	$(MAKE) schemas-check
	$(MAKE) analyze
	$(MAKE) asan
	$(MAKE) e2e E2E="$(E2E_LARGE)"
	$(MAKE) fuzz

# Many simulated workstations on one site: tests/bench/crowd.c says how to call it.
$(B)/tests/bench/crowd: tests/bench/crowd.c $(B)/libsatchel.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -MF $@.d -o $@ $< $(B)/libsatchel.a $(ALL_LDFLAGS) $(PKG_LIBS)

# The README's demonstration.
demo:
	packaging/install-deps build
	$(MAKE) -j$(JOBS) all
	packaging/demo $(abspath $(B)/satchel) $(abspath $(B)/demo)

bench: all
	packaging/install-deps build test
	tests/bench/run $(abspath $(B)/satchel)

# A day of a thousand watchers on one share, in simulated time.
$(B)/tests/sim/%: tests/sim/%.c $(B)/libsatchel.a
	@mkdir -p $(@D)
	$(call say,SIM,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -MF $@.d -o $@ $< $(B)/libsatchel.a $(ALL_LDFLAGS) $(PKG_LIBS)

sim: $(B)/tests/sim/watchers
	$(B)/tests/sim/watchers

install: all
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(MANDIR)/man1 $(DESTDIR)$(MANDIR)/man5 $(DESTDIR)$(COMPDIR) $(DESTDIR)$(SHAREDIR)/schemas
	install -m 0755 $(B)/satchel $(DESTDIR)$(BINDIR)/satchel
	install -m 0644 man/*.1 $(DESTDIR)$(MANDIR)/man1
	install -m 0644 man/*.5 $(DESTDIR)$(MANDIR)/man5
	install -m 0644 packaging/completion.bash $(DESTDIR)$(COMPDIR)/satchel
	install -m 0644 schemas/*.yaml schemas/*.abnf $(DESTDIR)$(SHAREDIR)/schemas

# Services, timers, the server's user and the directories of both roles, for systemd.
install-units:
	install -d $(DESTDIR)$(UNITDIR)/satchel-.service.d $(DESTDIR)$(SYSUSERSDIR) $(DESTDIR)$(TMPFILESDIR)
	for unit in packaging/systemd/*.service packaging/systemd/*.timer; do \
	    sed 's|/usr/bin/satchel|$(BINDIR)/satchel|' $$unit > $(DESTDIR)$(UNITDIR)/$${unit##*/} && \
	    chmod 0644 $(DESTDIR)$(UNITDIR)/$${unit##*/} || exit 1; done
	install -m 0644 packaging/systemd/confined.conf $(DESTDIR)$(UNITDIR)/satchel-.service.d/confined.conf
	install -m 0644 packaging/systemd/sysusers.conf $(DESTDIR)$(SYSUSERSDIR)/satchel.conf
	install -m 0644 packaging/systemd/tmpfiles.conf $(DESTDIR)$(TMPFILESDIR)/satchel.conf

# The Debian package, in build/deb; tested by tests/e2e/70-package.
deb:
	packaging/install-deps build deb
	packaging/deb $(abspath $(B))/deb
	lintian --fail-on error $(B)/deb/*.changes

uninstall:
	rm -f $(addprefix $(DESTDIR)$(UNITDIR)/,$(notdir $(wildcard packaging/systemd/*.service packaging/systemd/*.timer)))
	rm -f $(DESTDIR)$(UNITDIR)/satchel-.service.d/confined.conf $(DESTDIR)$(SYSUSERSDIR)/satchel.conf $(DESTDIR)$(TMPFILESDIR)/satchel.conf
	rm -f $(DESTDIR)$(BINDIR)/satchel $(DESTDIR)$(MANDIR)/man1/satchel.1 $(DESTDIR)$(COMPDIR)/satchel
	rm -f $(addprefix $(DESTDIR)$(MANDIR)/man5/,$(notdir $(wildcard man/*.5)))
	rm -rf $(DESTDIR)$(SHAREDIR)

-include $(LIB_OBJ:.o=.d) $(CLI_OBJ:.o=.d) $(TEST_OBJ:.o=.d) $(UNIT:=.d)

clean:
	rm -rf $(B)
