#include "bundler/publish.h"

#include <string.h>

#include "bundler/enrolment.h"
#include "bundler/publish_internal.h"

const char publish_schema_sql[] =
    /* head: identity of its document; path: of that in the depot */
    "CREATE TABLE generation(channel TEXT NOT NULL, epoch INTEGER NOT NULL,"
    " generation INTEGER NOT NULL, tree BLOB NOT NULL, created INTEGER NOT NULL,"
    " entries INTEGER NOT NULL, head BLOB, path TEXT,"
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
	int rc; /* the first failure */
};

static bool wanted(const struct run *r, const char *name)
{
	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->only[i], name) == 0)
			return true;
	return r->n == 0;
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
		if (publish_channel(r->s, c, r->flags, &counts, &e) < 0)
			failed(r, &e, err);
		else if (r->each != NULL)
			r->each(r->arg, c->name, &counts);
	}
}

static int beat_commit(struct site *s, struct err *err)
{
	int rc = db_begin(s->db, err);

	if (rc == 0)
		rc = publish_beat(s, err);
	if (rc == 0)
		rc = db_commit(s->db, err);
	if (rc < 0)
		db_rollback(s->db);
	return rc;
}

int publish_site(struct site *s, const char *const *only, size_t n, enum publish_flags flags,
		 void (*each)(void *arg, const char *channel, const struct publish_counts *counts),
		 void *arg, struct err *err)
{
	struct run r = {s, only, n, flags, each, arg, 0};
	struct err e = {0};
	uint64_t changed;
	int rc = names_check(&r, err);

	if (rc < 0)
		return rc;
	channels_publish(&r, err);
	if (enrolment_compile(s, flags & PUBLISH_DRY_RUN, &changed, &e) < 0)
		failed(&r, &e, err);
	if (flags & PUBLISH_DRY_RUN)
		return r.rc;
	/* What is committed is posted, whatever else failed. */
	rc = beat_commit(s, &e);
	if (rc == 0)
		rc = publish_post(s, &e);
	if (rc < 0)
		failed(&r, &e, err);
	return r.rc;
}
