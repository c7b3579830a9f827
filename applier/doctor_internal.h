/*
 * Inside of a workstation's doctor: the tables are in doctor.c, what the owner of the machine
 * decides is looked at in doctor_owner.c.
 */
#ifndef SATCHEL_APPLIER_DOCTOR_INTERNAL_H
#define SATCHEL_APPLIER_DOCTOR_INTERNAL_H

#include "applier/doctor.h"
#include "applier/station.h"

/* ${arg} of every check. */
struct patient {
	struct station *s;
	int64_t now;
};

void doctor_allow(void *arg, struct findings *f);
void doctor_hooks(void *arg, struct findings *f);
void doctor_handout(void *arg, struct findings *f);

#endif
