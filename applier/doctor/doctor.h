/* SPDX-License-Identifier: ISC */
/*
 * The doctor of a workstation: everything that is wrong with it or soon will be, with its remedy.
 * Nothing is changed, and no lock is taken.
 */
#ifndef SATCHEL_APPLIER_DOCTOR_DOCTOR_H
#define SATCHEL_APPLIER_DOCTOR_DOCTOR_H

#include "core/base/finding.h"
#include "core/base/reporter.h"

/**
 * station_examine(dir, reporter, f): every check, told to ${f}; ${dir} as for station_open.  A
 * workstation that cannot be opened is one finding, and the end of it.  ${reporter} may be NULL.
 */
void station_examine(const char *dir, struct reporter *reporter, struct findings *f);

#endif
