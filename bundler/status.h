/*
 * Status: one honest colour for every workstation, from verified receipts only.  The rules are one
 * table (colour_rules in status.c), first match wins, in its order of precedence.
 */
#ifndef SATCHEL_BUNDLER_STATUS_H
#define SATCHEL_BUNDLER_STATUS_H

#include "bundler/site.h"

enum colour {
	COLOUR_GREY,
	COLOUR_BLUE,
	COLOUR_RED,
	COLOUR_ORANGE,
	COLOUR_GREEN,
	COLOUR_PURPLE,
	COLOURS
};
extern const char *const colour_names[COLOURS];

struct status_channel {
	char name[CHANNEL_NAME];
	uint64_t held, wanted; /* generations */
	bool tree_equal;
};
struct status_workstation {
	char name[128];
	char id[WORKSTATION_ID + 1]; /* "" before it enrolled */
	enum colour colour;
	char reason[512];               /* why it is not green; "" when it is */
	char also[512];                 /* further reasons, "; " between them */
	struct status_channel *channel; /* owned by the callback's caller; valid during the call */
	size_t channels;
	int64_t heard;    /* seconds since 1970, 0: never */
	uint64_t receipt; /* sequence */
	char version[32];
};
/** status_workstations(s, each, arg, err): ascending by name. */
int status_workstations(struct site *s,
			int (*each)(void *arg, const struct status_workstation *w, struct err *err),
			void *arg, struct err *err);

struct status_site {
	char name[256];
	struct digest id;
	uint64_t trust, beat;
	int64_t beat_issued, beat_expires;
	uint64_t channels, workstations, held_requests, events, unposted;
	uint64_t by_colour[COLOURS];
};
int status_site(struct site *s, struct status_site *ret, struct err *err);
/** status_events(s, max, each, arg, err): newest first. */
int status_events(struct site *s, unsigned max,
		  int (*each)(void *arg, int64_t at, const char *kind, const char *about,
			      const char *text, struct err *err),
		  void *arg, struct err *err);
/** status_requests(s, each, arg, err): held requests: id, name it calls itself, when. */
int status_requests(struct site *s,
		    int (*each)(void *arg, const char *id, const char *name, int64_t at,
				struct err *err),
		    void *arg, struct err *err);

#endif
