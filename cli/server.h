/*
 * What the commands of a server share.
 */
#ifndef SATCHEL_CLI_SERVER_H
#define SATCHEL_CLI_SERVER_H

#include "bundler/site.h"
#include "cli/cli.h"

int server_open(struct cli *cli, enum site_flags flags, struct site **ret, struct err *err);
int server_no_channel(struct site *s, const char *name, struct err *err);
int server_publish(struct cli *cli, struct site *s, const struct args *args, struct err *err);
int server_collect(struct cli *cli, struct site *s, struct err *err);

/** server_consignments(cli, s, j, err): what is on the way and not confirmed: a line each, or the
 * member `consignments` of ${j}. */
struct json;
int server_consignments(struct cli *cli, struct site *s, struct json *j, struct err *err);

/** waiting_text(n): a line on requests that wait, when there are any. */
void waiting_text(uint64_t n);

#endif
