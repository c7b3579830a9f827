/* SPDX-License-Identifier: ISC */
/*
 * What the commands of a server share.
 */
#ifndef SATCHEL_CLI_SERVER_SERVER_H
#define SATCHEL_CLI_SERVER_SERVER_H

#include "bundler/documents/site_model.h"
#include "bundler/site/site.h"
#include "cli/frame/server_open.h"

/** server_no_channel(s, name, err): RC_USAGE: there is no such channel, and which one was probably
 * meant. */
int server_no_channel(struct site *s, const char *name, struct err *err);
/** channel_seal_check(s, name, err): can everybody read the channel, which is sealed in ${s}, when
 * it is?  RC_CONFLICT: not so; the sentence says who. */
int channel_seal_check(struct site *s, const char *name, struct err *err);
/** server_publish(cli, s, args, err): publish the channels that ${args} name, or all, and print a
 * line for each.  ${s} is open with SITE_LOCK.  Errors: as publish_site. */
int server_publish(struct cli *cli, struct site *s, const struct args *args, struct err *err);
/** server_collect(cli, s, err): read the inbox, and print what it brought.  ${s} is open with
 * SITE_LOCK.  Errors: as collect_site. */
int server_collect(struct cli *cli, struct site *s, struct err *err);

/* Rings as options: WHO[,N[,HOURS]], one option for each. */
struct channel_rings {
	struct site_ring ring[SITE_RINGS];
	char *to[SITE_RINGS];
	char text[SITE_RINGS][WORKSTATION_NAME + 8];
};
/** channel_rings_take(c, args, rings, err): the rings that the options say, in the place of those
 * of
 * ${c}, which borrows from ${rings}; as they were when there is no such option.  RC_USAGE. */
int channel_rings_take(struct site_channel *c, const struct args *args, struct channel_rings *rings,
		       struct err *err);

#endif
