/* SPDX-License-Identifier: ISC */
/*
 * workstation.yaml: what the owner of this machine decides, and the spelling of paths in it.
 */
#ifndef SATCHEL_APPLIER_STATION_STATION_CONFIG_H
#define SATCHEL_APPLIER_STATION_STATION_CONFIG_H

#include "applier/station/station.h"

/** station_config_read(s, err): into ${s}, whose path is set.  RC_STATE (missing), RC_MALFORMED
 * (names the line), RC_POLICY (others could write it). */
int station_config_read(struct station *s, struct err *err);
/** station_config_create(s, root, err): a commented workstation.yaml when there is none. */
int station_config_create(const struct station *s, const char *root, struct err *err);
/** station_config_depot(s, path, err): add a depot; the rest of the text stays as it is. */
int station_config_depot(struct station *s, const char *path, struct err *err);

/** station_within(path, dir): is the absolute ${path} ${dir} itself or below it? */
bool station_within(const char *path, const char *dir);

/** station_absolute(path, ret, err): as the configuration spells paths: absolute, no ".", "..",
 * empty component, or "/" at the end.  The caller's. */
int station_absolute(const char *path, char **ret, struct err *err);

/** local_answer_text(answer): its word in workstation.yaml. */
const char *local_answer_text(enum local_answer answer);

#endif
