#include "bundler/compile.h"

#include <stdio.h>
#include <string.h>

#include "bundler/carried.h"
#include "bundler/compile_internal.h"
#include "bundler/message.h"
#include "core/base/own.h"

/* Private channels between two commits, because each commit costs a flush of the disk. */
#define BATCH 100

/* The ids of those whose private channel is to be made again. */
struct ids {
	char (*id)[WORKSTATION_ID + 1]; /* owned; ascending */
	size_t n, cap;
};

static void ids_clear(struct ids *l)
{
	free(l->id);
}

static int ids_add(void *arg, const char *id, struct err *err)
{
	struct ids *l = arg;

	if (l->n == l->cap) {
		size_t cap = l->cap == 0 ? 16 : l->cap * 2;
		char(*more)[WORKSTATION_ID + 1] = reallocarray(l->id, cap, sizeof(*more));

		if (more == NULL)
			return err_memory(err);
		l->id = more;
		l->cap = cap;
	}
	snprintf(l->id[l->n++], sizeof(*l->id), "%s", id);
	return 0;
}

/* Whom to tell of those that changed. */
struct telling {
	int (*each)(void *arg, const char *id, struct err *err);
	void *arg;
};

static int tell_changed(void *arg, struct compile *c, const struct compile_member *m,
			struct err *err)
{
	struct telling *t = arg;

	(void)c;
	return m->changed ? t->each(t->arg, m->id, err) : 0;
}

int compile_changed(struct site *s, int (*each)(void *arg, const char *id, struct err *err),
		    void *arg, struct err *err)
{
	OWNED(compile_clear) struct compile c = {.channels = 0};
	struct telling t = {each, arg};
	int rc = compile_load(s, &c, err);

	return rc < 0 ? rc : compile_each(&c, tell_changed, &t, err);
}

/* One workstation */

static int generation_read(struct site *s, const char *id, uint64_t *epoch, uint64_t *generation,
			   struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(s->db, "SELECT epoch, generation FROM private WHERE id = ?1", &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", id);
	if (rc == 0)
		rc = db_step(s->db, st, err);
	if (rc == 0)
		rc = err_set(err, RC_INTERNAL, "a private generation was made and is not there");
	if (rc < 0)
		return rc;
	*epoch = (uint64_t)db_i64(st, 0);
	*generation = (uint64_t)db_i64(st, 1);
	return 0;
}

static int carried_users(struct site *s, const struct compile_member *m, uint64_t epoch,
			 uint64_t generation, struct err *err)
{
	OWNED(freep) const char **email = calloc(m->users + 1, sizeof(*email));

	if (email == NULL)
		return err_memory(err);
	for (size_t i = 0; i < m->users; i++)
		email[i] = m->who[i]->email;
	return carried_record(s->db, m->id, epoch, generation, email, m->users, err);
}

/* member_record(s, m, t, err): what the newest generation has, for everybody who asks later. */
static int member_record(struct site *s, const struct compile_member *m,
			 const struct compile_tree *t, struct err *err)
{
	uint64_t epoch = 0, generation = 0;
	int rc = generation_read(s, m->id, &epoch, &generation, err);

	if (rc == 0)
		rc = keystore_sent(s, m->id, t->version, t->versions, epoch, generation, err);
	if (rc == 0)
		rc = carried_users(s, m, epoch, generation, err);
	if (rc == 0 && !m->leaving)
		rc = message_carried(s, m->id, epoch, generation, err);
	return rc < 0 ? rc
		      : db_run(s->db, err,
			       "UPDATE workstation SET inputs = ?1, policy = ?2 WHERE id = ?3",
			       "dbt", &m->inputs,
			       (struct bytes){t->policy.b, m->leaving ? 0 : DIGEST_BYTES}, m->id);
}

static int member_compile(struct compile *c, const char *id, struct err *err)
{
	OWNED(compile_member_clear) struct compile_member m = {.users = 0};
	OWNED(compile_tree_clear) struct compile_tree t = {.files = 0};
	int rc = compile_member_read(c, id, &m, err);

	if (rc == 0)
		rc = compile_tree_make(c, &m, &t, err);
	if (rc == 0)
		rc = private_publish(c->s, &m.sign, &m.seal, t.file, t.files, err);
	if (rc == 0)
		rc = member_record(c->s, &m, &t, err);
	if (rc < 0)
		return err_prefix(err, "private channel of %s", m.name);
	keystore_rest(c->keys);
	return 0;
}

/* member_try(...): in the caller's transaction, all of it or nothing. */
static int member_try(struct compile *c, const char *id, struct err *err)
{
	struct db *db = c->s->db;
	int rc = db_exec(db, "SAVEPOINT member", err);

	if (rc < 0)
		return rc;
	rc = member_compile(c, id, err);
	/* A full disk has ended the transaction already; the commit says so. */
	if (rc < 0 && sqlite3_get_autocommit(db_handle(db)) == 0)
		db_exec(db, "ROLLBACK TO member; RELEASE member", NULL);
	return rc < 0 ? rc : db_exec(db, "RELEASE member", err);
}

/* batch_compile(...): one that cannot be made does not keep the others waiting: the first fault
 * goes into ${first}. */
static int batch_compile(struct compile *c, char (*id)[WORKSTATION_ID + 1], size_t n,
			 struct err *first, struct err *err)
{
	int rc = db_begin(c->s->db, err);

	for (size_t i = 0; rc == 0 && i < n; i++) {
		struct err fault = {0};

		if (member_try(c, id[i], &fault) < 0 && first->rc == 0)
			*first = fault;
	}
	if (rc == 0)
		rc = db_commit(c->s->db, err);
	if (rc < 0)
		db_rollback(c->s->db);
	return rc;
}

/* The whole site */

static int nobody_told(void *arg, const char *id, struct err *err)
{
	(void)arg;
	(void)id;
	(void)err;
	return 0;
}

/* Messages whose time is over leave, and keys that have no version get one. */
static int prepare(struct compile *c, struct err *err)
{
	int rc = db_begin(c->s->db, err);

	if (rc == 0)
		rc = message_sweep(c->s, nobody_told, NULL, err);
	if (rc == 0)
		rc = db_commit(c->s->db, err);
	if (rc < 0) {
		db_rollback(c->s->db);
		return rc;
	}
	rc = keystore_new(c->s, &c->keys, err);
	if (rc < 0)
		return rc;
	compile_keys_make(c);
	return compile_keys_load(c, err);
}

int compile_site(struct site *s, enum compile_flags flags, uint64_t *ret_changed, struct err *err)
{
	OWNED(compile_clear) struct compile c = {.channels = 0};
	OWNED(ids_clear) struct ids l = {.n = 0};
	struct telling t = {ids_add, &l};
	struct err first = {0};
	bool make = (flags & COMPILE_DRY_RUN) == 0;
	int rc = site_references_check(s, err);

	if (rc == 0)
		rc = compile_load(s, &c, err);
	if (rc == 0 && make)
		rc = prepare(&c, err);
	if (rc == 0)
		rc = compile_each(&c, tell_changed, &t, err);
	for (size_t i = 0; rc == 0 && make && i < l.n; i += BATCH)
		rc = batch_compile(&c, &l.id[i], l.n - i < BATCH ? l.n - i : BATCH, &first, err);
	if (rc < 0)
		return rc;
	*ret_changed = l.n;
	return first.rc == 0 ? 0 : err_set(err, first.rc, "%s", first.text);
}
