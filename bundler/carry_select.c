#include "bundler/carry_select.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bundler/compile_internal.h"
#include "bundler/people.h"
#include "core/base/own.h"

struct select {
	struct site *s;
	struct compile compile; /* owned: who is to have what, as private channels are made */
	bool *subscribed;       /* owned: by id, then channel */
	struct selection *sel;
	size_t paths_room, ids_room;
};

static void select_clear(struct select *x)
{
	compile_clear(&x->compile);
	free(x->subscribed);
}

void selection_clear(struct selection *sel)
{
	for (size_t i = 0; i < sel->paths; i++)
		free(sel->path[i]);
	free(sel->path);
	free(sel->id);
	memset(sel, 0, sizeof(*sel));
}

static int by_path(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

bool selection_wants(void *arg, const char *path, const struct name *name)
{
	const struct selection *sel = arg;
	char whole[DEPOT_NAME];
	const char *key = path;

	if (name->kind == NAME_PART && strlen(path) < sizeof(whole)) {
		strcpy(whole, path);
		*strrchr(whole, '.') = '\0';
		key = whole;
	}
	return sel->paths > 0 &&
	       bsearch(&key, sel->path, sel->paths, sizeof(*sel->path), by_path) != NULL;
}

static int path_add(struct select *x, const char *path, struct err *err)
{
	struct selection *sel = x->sel;

	if (path[0] == '\0')
		return 0;
	if (sel->paths == x->paths_room) {
		size_t room = x->paths_room == 0 ? 64 : 2 * x->paths_room;
		char **more = reallocarray(sel->path, room, sizeof(*more));

		if (more == NULL)
			return err_memory(err);
		sel->path = more;
		x->paths_room = room;
	}
	sel->path[sel->paths] = strdup(path);
	if (sel->path[sel->paths] == NULL)
		return err_memory(err);
	sel->paths++;
	return 0;
}

static int id_add(struct select *x, const char *id, struct err *err)
{
	struct selection *sel = x->sel;

	if (sel->ids == x->ids_room) {
		size_t room = x->ids_room == 0 ? 16 : 2 * x->ids_room;
		void *more = reallocarray(sel->id, room, sizeof(*sel->id));

		if (more == NULL)
			return err_memory(err);
		sel->id = more;
		x->ids_room = room;
	}
	snprintf(sel->id[sel->ids++], sizeof(*sel->id), "%s", id);
	return 0;
}

/* Enrolled under a name: 1, or 0. */
static int id_by_name(struct select *x, const char *name, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(
	    x->s->db,
	    "SELECT id FROM workstation WHERE name = ?1 AND state IN ('enrolled', 'leaving')", &st,
	    err);

	if (rc == 0)
		rc = db_bind(st, err, "t", name);
	if (rc == 0)
		rc = db_step(x->s->db, st, err);
	if (rc == 1 && id_add(x, db_text(st, 0), err) < 0)
		return RC_MEMORY;
	return rc;
}

/* Someone the site knows, though nothing of it has arrived: invited, or written down. */
static int stranger(struct select *x, const char *name, struct err *err)
{
	int64_t n = 0;
	int rc = db_int(x->s->db, err, &n,
			"SELECT (SELECT count(*) FROM invitation WHERE name = ?1)"
			" + (SELECT count(*) FROM held_request WHERE name = ?1)",
			"t", name);

	if (rc < 0)
		return rc;
	if (n == 0 && site_workstation(x->s, name) == NULL)
		return err_set(err, RC_USAGE,
			       "there is no workstation %s; satchel workstation list shows them "
			       "(others: label:NAME, group:NAME, all)",
			       name);
	x->sel->strangers++;
	return 0;
}

static int label_add(struct select *x, const char *label, struct err *err)
{
	bool any = false;

	for (size_t i = 0; i < x->s->workstations; i++) {
		const struct site_workstation *w = &x->s->workstation[i];

		for (size_t l = 0; l < w->labels; l++) {
			int rc = 0;

			if (label == NULL || strcmp(w->label[l], label) != 0)
				continue;
			any = true;
			rc = id_by_name(x, w->name, err);
			if (rc < 0)
				return rc;
			x->sel->strangers += rc == 0;
		}
	}
	return any ? 0 : err_set(err, RC_USAGE, "no workstation has the label %s", label);
}

/* Those whose ids a statement gives. */
static int ids_of(struct select *x, const char *sql, const char *text, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(x->s->db, sql, &st, err);

	if (rc == 0 && text != NULL)
		rc = db_bind(st, err, "t", text);
	while (rc == 0 && (rc = db_step(x->s->db, st, err)) > 0)
		rc = id_add(x, db_text(st, 0), err);
	return rc;
}

static int group_add(struct select *x, const char *group, struct err *err)
{
	const struct site_group *wanted = site_group(x->s, group);
	int rc = 0;

	if (wanted == NULL)
		return err_set(err, RC_USAGE, "there is no group %s; satchel group list shows them",
			       group);
	for (size_t i = 0; rc == 0 && i < x->s->users; i++) {
		const struct site_group *of[PEOPLE_DEPTH];
		size_t n = people_groups(x->compile.people, &x->s->user[i], of);

		for (size_t k = 0; rc == 0 && k < n; k++)
			if (of[k] == wanted)
				rc = ids_of(x,
					    "SELECT a.id FROM activation a JOIN workstation w"
					    " ON w.id = a.id WHERE a.email = ?1"
					    " AND a.state = 'active' AND w.state = 'enrolled'",
					    x->s->user[i].email, err);
	}
	return rc;
}

static int who_add(struct select *x, const char *who, struct err *err)
{
	int rc;

	if (strcmp(who, "all") == 0)
		return ids_of(x,
			      "SELECT id FROM workstation WHERE state IN ('enrolled', 'leaving')",
			      NULL, err);
	if (strncmp(who, "label:", 6) == 0)
		return label_add(x, who + 6, err);
	if (strncmp(who, "group:", 6) == 0)
		return group_add(x, who + 6, err);
	if (strchr(who, '/') != NULL)
		return err_set(err, RC_USAGE,
			       "--for %s: a carry takes to a depot only what it lacks already; "
			       "--for is for workstations, label:NAME, group:NAME and all",
			       who);
	rc = id_by_name(x, who, err);
	return rc == 0 ? stranger(x, who, err) : rc < 0 ? rc : 0;
}

struct held {
	uint64_t epoch, generation;
	bool failed; /* it could not take the next step: the way from nothing may be needed */
};

/* What a workstation holds of a channel; all zero when nothing is known. */
static int held_read(struct select *x, const char *id, const char *channel, struct held *ret,
		     struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(x->s->db,
			  "SELECT epoch, generation, result = 'failed' FROM receipt_channel"
			  " WHERE id = ?1 AND channel = ?2 AND result <> 'left'",
			  &st, err);

	*ret = (struct held){0};
	if (rc == 0)
		rc = db_bind(st, err, "tt", id, channel);
	if (rc == 0)
		rc = db_step(x->s->db, st, err);
	if (rc == 1) {
		ret->epoch = (uint64_t)db_i64(st, 0);
		ret->generation = (uint64_t)db_i64(st, 1);
		ret->failed = db_i64(st, 2) != 0;
	}
	return rc;
}

/* By its document, or by somebody who is active there. */
static int subscriptions_read(struct select *x, struct err *err)
{
	size_t channels = x->s->channels;
	int rc = 0;

	x->subscribed = calloc(x->sel->ids * channels + 1, sizeof(*x->subscribed));
	if (x->subscribed == NULL)
		return err_memory(err);
	for (size_t i = 0; rc == 0 && i < x->sel->ids; i++) {
		struct compile_member m = {0};

		rc = compile_member_read(&x->compile, x->sel->id[i], &m, err);
		for (size_t c = 0; rc == 0 && c < channels; c++)
			x->subscribed[i * channels + c] =
			    compile_subscribes(&x->compile, &m, &x->s->channel[c]);
		compile_member_clear(&m);
	}
	return rc;
}

/* The head as the registry would list it, for the cheapest path. */
static int head_load(struct select *x, const char *channel, struct head *h, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(x->s->db,
			  "SELECT base, generation, size, prefix_digest FROM bundle"
			  " WHERE channel = ?1 AND epoch = ?2 ORDER BY generation, base",
			  &st, err);

	h->bundle = calloc(LIMIT_HEAD_BUNDLES, sizeof(*h->bundle));
	if (rc == 0 && h->bundle == NULL)
		rc = err_memory(err);
	if (rc == 0)
		rc = db_bind(st, err, "ti", channel, (int64_t)h->epoch);
	while (rc == 0 && (rc = db_step(x->s->db, st, err)) > 0) {
		struct head_bundle *b = &h->bundle[h->bundles];

		rc = 0;
		if (h->bundles == LIMIT_HEAD_BUNDLES)
			break;
		b->base = (uint64_t)db_i64(st, 0);
		b->generation = (uint64_t)db_i64(st, 1);
		b->size = (uint64_t)db_i64(st, 2);
		if (db_digest(st, 3, &b->prefix))
			h->bundles++;
	}
	return rc;
}

static int bundles_add(struct select *x, const struct head *h, uint64_t held, struct err *err)
{
	size_t step[LIMIT_HEAD_BUNDLES], n = 0;
	int rc = held > h->generation ? 0 : head_path(h, held, step, &n, err);

	/* From what it holds no bundle leads on any more: from nothing one always does. */
	if (rc == RC_INCOMPLETE && held > 0)
		rc = head_path(h, 0, step, &n, err);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		const struct head_bundle *b = &h->bundle[step[i]];
		char path[DEPOT_NAME];

		name_bundle(path, h->channel, h->epoch, b->base, b->generation, &b->prefix);
		x->sel->bytes += b->size;
		rc = path_add(x, path, err);
	}
	return rc;
}

