/* SPDX-License-Identifier: ISC */
/*
 * Other sites, workstations and depots are known by what lies in them: a database of ours, a secret
 * key of ours, the marker of a depot.  Files are looked into, since many programs have a state.db.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "bundler/source/site_source_internal.h"
#include "core/base/own.h"
#include "core/depot/marker.h"
#include "core/os/beneath.h"
#include "core/os/durable.h"
#include "core/trust/secret_sign.h"

/* What the marker of every depot begins with (core/depot/marker.c). */
#define MARKER_START "satchel: depot/"

const char *const site_source_databases[2] = {"registry.db", "state.db"};

static const char *marker_sign(int fd)
{
	OWNED(fd_closep) int marker = beneath_file(fd, MARKER, NULL, ERR_IGNORED);
	uint8_t head[sizeof(MARKER_START) - 1];

	if (marker < 0 || fd_pread(marker, head, sizeof(head), 0, ERR_IGNORED) < 0 ||
	    memcmp(head, MARKER_START, sizeof(head)) != 0)
		return NULL;
	return "the marker of a depot";
}

static int sign_text(const char *name, const char *what, char ret[SOURCE_SIGN])
{
	if (what == NULL)
		return 0;
	snprintf(ret, SOURCE_SIGN, "it holds %s, %s", name, what);
	return 1;
}

bool site_source_key_name(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot != NULL && strcmp(dot, ".key") == 0;
}

static const char *name_sign(int fd, const char *name)
{
	if (strcmp(name, MARKER) == 0)
		return marker_sign(fd);
	for (size_t i = 0; i < ARRAY_LEN(site_source_databases); i++)
		if (strcmp(name, site_source_databases[i]) == 0)
			return secret_sign_file(fd, name);
	return site_source_key_name(name) ? secret_sign_file(fd, name) : NULL;
}

int site_source_sign_names(int fd, const char *const *names, size_t n, char ret[SOURCE_SIGN])
{
	for (size_t i = 0; i < n; i++)
		if (sign_text(names[i], name_sign(fd, names[i]), ret) > 0)
			return 1;
	return 0;
}

/* The keys of users lie in the clear beside the state of a workstation that has one directory. */
static int handout_sign(int fd, const struct dir_id *below, char ret[SOURCE_SIGN])
{
	OWNED(fd_closep) int state = beneath_dir(fd, "state", ERR_IGNORED);
	OWNED(fd_closep) int handout = beneath_dir(fd, "handout", ERR_IGNORED);
	struct dir_id id;

	if (below == NULL || state < 0 || handout < 0 || dir_id(handout, &id, ERR_IGNORED) < 0 ||
	    dir_id_compare(&id, below) != 0 || secret_sign_file(state, "state.db") == NULL)
		return 0;
	snprintf(ret, SOURCE_SIGN, "it holds the hand-out of a workstation");
	return 1;
}

int site_source_sign_above(int fd, const struct dir_id *below, char ret[SOURCE_SIGN])
{
	for (size_t i = 0; i < ARRAY_LEN(site_source_databases); i++)
		if (sign_text(site_source_databases[i],
			      secret_sign_file(fd, site_source_databases[i]), ret) > 0)
			return 1;
	return sign_text(MARKER, marker_sign(fd), ret) > 0 || handout_sign(fd, below, ret) > 0;
}
