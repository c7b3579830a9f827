#include "bundler/publish.h"

#include <string.h>

#include "bundler/compile.h"
#include "bundler/decommission.h"
#include "bundler/people.h"
#include "bundler/publish_internal.h"
#include "core/base/clock.h"
#include "core/base/own.h"

const char publish_schema_sql[] =
    /* head: identity of its document; path: of that in the depot; beat: the first that names it */
    "CREATE TABLE generation(channel TEXT NOT NULL, epoch INTEGER NOT NULL,"
    " generation INTEGER NOT NULL, tree BLOB NOT NULL, created INTEGER NOT NULL,"
    " entries INTEGER NOT NULL, head BLOB, path TEXT, beat INTEGER NOT NULL DEFAULT 0,"
    " PRIMARY KEY(channel, epoch, generation)) STRICT, WITHOUT ROWID;"
    /* prefix_digest: of prefix; manifest: its identity; pieces: LE 64-bit offset and length in the
     * pack, three times */
    "CREATE TABLE bundle(channel TEXT NOT NULL, epoch INTEGER NOT NULL, base INTEGER NOT NULL,"
    " generation INTEGER NOT NULL, pack INTEGER NOT NULL, pieces BLOB NOT NULL,"
    " prefix BLOB NOT NULL, prefix_digest BLOB NOT NULL, manifest BLOB NOT NULL,"
    " payload INTEGER NOT NULL, size INTEGER NOT NULL, path TEXT NOT NULL,"
    " posted INTEGER NOT NULL DEFAULT 0,"
    " PRIMARY KEY(channel, epoch, base, generation)) STRICT;"
    /* hashed: ns; a file that stat calls older was not changed after it was hashed */
    "CREATE TABLE scanned(channel TEXT PRIMARY KEY, hashed INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE private(id TEXT PRIMARY KEY, epoch INTEGER NOT NULL, generation INTEGER NOT NULL,"
    " tree BLOB NOT NULL, manifest BLOB NOT NULL, path TEXT NOT NULL) STRICT, WITHOUT ROWID;"
    /* input: digest of what it was made from and of the key that signed it */
    "CREATE TABLE shard(xx INTEGER PRIMARY KEY, input BLOB NOT NULL, identity BLOB NOT NULL,"
    " path TEXT NOT NULL) STRICT;"
    "CREATE TABLE beat(sequence INTEGER PRIMARY KEY, input BLOB NOT NULL, issued INTEGER NOT NULL,"
    " expires INTEGER NOT NULL, path TEXT NOT NULL) STRICT;"
    /* files of the depot that are needed by beats up to this one only */
    "CREATE TABLE retired(path TEXT PRIMARY KEY, beat INTEGER NOT NULL) STRICT, WITHOUT ROWID;";

struct run {
	struct site *s;
	const char *const *only;
	size_t n;
	enum publish_flags flags;
	void (*each)(void *arg, const char *channel, const struct publish_counts *counts);
	void *arg;
	bool made; /* some generation */
	int rc;    /* the first failure */
};

static bool wanted(const struct run *r, const char *name)
{
	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->only[i], name) == 0)
			return true;
	return r->n == 0 && !(r->flags & PUBLISH_NO_CHANNELS);
}

static int names_check(const struct run *r, struct err *err)
{
	for (size_t i = 0; i < r->n; i++)
		if (site_channel(r->s, r->only[i]) == NULL)
			return err_set(err, RC_USAGE,
				       "there is no channel %s: `satchel channel list` shows them",
				       r->only[i]);
	return 0;
}

static void licences_warn(struct site *s)
{
	char why[PEOPLE_WHY];

	for (size_t i = 0; i < s->licences; i++) {
		if (people_licence_warning(s, &s->licence[i], clock_now(), why))
			say_warning(s->say, "%s", why);
	}
}

/* The first failure is what the command ends with; the others are said on the way. */
static void failed(struct run *r, const struct err *e, struct err *err)
{
	if (r->rc == 0) {
		r->rc = e->rc;
		if (err != NULL)
			*err = *e;
	} else {
		say_warning(r->s->say, "%s", e->text);
	}
}

