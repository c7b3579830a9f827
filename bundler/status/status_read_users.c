/* SPDX-License-Identifier: ISC */
/*
 * Users.  Three lists in ascending order of e-mail address are walked side by side: the documents,
 * the activations, and whom private channels have, or had, whose activation was ended; the
 * latter two with what is known of the workstations, one row each.
 */
#include <stdio.h>
#include <string.h>

#include "bundler/documents/documents.h"
#include "bundler/documents/site_model.h"
#include "bundler/status/status_internal.h"
#include "core/base/clock.h"
#include "core/base/own.h"

#define DIFFERS 400 /* bytes of the names of keys that a reason has room for */

/* Both in the order of an index, so nothing is sorted. */
#define PLACE_COLUMNS                                                                  \
	"w.name, w.state, w.enrolled, u.account, u.result, u.reason, c.gone, c.epoch," \
	" c.generation, " PRIVATE_COLUMNS
#define PLACE_JOINS                                                                               \
	" LEFT JOIN workstation_known w ON w.id = k.id LEFT JOIN private_newest p ON p.id = k.id" \
	" LEFT JOIN outbox_posted o ON o.path = p.path LEFT JOIN receipt_newest r ON r.id = k.id" \
	" LEFT JOIN receipt_newest_user u ON u.id = k.id AND u.email = k.email"

static const char active_sql[] =
    "SELECT k.email, k.id, k.active, " PLACE_COLUMNS " FROM activation_any k" PLACE_JOINS
    " LEFT JOIN private_user c ON c.id = k.id AND c.email = k.email ORDER BY k.email, k.id";
/* An activation that was ended has no row any more, and is known by what the private channel had.
 */
static const char ended_sql[] =
    "SELECT k.email, k.id, 0, " PLACE_COLUMNS " FROM private_user k" PLACE_JOINS
    " JOIN private_user c ON c.id = k.id AND c.email = k.email WHERE NOT EXISTS (SELECT 1"
    " FROM activation_any a WHERE a.id = k.id AND a.email = k.email) ORDER BY k.email, k.id";

struct user_reading {
	struct site *s;
	int64_t now, beat_posted;
	struct changed changed;
	struct people *people;
	struct status_rows active, ended;
	size_t document; /* next of s->user */
	/* Scratch of the user in hand, owned. */
	LIST(struct active_place) place;
	struct status_place *out;
	size_t out_cap;
	struct reasons reasons;
	char differs[DIFFERS];
	char why[PEOPLE_WHY];
};

static void user_reading_clear(struct user_reading *r)
{
	db_done(&r->active.st);
	db_done(&r->ended.st);
	changed_clear(&r->changed);
	people_freep(&r->people);
	list_clear(&r->place);
	free(r->out);
}

static int place_add(struct user_reading *r, sqlite3_stmt *st, bool entitled, struct err *err)
{
	struct active_place *p = list_add(&r->place, err);

	if (p == NULL)
		return err->rc;
	snprintf(p->id, sizeof(p->id), "%s", db_text(st, 1));
	p->wanted = entitled && db_i64(st, 2) != 0;
	snprintf(p->name, sizeof(p->name), "%s", db_text(st, 3));
	p->state = workstation_state(db_text(st, 4));
	p->enrolled = db_i64(st, 5);
	snprintf(p->handed.account, sizeof(p->handed.account), "%s", db_text(st, 6));
	snprintf(p->handed.result, sizeof(p->handed.result), "%s", db_text(st, 7));
	snprintf(p->handed.reason, sizeof(p->handed.reason), "%s", db_text(st, 8));
	p->carried = sqlite3_column_type(st, 9) != SQLITE_NULL && db_i64(st, 9) == 0;
	p->epoch = (uint64_t)db_i64(st, 10);
	p->generation = (uint64_t)db_i64(st, 11);
	p->private.compiled = !changed_has(&r->changed, p->id);
	if (!private_snapshot_read(st, 12, r->beat_posted, &p->private, &p->heard))
		return err_set(err, RC_STATE, "the registry is damaged: workstation %s", p->name);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct active_place *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	return c != 0 ? c : strcmp(x->id, y->id);
}

static int places_read(struct user_reading *r, const char *email, bool entitled, struct err *err)
{
	struct status_rows *const lists[] = {&r->active, &r->ended};
	int rc = 0;

	r->place.n = 0;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		while (rc == 0 && rows_at(lists[i], email)) {
			rc = place_add(r, lists[i]->st, entitled, err);
			if (rc == 0)
				rc = rows_step(r->s->db, lists[i], err);
		}
	}
	if (rc < 0)
		return rc;
	list_sort(&r->place, by_name);
	return items_reserve(r->out, 0, r->out_cap, r->place.n, err);
}

