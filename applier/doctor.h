/*
 * The doctor of a workstation: everything that is wrong with it or soon will be, with its remedy.
 * Nothing is changed, and no lock is taken.
 */
#ifndef SATCHEL_APPLIER_DOCTOR_H
#define SATCHEL_APPLIER_DOCTOR_H

#include "core/base/finding.h"
#include "core/base/say.h"

/** station_examine(dir, say, f): ${dir} as for station_open; a workstation that cannot be opened is
 * one finding, and the end of it. */
void station_examine(const char *dir, struct say *say, struct findings *f);

#endif
