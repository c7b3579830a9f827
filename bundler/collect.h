/*
 * Collect: read receipts and requests from the home depot through a confined process, believe only
 * what a registered key signed, record, prune what was recorded.
 */
#ifndef SATCHEL_BUNDLER_COLLECT_H
#define SATCHEL_BUNDLER_COLLECT_H

#include "bundler/site.h"

struct collect_counts {
	uint64_t files, receipts, requests, known, incomplete, refused;
	uint64_t enrolled;  /* workstations approved in this run */
	uint64_t activated; /* users made active */
	uint64_t messages;  /* that people, or workstations, have sent */
};
int collect_site(struct site *s, struct collect_counts *ret, struct err *err);

#endif