static int shard_add(struct select *x, const char *name, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(x->s->db, "SELECT path FROM shard WHERE xx = ?1", &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "i", (int64_t)shard_of(name));
	if (rc == 0)
		rc = db_step(x->s->db, st, err);
	return rc == 1 ? path_add(x, db_text(st, 0), err) : rc;
}

/* The newest generation's epoch, number and the path of its head: 1, or 0 while there is none. */
static int newest(struct select *x, struct head *h, char path[DEPOT_NAME], struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(x->s->db,
			  "SELECT epoch, generation, path FROM generation WHERE channel = ?1"
			  " ORDER BY epoch DESC, generation DESC LIMIT 1",
			  &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", h->channel);
	if (rc == 0)
		rc = db_step(x->s->db, st, err);
	if (rc <= 0)
		return rc;
	h->epoch = (uint64_t)db_i64(st, 0);
	h->generation = (uint64_t)db_i64(st, 1);
	snprintf(path, DEPOT_NAME, "%s", db_text(st, 2));
	return 1;
}

static int channel_add(struct select *x, const struct site_channel *c, struct err *err)
{
	struct head h = {0};
	char path[DEPOT_NAME];
	bool any = false;
	int rc;

	snprintf(h.channel, sizeof(h.channel), "%s", c->name);
	rc = newest(x, &h, path, err);
	if (rc <= 0)
		return rc;
	rc = head_load(x, c->name, &h, err);
	for (size_t i = 0; rc == 0 && i < x->sel->ids; i++) {
		struct held held;

		if (!x->subscribed[i * x->s->channels + (size_t)(c - x->s->channel)])
			continue;
		any = true;
		rc = held_read(x, x->sel->id[i], c->name, &held, err);
		if (rc >= 0)
			rc = bundles_add(x, &h, held.epoch == h.epoch ? held.generation : 0, err);
		if (rc == 0 && held.failed)
			rc = bundles_add(x, &h, 0, err);
	}
	head_clear(&h);
	if (rc < 0 || !any)
		return rc;
	rc = path_add(x, path, err);
	return rc < 0 ? rc : shard_add(x, c->name, err);
}

/* The private bundle, unless the newest receipt says that it is held. */
static int private_add(struct select *x, const char *id, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(x->s->db,
			  "SELECT p.path FROM private p LEFT JOIN receipt r ON r.id = p.id"
			  " WHERE p.id = ?1 AND (r.private_epoch IS NOT p.epoch"
			  " OR r.private_generation IS NOT p.generation)",
			  &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", id);
	if (rc == 0)
		rc = db_step(x->s->db, st, err);
	if (rc == 1)
		rc = path_add(x, db_text(st, 0), err);
	return rc < 0 ? rc : shard_add(x, id, err);
}

static int beat_add(struct select *x, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(
	    x->s->db, "SELECT path, sequence FROM beat ORDER BY sequence DESC LIMIT 1", &st, err);

	if (rc == 0)
		rc = db_step(x->s->db, st, err);
	if (rc != 1)
		return rc;
	x->sel->beat = (uint64_t)db_i64(st, 1);
	return path_add(x, db_text(st, 0), err);
}

static int by_id(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void ids_sort(struct selection *sel)
{
	size_t n = 0;

	if (sel->ids < 2)
		return;
	qsort(sel->id, sel->ids, sizeof(*sel->id), by_id);
	for (size_t i = 1; i < sel->ids; i++)
		if (strcmp(sel->id[n], sel->id[i]) != 0 && ++n != i)
			memcpy(sel->id[n], sel->id[i], sizeof(*sel->id));
	sel->ids = n + 1;
}

int selection_make(struct site *s, char *const *who, size_t n, struct selection *ret,
		   struct err *err)
{
	OWNED(selection_clear) struct selection sel = {0};
	OWNED(select_clear) struct select x = {.s = s, .sel = &sel};
	int rc = compile_load(s, &x.compile, err);

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = who_add(&x, who[i], err);
	if (rc < 0)
		return rc;
	ids_sort(&sel);
	rc = subscriptions_read(&x, err);
	if (rc == 0)
		rc = beat_add(&x, err);
	for (size_t i = 0; rc == 0 && i < sel.ids; i++)
		rc = private_add(&x, sel.id[i], err);
	for (size_t i = 0; rc == 0 && i < s->channels; i++)
		rc = channel_add(&x, &s->channel[i], err);
	if (rc < 0)
		return rc;
	if (sel.paths > 0)
		qsort(sel.path, sel.paths, sizeof(*sel.path), by_path);
	*ret = sel;
	memset(&sel, 0, sizeof(sel));
	return 0;
}
