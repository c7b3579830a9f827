# satchel: `make` builds, `make demo` shows, `make check` tests, `make install` installs.
# Variables a packager may set: PREFIX, DESTDIR, CC, CFLAGS, LDFLAGS, B (the build directory).

VERSION	:= 0.1.0
PREFIX	?= /usr/local
BINDIR	?= $(PREFIX)/bin
MANDIR	?= $(PREFIX)/share/man
COMPDIR	?= $(PREFIX)/share/bash-completion/completions
SHAREDIR ?= $(PREFIX)/share/satchel
B	?= build
PYTHON	?= /usr/bin/python3
CFLAGS	?= -O2 -g

PKGS	:= libarchive libsodium libzstd yaml-0.1 sqlite3 libseccomp
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null)
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
UNIT	:= $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(wildcard tests/unit/*.c))
FUZZ	:= $(patsubst tests/fuzz/%.c,$(B)/tests/fuzz/%,$(wildcard tests/fuzz/*.c))

.PHONY: all lib unit e2e check lint asan fuzz bench demo deps install clean analyze schemas-check
.DELETE_ON_ERROR:
.SECONDARY:

all: $(B)/satchel

lib: $(B)/libsatchel.a

$(B)/satchel: $(CLI_OBJ) $(B)/libsatchel.a
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS)

$(B)/libsatchel.a: $(LIB_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/gen/schemas.c: schemas/generate.py schemas/pattern.py $(SCHEMAS)
	@mkdir -p $(@D)
	$(PYTHON) -B schemas/generate.py $(SCHEMAS) > $@

$(B)/gen/schemas.o: $(B)/gen/schemas.c
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# Tests

$(B)/tests/unit/%: tests/unit/%.c $(B)/libsatchel.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(shell pkg-config --cflags criterion) -MMD -MP -MF $@.d -o $@ $< $(B)/libsatchel.a \
	    $(ALL_LDFLAGS) $(shell pkg-config --libs criterion) $(PKG_LIBS)

unit: $(UNIT)
	tests/run-unit $(UNIT)

-include $(LIB_OBJ:.o=.d) $(CLI_OBJ:.o=.d) $(UNIT:=.d)

clean:
	rm -rf $(B)
