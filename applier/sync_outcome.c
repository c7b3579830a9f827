#include "applier/sync_internal.h"

#include <stdio.h>
#include <string.h>

#include "applier/station_internal.h"
#include "core/base/clock.h"
#include "core/base/own.h"

/* Words of the receipt: what waits, what was refused for what it is, what failed here. */
static const char *result_word(const struct sync_outcome *o)
{
	switch (o->out.rc) {
	case 0:
		return o->applied ? "applied" : "current";
	case RC_AGAIN:
	case RC_INCOMPLETE:
	case RC_TIMEOUT:
	case RC_BUSY:
		return "waiting";
	default:
		break;
	}
	return rc_status(o->out.rc) >= 3 && rc_status(o->out.rc) <= 6 ? "refused" : "failed";
}

static void reason_text(const struct sync_outcome *o, char dst[512])
{
	char text[768];

	dst[0] = '\0';
	if (o->out.rc == 0)
		return;
	snprintf(text, sizeof(text), "%s: %s", rc_slug(o->out.rc), o->out.reason);
	err_escape(dst, 512, text);
}

/* The same refusal again, or still being current, is nothing new and makes no receipt. */
static int outcome_same(struct station *s, const struct sync_outcome *o, const char *word,
			const char *reason, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc =
	    db_query(s->db, "SELECT result, reason, wanted FROM outcome WHERE tree = ?", &st, err);

	if (o->applied)
		return rc < 0 ? rc : 0;
	if (rc == 0)
		rc = db_bind(st, err, "t", o->tree);
	if (rc == 0)
		rc = db_step(s->db, st, err);
	if (rc <= 0)
		return rc;
	if (strcmp(word, "current") == 0 && strcmp(db_text(st, 0), "applied") == 0)
		word = "applied";
	return strcmp(word, db_text(st, 0)) == 0 && strcmp(reason, db_text(st, 1)) == 0 &&
	       o->out.wanted == (uint64_t)db_i64(st, 2);
}

static int outcome_keep(struct station *s, const struct sync_outcome *o, struct err *err)
{
	const char *word = result_word(o);
	char reason[512];
	int rc;

	reason_text(o, reason);
	rc = outcome_same(s, o, word, reason, err);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	/* Deviations and adaptations are those of what is held: only an apply changes them; drift
	 * is what the last look at the disk found. */
	return db_run(s->db, err,
		      "INSERT INTO outcome (tree, result, reason, wanted, deviations, adaptations, "
		      "drift, at, milliseconds) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?7, ?8) "
		      "ON CONFLICT (tree) DO UPDATE SET result = ?2, reason = ?3, wanted = ?4, "
		      "deviations = iif(?9, ?5, deviations), "
		      "adaptations = iif(?9, ?6, adaptations), "
		      "at = ?7, milliseconds = ?8",
		      "tttiiiiii", o->tree, word, reason, (int64_t)o->out.wanted,
		      (int64_t)o->out.preview.deviations, (int64_t)o->out.preview.adaptations,
		      clock_now(), (int64_t)o->milliseconds, (int64_t)o->applied);
}

int sync_outcome(struct sync *y, const struct sync_outcome *o, struct err *err)
{
	bool keep = !(y->flags & SYNC_DRY_RUN) && (o->applied || !o->by_hand);
	int rc = keep ? outcome_keep(y->s, o, err) : 0;

	if (rc < 0)
		return rc;
	if (y->each != NULL)
		y->each(y->arg, &o->out);
	if (o->out.rc < 0) {
		struct err bad = {0};

		err_set(&bad, o->out.rc, "%s%s: %s",
			o->out.name[0] == '\0' ? "the private channel" : "channel ", o->out.name,
			o->out.reason);
		rc = y->each == NULL ? sync_event(y, &bad, err) : sync_record(y, &bad, err);
	}
	y->applied = y->applied || o->applied;
	return rc;
}
