/*
 * The doctor of a server: everything that is wrong with a site or soon will be, with its remedy.
 * Nothing is changed, and no lock is taken.
 */
#ifndef SATCHEL_BUNDLER_DOCTOR_H
#define SATCHEL_BUNDLER_DOCTOR_H

#include "core/base/finding.h"
#include "core/base/say.h"

/** site_examine(dir, say, f): a site that cannot be opened is one finding, and the end of it. */
void site_examine(const char *dir, struct say *say, struct findings *f);

#endif
