/* SPDX-License-Identifier: ISC */
/*
 * Rings as people see them, in the overview and of one channel.
 */
#ifndef SATCHEL_CLI_STATUS_ROLLOUT_H
#define SATCHEL_CLI_STATUS_ROLLOUT_H

#include "bundler/publish/publish_rollout.h"
#include "cli/frame/show.h"

/**
 * rollout_active(r): is some ring ahead of others?
 * rollout_json(j, r): the fields released and rollout.
 * rollout_text(r, indent): a line for each ring; nothing when there are none.
 */
bool rollout_active(const struct publish_rollout *r);
void rollout_json(struct json *j, const struct publish_rollout *r);
void rollout_text(const struct publish_rollout *r, const char *indent);

#endif
