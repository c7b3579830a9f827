#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundler/consignment.h"
#include "core/base/own.h"
#include "core/depot/marker.h"

/* Names in one note. */
#define AGAIN 64

/* For whom a depot was carried to last time. */
struct again {
	uint64_t beat; /* that went onto it then */
	bool holds;    /* it is there still, so it is that depot and not another at the same path */
	char *text;    /* owned */
	char *who[AGAIN];
	size_t n;
};

static void again_clear(struct again *a)
{
	free(a->text);
}

/* What was made and is not in the home depot cannot be taken from it. */
static int unposted_say(struct site *s, struct err *err)
{
	int64_t n = 0;
	int rc = db_int(s->db, err, &n,
			"SELECT (SELECT count(*) FROM outbox WHERE posted = 0)"
			" + (SELECT count(*) FROM bundle WHERE posted = 0)",
			"");

	if (rc >= 0 && n > 0)
		say_warning(s->say,
			    "%lld files are made and not yet in the home depot: satchel publish "
			    "posts them; carry again then",
			    (long long)n);
	return rc < 0 ? rc : 0;
}

/* The depot at the other end, when one of both is the home depot; NULL: none is. */
static const char *other_end(struct site *s, const struct carry_result *r)
{
	if (site_depot_where(s, NULL) < 0 || s->depot_real[0] == '\0')
		return NULL;
	if (strcmp(s->depot_real, r->from_where) == 0)
		return r->to_where;
	return strcmp(s->depot_real, r->to_where) == 0 ? r->from_where : NULL;
}

static int note(struct site *s, const struct carry *c, const struct selection *sel,
		char *const *who, size_t n, const struct carry_result *r, struct err *err)
{
	const char *other = other_end(s, r);
	bool reached = other == r->to_where ? r->to.rc == 0 : r->from.rc == 0;

	if (other == NULL || other[0] == '\0' || (c->flags & CARRY_DRY_RUN) || !reached ||
	    r->beat == 0)
		return 0;
	return consignment_note(s, other, sel, who, n, r->beat, err);
}

static bool is_home(struct site *s, const char *path, int silence_s)
{
	OWNED(depot_freep) struct depot *d = NULL;
	OWNED(buf_clear) struct buf where = BUF_INIT;

	return site_depot_where(s, NULL) == 0 && s->depot_real[0] != '\0' &&
	       depot_open(path, 0, silence_s, &d, NULL) == 0 && depot_where(d, &where, NULL) == 0 &&
	       strcmp((const char *)where.p, s->depot_real) == 0;
}

/* The choice is for the depot that is not at home: what is carried is the same in either order.
 * But a FROM has to be a depot already. */
static int turn(struct site *s, struct carry *c, struct err *err)
{
	OWNED(depot_freep) struct depot *d = NULL;
	const char *from = c->from;
	struct digest site;
	int rc;

	if (!is_home(s, c->to, c->silence_s))
		return 0;
	rc = depot_open(from, 0, c->silence_s, &d, err);
	if (rc == 0)
		rc = marker_read(d, &site, err);
	if (rc == MARKER_NONE)
		return err_set(err, RC_AGAIN,
			       "\"%s\" holds no " MARKER ": is what belongs there mounted?", from);
	if (rc < 0)
		return rc;
	c->from = c->to;
	c->to = from;
	return 0;
}

static int beat_each(void *arg, const char *file, uint64_t size, struct err *err)
{
	struct again *a = arg;
	char path[DEPOT_NAME];
	struct name name;

	snprintf(path, sizeof(path), "beats/%.200s", file);
	if (name_parse(path, &name) == NAME_BEAT && name.number == a->beat)
		a->holds = true;
	return 0;
}

/* The note of the depot at this path, when it was for some and this is still that depot. */
static int again_read(struct site *s, const char *path, int silence_s, struct again *a,
		      struct err *err)
{
	OWNED(depot_freep) struct depot *d = NULL;
	OWNED(buf_clear) struct buf where = BUF_INIT;
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc;

	if (depot_open(path, 0, silence_s, &d, NULL) < 0 || depot_where(d, &where, NULL) < 0)
		return 0; /* the carry will say so */
	rc = db_query(s->db, "SELECT audience, beat FROM consignment WHERE depot = ?1 AND some = 1",
		      &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "t", (const char *)where.p);
	if (rc == 0)
		rc = db_step(s->db, st, err);
	if (rc != 1)
		return rc;
	a->beat = (uint64_t)db_i64(st, 1);
	a->text = strdup(db_text(st, 0));
	if (a->text == NULL)
		return err_memory(err);
	if (depot_list(d, "beats", beat_each, a, NULL) < 0 || !a->holds)
		return 0;
	for (char *rest = a->text, *word; (word = strsep(&rest, ",")) != NULL && a->n < AGAIN;)
		a->who[a->n++] = word + strspn(word, " ");
	return 0;
}

/* A stick that was made for some stays for them, so that bringing it home does not fill it up. */
static int again(struct site *s, struct carry *c, struct selection *sel, struct again *a,
		 struct err *err)
{
	const char *other = is_home(s, c->from, c->silence_s) ? c->to
			    : is_home(s, c->to, c->silence_s) ? c->from
							      : NULL;
	struct err bad = {0};
	int rc = other == NULL ? 0 : again_read(s, other, c->silence_s, a, err);

	if (rc < 0 || a->n == 0)
		return rc;
	rc = selection_make(s, a->who, a->n, sel, &bad);
	if (rc == RC_USAGE) { /* one of them is gone */
		say_warning(s->say, "%s: %s; everything is carried", other, bad.text);
		a->n = 0;
		return 0;
	}
	if (rc < 0)
		*err = bad;
	else
		say_info(s->say, "%s is for %s%s, as last time; satchel revert forgets that", other,
			 a->who[0], a->n > 1 ? " and others" : "");
	return rc;
}

int site_carry(struct site *s, struct carry *c, char *const *who, size_t n,
	       struct carry_result *ret, struct err *err)
{
	OWNED(selection_clear) struct selection sel = {0};
	OWNED(again_clear) struct again a = {0};
	struct err bad = {0};
	int rc = n > 0 ? selection_make(s, who, n, &sel, err) : again(s, c, &sel, &a, err);

	if (a.n > 0) {
		who = a.who;
		n = a.n;
	}
	if (rc == 0 && n > 0)
		rc = turn(s, c, err);
	if (rc == 0)
		rc = unposted_say(s, err);
	if (rc < 0)
		return rc;
	if (n > 0) {
		c->site = &s->id;
		c->wants = selection_wants;
		c->arg = &sel;
		if (sel.strangers > 0)
			say_info(
			    s->say,
			    "%zu of them have not enrolled yet: the stick takes what enrolling "
			    "needs, and brings their requests back",
			    sel.strangers);
	}
	rc = carry(c, ret, err);
	c->wants = NULL;
	c->arg = NULL;
	if (note(s, c, n > 0 ? &sel : NULL, who, n, ret, &bad) < 0 && rc == 0) {
		*err = bad;
		rc = bad.rc;
	}
	return rc;
}
