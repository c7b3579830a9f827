/* SPDX-License-Identifier: ISC */
/*
 * Collect: read receipts and requests from the home depot through confined processes, believe only
 * what a registered key signed, record, prune what was recorded.
 */
#ifndef SATCHEL_BUNDLER_COLLECT_COLLECT_H
#define SATCHEL_BUNDLER_COLLECT_COLLECT_H
#include "bundler/documents/site_model.h"

extern const struct db_schema collect_schema;

struct collect_counts {
	uint64_t files, receipts, requests, known, incomplete, refused;
	uint64_t enrolled;  /* workstations approved in this run */
	uint64_t activated; /* users made active */
	uint64_t messages;  /* that people, or workstations, have sent */
};
/**
 * collect_site(s, ret, err): everything in the inbox of the home depot, as far as one run goes;
 * files that were recorded are removed.  ${ret} is filled in also on failure.  The site is
 * locked.  Errors: those of site_depot_open; RC_IO, RC_TIMEOUT: the rest was recorded; RC_STATE.
 */
int collect_site(struct site *s, struct collect_counts *ret, struct err *err);

#endif
