/* SPDX-License-Identifier: ISC */
/*
 * What opening, making and setting a site share.
 */
#ifndef SATCHEL_BUNDLER_SITE_SITE_INTERNAL_H
#define SATCHEL_BUNDLER_SITE_SITE_INTERNAL_H

#include "bundler/site/site.h"

#define SITE_REGISTRY "registry.db"

#define SITE_BEAT_HOURS     168 /* a week: a stick that is carried every few days stays fresh */
#define SITE_SILENT_HOURS   168
#define SITE_SYNC_MINUTES   60
#define SITE_JITTER_PERCENT 10
#define SITE_WARNING_DAYS   30 /* a month to buy what ends */

/** site_begin(s, dir, err): the first steps of opening: the directory of the documents, and
 * site.yaml.  ${s} is all zero, and the caller's to free. */
int site_begin(struct site *s, const char *dir, struct err *err);
/** registry_open(path, ret, err): the database with the tables of every room, made or brought up
 * to date. */
int registry_open(const char *path, struct db **ret, struct err *err);
/** site_registry_path(state, ret, err): of the registry, an owned string. */
int site_registry_path(const char *state, char **ret, struct err *err);

#endif
