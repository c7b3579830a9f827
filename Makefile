# satchel: `make` builds, `make demo` shows, `make check` tests, `make install` installs.
# Variables a packager may set: PREFIX, DESTDIR, CC, CFLAGS, LDFLAGS, B (the build directory).

VERSION	:= 0.2.0
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
CRITERION_CFLAGS := $(shell pkg-config --cflags criterion 2>/dev/null)
CRITERION_LIBS := $(shell pkg-config --libs criterion 2>/dev/null)
WARN	:= -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wcast-qual \
	   -Wwrite-strings -Wundef -Wvla -Wformat=2 -Wno-unused-parameter -Wimplicit-fallthrough
# In core/ a value that does not fit is a check in the code, never a silent conversion.
$(B)/core/%.o: WARN += -Wconversion -Wsign-conversion
HARDEN	:= -fstack-protector-strong -fPIE -D_FORTIFY_SOURCE=2
ALL_CFLAGS = -std=c17 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DSATCHEL_VERSION='"$(VERSION)"' -I. -I$(B)/gen \
	   $(WARN) $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer,$(HARDEN)) $(PKG_CFLAGS) -pthread $(CFLAGS)
ALL_LDFLAGS = -pthread $(if $(SAN),-fsanitize=$(SAN),-pie -Wl,-z,relro,-z,now) $(LDFLAGS)

