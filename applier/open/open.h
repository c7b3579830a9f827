/* SPDX-License-Identifier: ISC */
/*
 * A workstation, opened: configuration, state directory, and the database with the tables of every
 * room of the workstation.
 */
#ifndef SATCHEL_APPLIER_OPEN_OPEN_H
#define SATCHEL_APPLIER_OPEN_OPEN_H

#include "applier/station/station.h"

enum station_flags { STATION_LOCK = 1 << 0, STATION_CREATE = 1 << 1 };

/**
 * station_open(dir, flags, reporter, ret, err):
 * ${dir} is -w DIR (DIR/workstation.yaml, DIR/state), NULL for /etc/satchel/workstation.yaml and
 * /var/lib/satchel.  STATION_CREATE makes what is missing: a commented workstation.yaml (root: is
 * DIR/root with -w DIR, "/" without), the state directory 0700, the database.  Errors: RC_STATE
 * (nothing here; a database that is gone while keys or trees are there; one that is older than
 * what this machine did), RC_MALFORMED (workstation.yaml), RC_POLICY (files that others could
 * write), RC_BUSY with STATION_LOCK.
 */
int station_open(const char *dir, enum station_flags flags, struct reporter *reporter,
		 struct station **ret, struct err *err);

#endif
