/* SPDX-License-Identifier: ISC */
/*
 * Inside of the guard over sources.
 */
#ifndef SATCHEL_BUNDLER_SOURCE_SITE_SOURCE_INTERNAL_H
#define SATCHEL_BUNDLER_SOURCE_SITE_SOURCE_INTERNAL_H

#include "bundler/source/site_source.h"
#include "core/base/digest.h"
#include "core/os/dir_id.h"

/* The file in which the owner of a server lists where sources may come from. */
#define SOURCE_CONFIG "server.yaml"

/* A directory that no source may be or hold; nor lie in, unless it is one that people may keep
 * sources in (that of the documents). */
struct site_source_place {
	struct dir_id id;
	const char *what; /* "the state of the site" */
	char *path;       /* owned */
	bool inside;      /* nor lie in */
};

/* A directory above such a place: a source that is this one holds it. */
struct site_source_above {
	struct dir_id id;
	size_t place;
};

/* A file that is secret whatever directory a hard link to it lies in. */
struct site_source_secret {
	struct dir_id id;
	uint64_t size;
	bool has_digest;      /* of small files, so that copies are known as well */
	struct digest digest; /* of the content */
	char *path;           /* owned */
};

/* A directory that sources may come from. */
struct site_source_root {
	char *path;       /* owned */
	bool there;       /* it could be opened */
	struct dir_id id; /* when it is there */
	size_t list;      /* which list it is in */
};

/* Every list that there is must allow a source. */
struct site_source_roots {
	LIST(struct site_source_root) root;
	struct strings file; /* the lists, by the paths of their files */
};

struct site_source_guard {
	LIST(struct site_source_place) place;
	LIST(struct site_source_above) above;
	LIST(struct site_source_secret) secret; /* ascending by id */
	struct site_source_roots roots;
};

/**
 * site_source_roots_load(s, ret, err): the lists `sources:` of /etc/satchel/server.yaml, when that
 * is about this site, and of server.yaml in its state.  RC_MALFORMED; RC_CONFLICT: the one in the
 * state is about another site; RC_IO.
 * site_source_roots_clear(r): release them.
 */
int site_source_roots_load(struct site *s, struct site_source_roots *ret, struct err *err);
void site_source_roots_clear(struct site_source_roots *r);
/** site_source_roots_check(r, above, err): does every list hold one of these directories?
 * RC_POLICY. */
int site_source_roots_check(const struct site_source_roots *r, const struct dir_ids *above,
			    struct err *err);

/** site_source_key_name(name): is a file of that name to be looked into, as a key? */
bool site_source_key_name(const char *name);

/**
 * site_source_sign_names(fd, names, n, ret): does the listing of an opened directory show that it
 * holds somebody's secrets or a depot?  1, and ${ret} says it: "it holds NAME, WHAT"; else 0.
 */
#define SOURCE_SIGN 512
extern const char *const site_source_databases[2]; /* names of databases of ours */
int site_source_sign_names(int fd, const char *const *names, size_t n, char ret[SOURCE_SIGN]);
/** site_source_sign_above(fd, below, ret): the same for a directory above a source, by the names
 * that such directories have; ${below} (may be NULL) is the one on the way down to the source. */
int site_source_sign_above(int fd, const struct dir_id *below, char ret[SOURCE_SIGN]);

#endif