/* names_add(dst, word, k, other): the keys of ${k} that ${other} has not. */
static void names_add(char dst[DIFFERS], const char *word, const struct people_keys *k,
		      const struct people_keys *other)
{
	size_t used = strlen(dst), at = 0;

	for (size_t i = 0; i < k->n && used < DIFFERS; i++) {
		while (at < other->n && strcmp(other->key[at]->name, k->key[i]->name) < 0)
			at++;
		if (at < other->n && other->key[at] == k->key[i])
			continue;
		used += (size_t)snprintf(dst + used, DIFFERS - used, "%s%s%s", used > 0 ? ", " : "",
					 word, k->key[i]->name);
		word = "";
	}
}

/* differs_read(...): who has no group has nobody to differ from. */
static int differs_read(struct user_reading *r, const struct site_user *u, struct err *err)
{
	const struct site_group *g = site_group(r->s, u->group);
	OWNED(people_keys_clear) struct people_keys has = {0}, group = {0};
	int rc;

	r->differs[0] = '\0';
	if (g == NULL || (u->extras == 0 && u->withhelds == 0))
		return 0;
	rc = people_keys(r->people, u, &has, err);
	if (rc == 0 && has.differs)
		rc = people_group_keys(r->people, g, &group, err);
	if (rc == 0 && has.differs) {
		names_add(r->differs, "also ", &has, &group);
		names_add(r->differs, "not ", &group, &has);
	}
	return rc;
}

/* unlicensed_rule(...): which of the rules it is that people_licensed has put into words. */
static enum rule unlicensed_rule(const struct user_reading *r, const struct site_user *u)
{
	const struct site_licence *l = site_licence(r->s, u->licence);

	if (l == NULL)
		return RULE_U_UNLICENSED;
	if (l->suspended)
		return RULE_U_LICENCE_SUSPENDED;
	return r->now < l->from ? RULE_U_LICENCE_EARLY : RULE_U_LICENCE_EXPIRED;
}

static int user_document_read(struct user_reading *r, const struct site_user *u,
			      struct user_snapshot *in, struct err *err)
{
	in->deleted = false;
	in->email = u->email;
	in->name = u->name != NULL ? u->name : "";
	in->group = u->group;
	in->licence = u->licence;
	in->suspended = u->suspended;
	if (!people_licensed(r->s, u, r->now, r->why)) {
		in->unlicensed = r->why;
		in->unlicensed_by = unlicensed_rule(r, u);
	}
	in->differs = r->differs;
	return differs_read(r, u, err);
}

/* next_email(r, dst, ret): the least address that any of the lists has next, and its document; NULL
 * when there is none any more.  False at the end. */
static bool next_email(struct user_reading *r, char dst[EMAIL_NAME], const struct site_user **ret)
{
	const struct site_user *u = r->document < r->s->users ? &r->s->user[r->document] : NULL;
	const char *const others[] = {r->active.name, r->ended.name};
	const char *least = u != NULL ? u->email : NULL;

	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		if (others[i] != NULL && (least == NULL || strcmp(others[i], least) < 0))
			least = others[i];
	}
	if (least == NULL)
		return false;
	snprintf(dst, EMAIL_NAME, "%s", least);
	*ret = u != NULL && strcmp(u->email, dst) == 0 ? u : NULL;
	r->document += *ret != NULL;
	return true;
}

/* user_read(r, in, email, u, err): all that is known of the user in hand; steps past them. */
static int user_read(struct user_reading *r, struct user_snapshot *in, const char *email,
		     const struct site_user *u, struct err *err)
{
	int rc = 0;

	*in = (struct user_snapshot){.email = email,
				     .name = "",
				     .group = "",
				     .licence = "",
				     .unlicensed = "",
				     .differs = "",
				     .deleted = true};
	if (u != NULL)
		rc = user_document_read(r, u, in, err);
	if (rc == 0)
		rc = places_read(r, email, u != NULL && !u->suspended && in->unlicensed[0] == '\0',
				 err);
	in->place = r->place.items;
	in->places = r->place.n;
	return rc;
}

int status_users(struct site *s,
		 int (*each)(void *arg, const struct status_user *u, struct err *err), void *arg,
		 struct err *err)
{
	OWNED(user_reading_clear) struct user_reading r = {.s = s, .now = clock_now()};
	const struct site_user *document;
	char email[EMAIL_NAME];
	int rc;

	if (s->unread.rc < 0) /* who is whose, only they say */
		return 0;
	rc = changed_load(s, &r.changed, err);

	if (rc == 0)
		rc = status_beat_posted(s, &r.beat_posted, err);
	if (rc == 0)
		rc = people_new(s, &r.people, err);
	if (rc == 0)
		rc = rows_open(s->db, &r.active, active_sql, r.now, err);
	if (rc == 0)
		rc = rows_open(s->db, &r.ended, ended_sql, r.now, err);
	while (rc == 0 && next_email(&r, email, &document)) {
		struct user_snapshot in;
		struct status_user u = {0};

		rc = user_read(&r, &in, email, document, err);
		u.place = r.out;
		if (rc == 0 &&
		    status_judge_user(&in, r.now, (int64_t)s->silent_hours * 3600, &r.reasons, &u))
			rc = each(arg, &u, err);
	}
	return rc;
}