# Sources lie in rooms, at most three folders deep.
rooms	= $(sort $(wildcard $(foreach ending,$2,$1/*.$(ending) $1/*/*.$(ending) $1/*/*/*.$(ending) $1/*/*/*/*.$(ending))))
LIB_SRC	:= $(foreach top,core bundler applier watcher,$(call rooms,$(top),c))
CLI_SRC	:= $(call rooms,cli,c)
SCHEMAS	:= $(wildcard schemas/*.yaml)
LIB_OBJ	:= $(LIB_SRC:%.c=$(B)/%.o) $(if $(SCHEMAS),$(B)/gen/schemas.o)
CLI_OBJ	:= $(CLI_SRC:%.c=$(B)/%.o)
TEST_OBJ := $(patsubst %.c,$(B)/%.o,$(wildcard tests/support/*.c))
C_FILES	:= $(foreach top,core bundler applier watcher cli tests,$(call rooms,$(top),c h))
SHELL_FILES := $(shell grep -lE '^\#!/bin/(ba)?sh' -r packaging tests docs .ci 2>/dev/null)
# Under the sanitizers, which take ten times as long for each run of the program: what meets bytes of strangers, every command, and a
# watcher that stays.  The others test what the program does, and run as it is shipped.
E2E_ALL	:= $(wildcard tests/e2e/*/[0-9]*)
E2E_ASAN := $(filter $(addprefix tests/e2e/,attacks/955-% attacks/956-% attacks/957-% attacks/958-% attacks/960-% attacks/965-% attacks/971-% \
	    attacks/972-% hostile/300-% hostile/301-% hostile/302-% hostile/303-% hostile/304-% hostile/307-% hostile/308-% cli/200-% cli/202-% cli/203-% \
	    cli/204-% cli/205-% enrolment/500-% loop/100-% watch/800-%),$(E2E_ALL))
E2E_PLAIN := $(filter-out $(E2E_ASAN),$(E2E_ALL))
E2E	:= $(E2E_ALL)
JOBS	?= $(shell nproc)
UNIT	:= $(patsubst %.c,$(B)/%,$(call rooms,tests/unit,c))
# Cut off at calls that write: under the sanitizers at every fortieth, in the plain program at every fourth, and by `make
# faults` at all of them.
UNIT_KILL := $(filter %_kill,$(UNIT))
# These start many processes, and run what others run as well: make check leaves them to the plain program, make asan does not.
UNIT_MANY := $(filter $(addprefix $(B)/tests/unit/applier/,handout/handout sync/sync_decommission sync/sync_policy sync/sync_poll),$(UNIT))
FUZZ	:= $(patsubst tests/fuzz/%.c,$(B)/tests/fuzz/%,$(wildcard tests/fuzz/*.c))

.PHONY: coverage compile-commands lints warnings-clang sim schemas-check all lib unit e2e check check-run lint asan fuzz bench demo deps deb install install-units uninstall clean analyze format warnings
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

# The macros of a test are many times its text, and take half a minute of compiling when they are optimised and watched for
# undefined behaviour.  What is under test stands in the library.
TEST_CFLAGS = $(CRITERION_CFLAGS) -O0 $(if $(SAN),-fno-sanitize=undefined)
# A linker that is three times as fast, where it is installed.
TEST_LD	:= $(if $(shell command -v ld.lld),-fuse-ld=lld)

$(B)/tests/%.o: tests/%.c
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(TEST_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/tests/unit/%: $(B)/tests/unit/%.o $(TEST_OBJ) $(B)/libsatchel.a
	$(call say,TEST,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) $(TEST_LD) -o $@ $^ $(CRITERION_LIBS) $(PKG_LIBS)

# UNIT_LEFT: names of programs that are left out.
UNIT_RUN = $(filter-out $(addprefix %/,$(UNIT_LEFT)),$(UNIT))
unit: $(UNIT_RUN)
	tests/run-unit $(UNIT_RUN)

# End to end: shell programs that use the built binary as a person would.
e2e: $(B)/satchel
	SATCHEL=$(abspath $(B)/satchel) tests/run-e2e $(E2E)

# Under sanitizers Criterion's tests are run by tests/forked, which has to do with how long they take.
FORKED	:= CRITERION_CFLAGS=-Itests/forked CRITERION_LIBS=
# Everything under the sanitizers, with its own build directory, which serves the fuzz targets too.  clang, so that both
# compilers see everything.  What is freed stays out of use for 16 MB more of allocations, not for 256: a process that
# begins many others gives each of them a copy of that.
SANITIZED := B=$(B)/asan CC=clang SAN=fuzzer-no-link,address,undefined CFLAGS="-O1 -g -Werror" $(FORKED)
ASAN	= ASAN_OPTIONS=quarantine_size_mb=16:$$ASAN_OPTIONS
asan:
	$(ASAN) E2E_ONLY=together $(MAKE) $(SANITIZED) E2E="$(E2E_ASAN)" unit e2e
asan-alone:
	$(ASAN) E2E_ONLY=alone $(MAKE) $(SANITIZED) E2E="$(E2E_ASAN)" e2e

# Killed, and given errors, at every single call that writes.
.PHONY: faults
faults: $(UNIT_KILL) $(B)/satchel $(B)/tests/faults/faults
	SATCHEL_FAULT_STRIDE=1 tests/run-unit $(UNIT_KILL)
	KILL_STRIDE=1 $(MAKE) e2e E2E="$(filter tests/e2e/kill/40%,$(E2E_ALL))"
	$(B)/tests/faults/faults $(if $(POINTS),--points $(POINTS)) $(if $(SEED),--seed $(SEED))

# The pools of threads and the watcher under ThreadSanitizer, with their own build directory.  A fixed layout of memory,
# because older ThreadSanitizers want one.
TSAN_UNIT := $(filter $(addprefix $(B)/tests/unit/,core/os/os_workers core/tree/scan bundler/pack/pack bundler/outbox/% \
	     applier/apply/apply watcher/%),$(UNIT))
# A hundred thousand calls and a thousand applies beside somebody who exchanges names without pause; make check does a few.
.PHONY: races
races: $(B)/tests/unit/applier/apply/apply_hostile
	SATCHEL_RACES=100000 tests/run-unit $<

.PHONY: tsan tsan-run
tsan:
	$(MAKE) B=$(B)/tsan SAN=thread CFLAGS="-O1 -g" $(FORKED) tsan-run
tsan-run: $(TSAN_UNIT)
	TSAN_OPTIONS="die_after_fork=0" setarch -R tests/run-unit $(TSAN_UNIT)

# An independent reader of YAML and validator of JSON Schema agrees with the decoders.
$(B)/tests/schemas/decode: tests/schemas/decode.c $(B)/libsatchel.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -MF $@.d -o $@ $< $(B)/libsatchel.a $(ALL_LDFLAGS) $(PKG_LIBS)

schemas-check: $(B)/tests/schemas/decode
	$(PYTHON) -B tests/schemas/generator
	$(PYTHON) -B tests/schemas/agree $<

# A short run of every fuzz target; FUZZ_SECONDS=3600 for a long one.
FUZZ_SECONDS ?= 5
$(B)/tests/fuzz/%: tests/fuzz/%.c $(B)/asan/libsatchel.a
	@mkdir -p $(@D)
	$(call say,FUZZ,$@)
	$(Q)clang -std=c17 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DSATCHEL_VERSION='"$(VERSION)"' -I. -I$(B)/asan/gen $(PKG_CFLAGS) -pthread -O1 -g \
	    -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -o $@ $< $(B)/asan/libsatchel.a $(PKG_LIBS)

fuzz:
	$(MAKE) $(SANITIZED) lib
	$(MAKE) $(FUZZ)
	FUZZ_SECONDS=$(FUZZ_SECONDS) tests/run-fuzz $(FUZZ)

lint: format warnings lints

# What reads the sources, and whether each of them finds what it is there for.
lints:
	tests/lint/rooms
	tests/lint/tables
	tests/lint/docstrings
	tests/lint/spdx
	tests/lint/words
	tests/lint/named-tests
	tests/lint/check
	printf "%s\\0" $(SHELL_FILES) | xargs -0 -n 12 -P 2 shellcheck -x -S warning
	mandoc -T lint -W warning man/*.[1-8]

format:
	clang-format --dry-run -Werror $(C_FILES)

# Both compilers, every warning an error.  gcc sees some only when it optimises; clang sees all of its own without.
warnings: warnings-clang
	$(MAKE) B=$(B)/lint-gcc CC=gcc CFLAGS="-O2 -Werror" $(B)/lint-gcc/satchel

warnings-clang:
	$(MAKE) B=$(B)/lint-clang CC=clang CFLAGS="-O0 -Werror" $(B)/lint-clang/satchel

# cppcheck loses the thread at a cast to __typeof__.
analyze:
	cppcheck --quiet --error-exitcode=1 --std=c11 --inline-suppr --enable=warning,portability -I. -DSATCHEL_VERSION='"x"' '-D__typeof__(x)=void *' \
	    --suppress=missingIncludeSystem --suppressions-list=tests/lint/cppcheck.txt -j2 core bundler applier watcher cli

deps:
	packaging/install-deps $(DEPS)

# The README's test command.
check:
	packaging/install-deps build test deb parts
	$(MAKE) -j$(JOBS) check-run

# As lint, but each compiler's warnings are seen in what is built anyway: gcc's in the program as it is shipped, clang's
# in the one under the sanitizers.
check-run:
	$(MAKE) CFLAGS="$(CFLAGS) -Werror" all format lints schemas-check analyze
	UNIT_JOBS=3 $(MAKE) asan UNIT_LEFT="$(notdir $(UNIT_MANY) $(filter %/sync_seal_kill,$(UNIT_KILL)))"
	$(MAKE) check-alone check-beside

# Tests that are about time, or watch what is mounted, mostly wait.  What only computes runs beside them.
.PHONY: check-alone check-beside asan-alone
check-alone:
	$(MAKE) asan-alone
	E2E_ONLY=alone $(MAKE) e2e E2E="$(E2E_PLAIN)"
check-beside:
	E2E_ONLY=together $(MAKE) e2e E2E="$(E2E_PLAIN)"
	$(MAKE) unit UNIT="$(UNIT_KILL) $(UNIT_MANY)"
	$(MAKE) proof-short
	FUZZ_SECONDS=3 $(MAKE) fuzz

# How much of the library and of the program the tests reach: unit tests and the end-to-end tests that run beside each
# other, in build/coverage.  Prints lines and branches; build/coverage/index.html says which.  Left out is one that looks at
# every file that is touched, because what counts writes files of its own.
COVERAGE := $(B)/coverage
coverage:
	packaging/install-deps build test coverage
	E2E_ONLY=together $(MAKE) -j$(JOBS) B=$(COVERAGE) CFLAGS="-O0 -g --coverage -fprofile-update=atomic" LDFLAGS=--coverage E2E="$(filter-out tests/e2e/transport/% tests/e2e/kill/% tests/e2e/hostile/304-%,$(E2E_ALL))" unit e2e
	gcovr --root . --object-directory $(COVERAGE) --exclude 'tests/' --exclude '$(B)/' --exclude-unreachable-branches \
	    --gcov-ignore-parse-errors --html-details $(COVERAGE)/index.html --print-summary > $(COVERAGE)/summary.txt
	tail -n 3 $(COVERAGE)/summary.txt

# compile_commands.json, for editors and analysers: a build of everything, watched by bear.
compile-commands:
	packaging/install-deps build test dev
	rm -rf $(B)/commands
	bear --output compile_commands.json -- $(MAKE) -j$(JOBS) B=$(B)/commands CFLAGS=-O0 all $(patsubst $(B)/%,$(B)/commands/%,$(UNIT))

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

# Whole commands in this process's children, with a clock, randomness and writing calls of ours: tests/seam.  The program's
# main has another name there, and its one call of syscall(2) that can write comes by.
SEAM_OBJ := $(patsubst %.c,$(B)/%.o,$(wildcard tests/seam/*.c)) $(B)/tests/seam/main.o $(B)/tests/seam/beneath.o
$(B)/tests/seam/main.o: $(B)/cli/main.o
	@mkdir -p $(@D)
	$(Q)objcopy --redefine-sym main=satchel_main $< $@
$(B)/tests/seam/beneath.o: $(B)/core/os/beneath.o
	@mkdir -p $(@D)
	$(Q)objcopy --redefine-sym syscall=seam_syscall $< $@

# Months of sites, sticks, people and faults, from one seed each: tests/sim/life.c says how to call it.
LIFE_OBJ := $(patsubst %.c,$(B)/%.o,$(filter-out tests/sim/watchers.c,$(wildcard tests/sim/*.c)))
$(B)/tests/sim/life: $(LIFE_OBJ) $(SEAM_OBJ) $(filter-out $(B)/cli/main.o,$(CLI_OBJ)) $(B)/libsatchel.a
	$(call say,SIM,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS)

# What a power cut can leave of a run: tests/crash/crash.c says how to call it.
CRASH_OBJ := $(patsubst %.c,$(B)/%.o,$(wildcard tests/crash/*.c)) $(filter-out %/life.o %/moves.o %/harm.o,$(LIFE_OBJ))
$(B)/tests/crash/crash: $(CRASH_OBJ) $(SEAM_OBJ) $(filter-out $(B)/cli/main.o,$(CLI_OBJ)) $(B)/libsatchel.a
	$(call say,TEST,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS)

# Errors, kills and a lack of memory at every call: tests/faults/faults.c says how to call it.
$(B)/tests/faults/faults: $(B)/tests/faults/faults.o $(filter-out %/crash.o,$(CRASH_OBJ)) $(SEAM_OBJ) $(filter-out $(B)/cli/main.o,$(CLI_OBJ)) $(B)/libsatchel.a
	$(call say,TEST,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS)

.PHONY: crash
crash: $(B)/tests/crash/crash
	$(B)/tests/crash/crash $(if $(STATES),--states $(STATES)) $(if $(SEED),--seed $(SEED))

# The short forms of both, of fixed seeds, for make check.
.PHONY: proof-short
proof-short: $(B)/tests/sim/life $(B)/tests/crash/crash $(B)/tests/faults/faults
	$(B)/tests/sim/life --seeds 4 --steps 40 --seed 1
	$(B)/tests/crash/crash --states 6
	$(B)/tests/faults/faults --points 6

SEEDS	?= 300
STEPS	?= 200
sim: $(B)/tests/sim/watchers $(B)/tests/sim/life
	$(if $(SEED),,$(B)/tests/sim/watchers)
	$(B)/tests/sim/life $(if $(SEED),--seed $(SEED),--seeds $(SEEDS)) --steps $(STEPS)

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

# The Debian package, in build/deb; tested by tests/e2e/package/900-package.
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

-include $(LIB_OBJ:.o=.d) $(SEAM_OBJ:.o=.d) $(LIFE_OBJ:.o=.d) $(CRASH_OBJ:.o=.d) $(CLI_OBJ:.o=.d) $(TEST_OBJ:.o=.d) $(UNIT:=.d)

clean:
	rm -rf $(B)
