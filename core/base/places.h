/* SPDX-License-Identifier: ISC */
/*
 * Where things lie on a machine that nobody told otherwise.
 */
#ifndef SATCHEL_CORE_BASE_PLACES_H
#define SATCHEL_CORE_BASE_PLACES_H

/* What the owner of the machine writes: server.yaml, workstation.yaml. */
#define PLACE_CONFIG "/etc/satchel"
/* The state of the workstation, and what it hands out to accounts. */
#define PLACE_STATION "/var/lib/satchel"
#define PLACE_HANDOUT "/var/lib/satchel-handout"

#endif
