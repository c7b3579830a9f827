/* SPDX-License-Identifier: ISC */
/*
 * The policy as it counts on this machine: what is applied of the server's word, joined with what
 * the owner allows, and what it makes of the clock.
 */
#include "applier/private/policy.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "applier/private/private.h"
#include "core/base/clock.h"
#include "core/base/own.h"

void station_policy_clear(struct station_policy *p)
{
	effective_clear(&p->effective);
	memset(p, 0, sizeof(*p));
}

static void policy_default(const struct station *s, struct station_policy *p)
{
	memset(p, 0, sizeof(*p));
	policy_init(&p->effective.policy);
	policy_settings_init(&p->effective.policy.settings);
	p->local = s->local_owner;
}

/* 1: the server has said something. */
static int policy_read(struct station *s, struct station_policy *p, struct err *err)
{
	OWNED(private_close) struct private_tree t = PRIVATE_TREE_INIT;
	OWNED(buf_clear) struct buf text = BUF_INIT;
	uint64_t generation;
	int rc = private_generation(s, &generation, err);

	if (rc < 0 || generation == 0)
		return rc;
	rc = private_open(s, &t, err);
	if (rc == 0)
		rc = private_digest(&t, "policy.yaml", &p->digest, err);
	if (rc == 1)
		rc = private_read(&t, "policy.yaml", &text, err);
	else if (rc == 0)
		return 0;
	if (rc == 0)
		rc = effective_decode(bytes_in(&text), "policy.yaml", &p->effective, err);
	return rc < 0 ? rc : 1;
}

static void local_choose(const struct station *s, struct station_policy *p)
{
	static const enum local_answer answers[] = {[POLICY_LOCAL_REPLACE] = LOCAL_REPLACE,
						    [POLICY_LOCAL_KEEP] = LOCAL_KEEP,
						    [POLICY_LOCAL_FAIL] = LOCAL_FAIL};
	uint64_t choice = p->effective.policy.settings.local_changes;

	if (choice == POLICY_LOCAL_OWNER || choice >= ARRAY_LEN(answers))
		return;
	if (s->local_allowed & (1u << answers[choice]))
		p->local = answers[choice];
	else
		p->local_refused = true;
}

int station_policy(struct station *s, struct station_policy *ret, struct err *err)
{
	int rc;

	policy_default(s, ret);
	rc = policy_read(s, ret, err);
	if (rc < 0) {
		effective_clear(&ret->effective);
		policy_default(s, ret);
		return rc;
	}
	local_choose(s, ret);
	return 0;
}

int station_policy_file(struct station *s, struct digest *ret, struct err *err)
{
	OWNED(private_close) struct private_tree t = PRIVATE_TREE_INIT;
	uint64_t generation;
	int rc = private_generation(s, &generation, err);

	memset(ret, 0, sizeof(*ret));
	if (rc < 0 || generation == 0)
		return rc;
	rc = private_open(s, &t, err);
	return rc < 0 ? rc : private_digest(&t, "policy.yaml", ret, err);
}

static int windows_text(const struct policy_settings *p, struct buf *ret, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < p->windows && i < 8; i++)
		rc = buf_printf(ret, err, "%s%02d:%02d-%02d:%02d", i > 0 ? ", " : "",
				p->window[i].from / 60, p->window[i].from % 60,
				p->window[i].to / 60, p->window[i].to % 60);
	return rc == 0 && p->windows > 8 ? buf_text(ret, ", ...", err) : rc;
}

/* Of the local day; a clock that cannot be told keeps nothing waiting. */
static bool minute_open(const struct policy_settings *p, time_t at)
{
	struct tm local;

	return localtime_r(&at, &local) == NULL ||
	       policy_window_open(p, (unsigned)(local.tm_hour * 60 + local.tm_min));
}

int64_t policy_opens(const struct policy_settings *p)
{
	time_t now = (time_t)clock_now(), at = now;

	while (!minute_open(p, at) && at < now + 2 * 86400) /* a day may have 25 hours */
		at += 60 - at % 60;
	return at - now;
}

int policy_open(const struct policy_settings *p, struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;

	if (minute_open(p, (time_t)clock_now()))
		return 0;
	if (windows_text(p, &text, err) < 0)
		return err->rc;
	return err_set(err, RC_AGAIN,
		       "the policy lets channels be applied %s (satchel apply --now goes ahead)",
		       (const char *)text.p);
}
