/* SPDX-License-Identifier: ISC */
/*
 * The doctor of a server: everything that is wrong with a site or soon will be, with its remedy.
 * Nothing is changed, and no lock is taken.
 */
#ifndef SATCHEL_BUNDLER_DOCTOR_DOCTOR_H
#define SATCHEL_BUNDLER_DOCTOR_DOCTOR_H

#include "core/base/finding.h"
#include "core/base/reporter.h"

/**
 * site_examine(dir, reporter, f): every check of the site in ${dir}, told to ${f}; a site that
 * cannot be opened is one finding, and the end of it.  ${reporter} may be NULL.
 */
void site_examine(const char *dir, struct reporter *reporter, struct findings *f);

#endif
