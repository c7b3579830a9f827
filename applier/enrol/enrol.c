/* SPDX-License-Identifier: ISC */
/*
 * Joining a site: its trust chain is found and checked by the code, keys are made, and the request
 * is written.  A workstation that was decommissioned forgets its former life first.
 */
#include "applier/enrol/enrol.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "applier/activation/activation.h"
#include "applier/follow/follow.h"
#include "applier/follow/incomplete.h"
#include "applier/handout/handout.h"
#include "applier/messages/messages.h"
#include "applier/private/private.h"
#include "applier/report/event.h"
#include "applier/report/outbox.h"
#include "applier/report/report.h"
#include "applier/station/station_config.h"
#include "applier/station/station_state.h"
#include "applier/trees/tree.h"
#include "applier/verify/verify.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/base/secret.h"
#include "core/os/wipe.h"
#include "core/trust/code.h"

struct enrol {
	struct station *s;
	struct invite *invite; /* owned, in secret memory; NULL: not invited */
	struct digest pinned;  /* a trust document's, when not invited */
	char name[128];
	char id[WORKSTATION_ID + 1];
	struct depot *depot;       /* owned */
	struct follow_chain chain; /* owned */
	struct key_secret *sign;   /* owned */
	struct key_secret *seal;   /* owned */
	struct key_secret *codes;  /* owned */
};

static void enrol_clear(struct enrol *e)
{
	depot_free(e->depot);
	follow_chain_clear(&e->chain);
	key_free(e->sign);
	key_free(e->seal);
	key_free(e->codes);
	secret_free(e->invite);
}

static int code_read(struct enrol *e, const char *code, struct err *err)
{
	char lower[DIGEST_HEX + 1] = "";

	for (size_t i = 0; i < DIGEST_HEX && code[i] != '\0'; i++)
		lower[i] = (char)tolower((unsigned char)code[i]);
	if (strlen(code) == DIGEST_HEX && digest_parse(lower, &e->pinned, ERR_IGNORED) == 0)
		return 0;
	if (strlen(code) == DIGEST_HEX)
		return err_set(
		    err, RC_USAGE,
		    "the digest of the trust document is mistyped: it is 64 digits, 0 to "
		    "9 and a to f (satchel trust show)");
	e->invite = secret_new(sizeof(*e->invite));
	return e->invite == NULL ? err_memory(err) : invite_parse(code, e->invite, err);
}

static int name_set(struct enrol *e, const char *name, struct err *err)
{
	char host[128] = "";

	if (name == NULL) {
		if (gethostname(host, sizeof(host) - 1) < 0 || host[0] == '\0')
			snprintf(host, sizeof(host), "workstation");
		name = host;
	}
	if (strlen(name) >= sizeof(e->name))
		return err_set(err, RC_USAGE, "the name %.40s… is longer than 127 characters",
			       name);
	snprintf(e->name, sizeof(e->name), "%s", name);
	return 0;
}

/* Days are what people agreed on, so the sentence names the last good one. */
static int code_expired(const struct invite *in, struct err *err)
{
	char day[CLOCK_TEXT + 1];

	clock_format(day, in->last_day - 1);
	return err_set(err, RC_EXPIRED,
		       "this code was good until %.10s: ask for a new one (satchel invite)", day);
}

/*
 * A wrong clock must lock nobody out: the code is refused here only when what the site signed says
 * that the clock can be right; otherwise the server, which knows the day, decides.
 */
static int code_check(struct enrol *e, struct err *err)
{
	int rc;

	if (e->invite == NULL || clock_now() < e->invite->last_day)
		return 0;
	rc = follow_clock(e->depot, &e->chain.trust, clock_now(), err);
	if (rc == 1)
		return code_expired(e->invite, err);
	if (rc == 0)
		reporter_warning(e->s->reporter,
				 "the code has expired by this machine's clock, which is in "
				 "doubt; the server will decide");
	return rc;
}

/* 1: nothing to do.  One that the site has struck off may ask again, if it was invited again. */
static int membership_check(struct enrol *e, struct err *err)
{
	struct station *s = e->s;
	uint64_t generation;
	int rc;

	if (s->end == STATION_ENDS)
		return err_set(err, RC_STATE,
			       "the site %s is decommissioning this workstation, and that is not "
			       "finished: satchel sync continues it",
			       s->trust.name);
	if (!s->enrolled || s->end == STATION_WIPED)
		return 0;
	if (!digest_equal(&s->site, &e->chain.trust.site))
		return err_set(err, RC_CONFLICT,
			       "this workstation belongs to the site %s, the code is for the site "
			       "%s: use another directory (-w), or move %s away first",
			       s->trust.name, e->chain.trust.name, s->state);
	rc = private_generation(s, &generation, err);
	if (rc < 0 || generation == 0)
		return rc;
	rc = station_property_set(s, PROPERTY_UNLISTED, err);
	return rc < 0 ? rc : rc == 0;
}

static int membership_put(struct enrol *e, struct err *err)
{
	struct station *s = e->s;
	const struct follow_chain *c = &e->chain;
	int rc = station_membership_put(s, &c->trust.site, e->id, e->name, err);

	for (uint64_t v = s->trust.version + 1; rc == 0 && v <= c->doc.n; v++)
		rc = station_trust_put(s, v, bytes_in(&c->doc.items[v - 1]), err);
	return rc;
}

static void request_fill(const struct enrol *e, uint64_t sequence, struct request *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->site = e->chain.trust.site;
	snprintf(ret->kind, sizeof(ret->kind), "enrol");
	snprintf(ret->workstation, sizeof(ret->workstation), "%s", e->id);
	ret->sequence = sequence;
	ret->written = clock_now();
	snprintf(ret->name, sizeof(ret->name), "%s", e->name);
	ret->sign = key_public_of(e->sign);
	ret->seal = key_public_of(e->seal);
	ret->codes = key_public_of(e->codes);
	if (e->invite == NULL)
		return;
	invite_id(ret->invitation, e->invite->secret);
	ret->proof = invite_proof(e->invite->secret, &ret->site, &ret->sign, &ret->seal);
}