static void channels_publish(struct run *r, struct err *err)
{
	for (size_t i = 0; i < r->s->channels; i++) {
		const struct site_channel *c = &r->s->channel[i];
		struct publish_counts counts = {0};
		struct err e = {0};

		if (!wanted(r, c->name))
			continue;
		if (publish_channel(r->s, c, r->flags, &counts, &e) < 0) {
			failed(r, &e, err);
			continue;
		}
		r->made = r->made || counts.made;
		if (r->each != NULL)
			r->each(r->arg, c->name, &counts);
	}
}

/* A channel whose document is gone: its files leave the depot.  Its numbers are kept, so that one
 * that comes back under the same name goes on above them. */
static int channel_forget(struct site *s, const char *name, struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int rc = db_query(s->db,
			  "SELECT path FROM bundle WHERE channel = ?1 UNION ALL"
			  " SELECT path FROM generation WHERE channel = ?1 AND path IS NOT NULL",
			  &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", name);
	while (rc == 0 && (rc = db_step(s->db, st, err)) > 0)
		rc = publish_retire(s, db_text(st, 0), err);
	db_done(&st);
	if (rc == 0)
		rc = db_run(s->db, err, "DELETE FROM bundle WHERE channel = ?1", "t", name);
	if (rc == 0)
		rc = db_run(s->db, err, "UPDATE generation SET path = NULL WHERE channel = ?1", "t",
			    name);
	return rc < 0 ? rc : index_drop(s->db, name, err);
}

static int channels_forget(struct run *r, struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int rc = db_query(r->s->db, "SELECT DISTINCT channel FROM bundle", &st, err);

	while (rc == 0 && (rc = db_step(r->s->db, st, err)) > 0) {
		rc = 0;
		if (site_channel(r->s, db_text(st, 0)) != NULL)
			continue;
		rc = channel_forget(r->s, db_text(st, 0), err);
		r->made = true;
	}
	return rc;
}

/* One step of a run in a transaction of its own; its failure is noted, and the run goes on. */
static void step_commit(struct run *r, int (*step)(struct run *r, struct err *err), struct err *err)
{
	struct err e = {0};
	int rc = db_begin(r->s->db, &e);

	if (rc == 0)
		rc = step(r, &e);
	if (rc == 0)
		rc = db_commit(r->s->db, &e);
	if (rc < 0) {
		db_rollback(r->s->db);
		failed(r, &e, err);
	}
}

static int beat_step(struct run *r, struct err *err)
{
	int rc = decommission_sweep(r->s, err);

	return rc < 0 ? rc : publish_beat(r->s, 0, err);
}

/* What documents and sources ask for. */
static void documents_publish(struct run *r, struct err *err)
{
	struct err e = {0};
	uint64_t changed;

	licences_warn(r->s);
	channels_publish(r, err);
	if (r->flags & PUBLISH_DRY_RUN)
		return;
	step_commit(r, channels_forget, err);
	if (compile_site(r->s, 0, &changed, &e) < 0)
		failed(r, &e, err);
}

int publish_site(struct site *s, const char *const *only, size_t n, enum publish_flags flags,
		 void (*each)(void *arg, const char *channel, const struct publish_counts *counts),
		 void *arg, struct err *err)
{
	struct run r = {s, only, n, flags, each, arg, false, 0};
	struct err e = {0};
	int rc = names_check(&r, err);

	if (rc < 0)
		return rc;
	/* A mistake in a document keeps what is new back, and lets what is current stay believed.
	 */
	if (site_references_check(s, &e) < 0)
		failed(&r, &e, err);
	else
		documents_publish(&r, err);
	if (flags & PUBLISH_DRY_RUN)
		return r.rc;
	/* What is committed is posted, whatever else failed. */
	step_commit(&r, beat_step, err);
	rc = publish_post(s, &e);
	if (rc == 0 && r.made)
		rc = store_prune(s, &e);
	if (rc < 0)
		failed(&r, &e, err);
	return r.rc;
}