/* The same code again sends the same bytes again, unless the site has a new collect key. */
static int request_make(struct enrol *e, struct err *err)
{
	struct station *s = e->s;
	const struct key_public *collect = trust_collect(&e->chain.trust);
	OWNED(buf_clear) struct buf was = BUF_INIT, inner = BUF_INIT;
	struct request r;
	char what[40], to[17];
	uint64_t sequence, waiting = 0;
	int rc;

	if (collect == NULL)
		return err_set(err, RC_MALFORMED, "the site %s has no collect key",
			       e->chain.trust.name);
	request_fill(e, 0, &r);
	key_seal_id(to, collect);
	snprintf(what, sizeof(what), "%s %s", r.invitation, to);
	rc = station_property_get(s, PROPERTY_REQUEST, &was, err);
	if (rc >= 0 && outbox_count(s, OUTBOX_REQUEST, &waiting, err) < 0)
		rc = err->rc;
	if (rc < 0 || (rc == 1 && waiting > 0 && bytes_equal(bytes_in(&was), bytes_of(what))))
		return rc < 0 ? rc : 0;
	rc = station_next(s, COUNTER_REQUEST, &sequence, err);
	if (rc < 0)
		return rc;
	r.sequence = sequence;
	rc = request_encode(&r, &inner, err);
	if (rc == 0)
		rc = outbox_put(s, OUTBOX_REQUEST, sequence, bytes_in(&inner), e->sign, e->id,
				collect, err);
	return rc < 0 ? rc : station_property_put(s, PROPERTY_REQUEST, bytes_of(what), err);
}

/* From now on it counts how long the sealing key is used; the same request again changes nothing.
 */
static int seal_made(struct station *s, struct err *err)
{
	int rc = station_property_set(s, PROPERTY_SEAL_MADE, err);

	return rc != 0 ? (rc < 0 ? rc : 0)
		       : station_property_put_number(s, PROPERTY_SEAL_MADE,
						     (uint64_t)station_now(s), err);
}

int enrol_forget(struct station *s, const struct digest *site, struct err *err)
{
	static int (*const forget[])(struct station * s, struct err * err) = {
	    tree_forget_all, incomplete_forget,  handout_forget, event_forget,
	    messages_forget, activations_forget, outbox_forget,
	};
	int rc = station_forget(s, site, err);

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(forget); i++)
		rc = forget[i](s, err);
	return rc < 0 ? rc : verify_forget(s, NULL, err);
}

static int enrol_commit(struct enrol *e, struct err *err)
{
	struct station *s = e->s;
	OWNED(db_tx_end) struct db_tx tx = {0};
	int rc = db_tx_begin(&tx, s->db, err);

	if (rc == 0 && s->end == STATION_WIPED)
		rc = enrol_forget(s, &e->chain.trust.site, err);
	if (rc == 0)
		rc = membership_put(e, err);
	if (rc == 0)
		rc = request_make(e, err);
	if (rc == 0)
		rc = seal_made(s, err);
	if (rc == 0)
		rc = db_tx_commit(&tx, err);
	if (rc < 0)
		return rc;
	s->enrolled = true;
	s->site = e->chain.trust.site;
	if (e->chain.trust.version > s->trust.version)
		s->trust = e->chain.trust;
	memcpy(s->id, e->id, sizeof(s->id));
	memcpy(s->name, e->name, sizeof(s->name));
	return 0;
}

static int enrol_run(struct enrol *e, const char *depot, struct err *err)
{
	const struct trust_pin pin = {.code = e->invite, .identity = &e->pinned};
	struct station *s = e->s;
	struct key_public sign;
	int rc = depot_open(depot, DEPOT_WRITE | DEPOT_VERIFY, LIMIT_DEPOT_SILENCE, &e->depot, err);

	if (rc == 0)
		rc = follow_first(e->depot, &pin, &e->chain, err);
	if (rc == 0)
		rc = membership_check(e, err);
	if (rc == 1) {
		rc = station_config_depot(s, depot, err);
		return rc < 0 ? rc : 1;
	}
	if (rc == 0)
		rc = code_check(e, err);
	if (rc == 0 && s->end == STATION_WIPED) /* a run may have been killed before it did so */
		rc = wipe_tree(s->statefd, "keys", err);
	if (rc == 0)
		rc = station_keys(s, STATION_KEYS_CREATE, &e->sign, &e->seal, err);
	if (rc == 0)
		rc = station_codes_make(s, &e->codes, err);
	if (rc < 0)
		return rc;
	sign = key_public_of(e->sign);
	workstation_id(e->id, &sign);
	rc = enrol_commit(e, err);
	if (rc < 0)
		return rc;
	if (outbox_post(s, e->depot, err) < 0)
		return err_prefix(err, "the request is made, but could not be put into the depot");
	/* Of a code that was typed by mistake, before somebody collects it. */
	report_prune(s, e->depot, ERR_IGNORED);
	return station_config_depot(s, depot, err);
}

int station_enrol(struct station *s, const char *code, const char *depot, const char *name,
		  struct err *err)
{
	OWNED(enrol_clear) struct enrol e = {.s = s};
	OWNED(freep) char *path = NULL;
	int rc = code_read(&e, code, err);

	if (rc == 0)
		rc = name_set(&e, name, err);
	if (rc == 0)
		rc = station_absolute(depot, &path, err);
	return rc < 0 ? rc : enrol_run(&e, path, err);
}
