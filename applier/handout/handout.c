/* SPDX-License-Identifier: ISC */
/*
 * Hand-out, the order of things: the directory is ours, what a killed run left is cleared,
 * everybody gets what is theirs, and what is nobody's goes.
 */
#include "applier/handout/handout_internal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "applier/station/station.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/dir.h"
#include "core/os/durable.h"

/* How it came out for each user: receipts say it */

static const char handout_tables[] =
    "CREATE TABLE handout ("
    " email TEXT PRIMARY KEY,"
    " account TEXT NOT NULL,"
    " result TEXT NOT NULL," /* words[] */
    " reason TEXT NOT NULL,"
    " at INTEGER NOT NULL) STRICT, WITHOUT ROWID;"; /* seconds since 1970 */
static const char *const handout_steps[] = {handout_tables};
const struct db_schema station_handout_schema = DB_SCHEMA("handout", handout_steps);

enum handout_result { HANDOUT_DONE, HANDOUT_FAILED, HANDOUT_WITHHELD };
static const char *const words[] = {
    [HANDOUT_DONE] = "handed-out",
    [HANDOUT_FAILED] = "failed",
    [HANDOUT_WITHHELD] = "withheld",
};

/* The same result again is nothing new. */
static int row_put(struct station *s, const struct person *p, enum handout_result result,
		   const char *reason, struct err *err)
{
	return db_run(s->db, err,
		      "INSERT INTO handout (email, account, result, reason, at) "
		      "VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (email) DO UPDATE SET "
		      "account = ?2, result = ?3, reason = ?4, at = ?5 "
		      "WHERE account <> ?2 OR result <> ?3 OR reason <> ?4",
		      "tttti", p->email, p->account, words[result], reason, clock_now());
}

static bool active_here(const struct private_people *p, const char *email)
{
	for (size_t i = 0; i < p->persons; i++)
		if (strcmp(p->person[i].email, email) == 0)
			return true;
	return false;
}

/* The rows of all who are not among ${people}; NULL: of everybody. */
static int results_drop(struct station *s, const struct private_people *people, struct err *err)
{
	OWNED(strings_clear) struct strings gone = {0};
	int rc;
	{
		OWNED(db_done) sqlite3_stmt *st = NULL;

		rc = db_query(s->db, "SELECT email FROM handout", &st, err);
		while (rc >= 0 && (rc = db_step(s->db, st, err)) == 1)
			if (people == NULL || !active_here(people, db_text(st, 0)))
				rc = strings_add(&gone, db_text(st, 0), err);
	}
	for (size_t i = 0; rc == 0 && i < gone.n; i++)
		rc = db_run(s->db, err, "DELETE FROM handout WHERE email = ?", "t", gone.items[i]);
	return rc;
}

int handout_users(struct station *s,
		  int (*each)(void *arg, const struct receipt_user *u, struct err *err), void *arg,
		  struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc =
	    db_query(s->db, "SELECT email, account, result, reason, at FROM handout ORDER BY email",
		     &st, err);

	while (rc >= 0 && (rc = db_step(s->db, st, err)) == 1) {
		struct receipt_user u = {.at = db_i64(st, 4)};

		snprintf(u.email, sizeof(u.email), "%s", db_text(st, 0));
		snprintf(u.account, sizeof(u.account), "%s", db_text(st, 1));
		snprintf(u.result, sizeof(u.result), "%s", db_text(st, 2));
		snprintf(u.reason, sizeof(u.reason), "%s", db_text(st, 3));
		rc = each(arg, &u, err);
		if (rc != 0)
			return rc;
	}
	return rc;
}

int handout_forget(struct station *s, struct err *err)
{
	return db_run(s->db, err, "DELETE FROM handout", "");
}

static const char mark_text[] =
    "satchel hands out keys and policies in this directory, and makes it again when it differs.\n";

/* One user on the way. */
struct handed {
	const struct person *person; /* borrowed */
	struct handout_dir dir;
	struct err err; /* why it failed; rc 0: it did not */
};

struct handout_state {
	struct handout_run run;
	const struct private_people *people; /* borrowed; may be NULL */
	enum handout_flags flags;
	struct handed *user; /* owned; as in people */
	size_t users;
};

static void state_clear(struct handout_state *h)
{
	fd_closep(&h->run.fd);
	for (size_t i = 0; i < h->users; i++)
		handout_dir_clear(&h->user[i].dir);
	free(h->user);
}

static bool something(const struct private_people *p)
{
	return p != NULL && (p->persons > 0 || p->policy.n > 0);
}

/* Whoever can write here could put something else into the place of an account's directory. */
static int root_check(struct handout_run *r, struct err *err)
{
	struct stat st;

	if (fstat(r->fd, &st) < 0)
		return err_sys(err, RC_IO, "cannot stat %s", r->s->handout);
	if ((st.st_uid != geteuid() && st.st_uid != 0) || (st.st_mode & 022))
		return err_set(err, RC_POLICY,
			       "the hand-out directory %s can be written by others: chown it and "
			       "chmod 755 it",
			       r->s->handout);
	return 0;
}

/* What a file system keeps for itself, and what a killed run left of our mark. */
static int foreign_each(void *arg, const struct dir_entry *entry, struct err *err)
{
	const char *left = "." HANDOUT_MARK "-";

	(void)arg;
	(void)err;
	return strcmp(entry->name, "lost+found") != 0 &&
	       strncmp(entry->name, left, strlen(left)) != 0;
}

/* 1: nothing that anybody put there. */
static int root_empty(struct handout_run *r, struct err *err)
{
	int foreign = dir_each(r->fd, ".", 0, foreign_each, NULL, err);

	return foreign < 0 ? err_prefix(err, "%s", r->s->handout) : !foreign;
}

/* The mark tells our directory from one that a slip in workstation.yaml names. */
static int root_mark(struct handout_run *r, struct err *err)
{
	struct stat st;
	int rc;

	if (fstatat(r->fd, HANDOUT_MARK, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
		return 0;
	rc = root_empty(r, err);
	if (rc == 0)
		return err_set(err, RC_POLICY,
			       "%s holds files that satchel did not put there: hand-out: in %s "
			       "needs a directory of its own",
			       r->s->handout, r->s->config);
	if (rc > 0)
		rc = durable_sweep(r->fd, HANDOUT_MARK, err);
	return rc < 0 ? rc : durable_write(r->fd, HANDOUT_MARK, bytes_of(mark_text), 0644, 0, err);
}

static int root_open(struct handout_state *h, struct err *err)
{
	struct handout_run *r = &h->run;
	const char *path = r->s->handout;
	int rc;

	if (something(h->people) && mkdir(path, 0755) < 0 && errno != EEXIST)
		return err_sys(err, RC_IO, "cannot make the hand-out directory %s", path);
	r->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r->fd < 0 && errno == ENOENT)
		return 0; /* nothing was ever handed out, and nothing is to be */
	if (r->fd < 0)
		return err_sys(err, RC_IO, "cannot open the hand-out directory %s", path);
	rc = root_check(r, err);
	if (rc == 0 && !something(h->people) && root_empty(r, ERR_IGNORED) == 1)
		return 0;
	return rc < 0 ? rc : root_mark(r, err);
}

/* policy.yaml, for everybody. */
static int policy_place(struct handout_state *h, struct err *err)
{
	struct handout_run *r = &h->run;
	OWNED(buf_clear) struct buf is = BUF_INIT;
	struct stat st;
	int rc = beneath_stat(r->fd, HANDOUT_POLICY, &st, err);

	if (rc < 0 && rc != RC_ABSENT)
		return rc;
	if (rc == 0 && !S_ISREG(st.st_mode))
		return err_set(err, RC_CONFLICT,
			       "%s/" HANDOUT_POLICY
			       " is in the way, and satchel did not make it: move it away",
			       r->s->handout);
	if (h->people == NULL || h->people->policy.n == 0) {
		if (rc == 0 && unlinkat(r->fd, HANDOUT_POLICY, 0) < 0)
			return err_sys(err, RC_IO, "cannot remove %s/" HANDOUT_POLICY,
				       r->s->handout);
		return 0;
	}
	if (rc == 0 && st.st_mode == (S_IFREG | 0644) && st.st_uid == geteuid() &&
	    file_read(r->fd, HANDOUT_POLICY, LIMIT_DOCUMENT, &is, ERR_IGNORED) == 0 &&
	    bytes_equal(bytes_in(&is), bytes_in(&h->people->policy)))
		return 0;
	return durable_write(r->fd, HANDOUT_POLICY, bytes_in(&h->people->policy), 0644,
			     DURABLE_REPLACE, err);
}

/* "policy.yaml" could be the name of an account as well. */
static int account_check(struct handout_state *h, size_t i, struct err *err)
{
	struct account *a = &h->user[i].dir.account;
	int rc = account_find(h->user[i].person->account, a, err);

	if (rc < 0)
		return rc;
	if (strcmp(a->name, HANDOUT_POLICY) == 0)
		return err_set(err, RC_PATH, "nothing is handed out to an account of the name %s",
			       a->name);
	if (!account_mine(a))
		return err_set(err, RC_POLICY,
			       "only root can hand out to account %s, and this is not run by root",
			       a->name);
	for (size_t k = 0; k < i; k++)
		if (h->user[k].err.rc == 0 && strcmp(h->user[k].dir.account.name, a->name) == 0)
			return err_set(err, RC_CONFLICT, "account %s belongs to %s already",
				       a->name, h->user[k].person->email);
	return 0;
}

static int user_hand(struct handout_state *h, size_t i, struct err *err)
{
	struct handed *u = &h->user[i];
	int rc = account_check(h, i, err);

	if (rc == 0)
		rc =
		    handout_dir_fill(&h->run, u->person, h->flags & HANDOUT_WITHHOLD, &u->dir, err);
	if (rc == 0)
		rc = handout_same(&h->run, &u->dir, err);
	if (rc == 0)
		rc = handout_place(&h->run, &u->dir, err);
	return rc < 0 ? rc : 0;
}

static int users_list(struct handout_state *h, struct err *err)
{
	if (h->people == NULL || h->people->persons == 0)
		return 0;
	h->user = calloc(h->people->persons, sizeof(*h->user));
	if (h->user == NULL)
		return err_memory(err);
	for (size_t i = 0; i < h->people->persons; i++)
		h->user[h->users++].person = &h->people->person[i];
	return 0;
}

static int users_hand(struct handout_state *h, struct err *err)
{
	for (size_t i = 0; i < h->users; i++) {
		struct err *bad = &h->user[i].err;

		if (user_hand(h, i, bad) == 0)
			bad->rc = 0;
		else if (bad->rc == RC_MEMORY)
			return err_memory(err);
	}
	return 0;
}

/* Where it failed, what was handed out before stays, and the receipt says failed.  But for an
 * account that is not there any more nothing is kept. */
static bool wanted(const struct handout_state *h, const char *name)
{
	for (size_t i = 0; i < h->users; i++)
		if (strcmp(h->user[i].person->account, name) == 0 &&
		    h->user[i].dir.account.name[0] != '\0')
			return true;
	return false;
}

struct others {
	const struct handout_state *h;
	struct strings name; /* of their directories */
};

static int others_each(void *arg, const struct dir_entry *entry, struct err *err)
{
	struct others *o = arg;
	struct stat st;

	if (entry->name[0] == '.' || strcmp(entry->name, "lost+found") == 0 ||
	    fstatat(entry->dirfd, entry->name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !S_ISDIR(st.st_mode) || wanted(o->h, entry->name))
		return 0;
	return strings_add(&o->name, entry->name, err);
}

/* Directories of accounts that nobody has here any more. */
static int others_remove(struct handout_state *h, struct err *err)
{
	struct others o = {.h = h};
	int rc = dir_each(h->run.fd, ".", 0, others_each, &o, err);

	for (size_t i = 0; rc == 0 && i < o.name.n; i++)
		rc = handout_remove(&h->run, o.name.items[i], err);
	strings_clear(&o.name);
	return rc;
}

static enum handout_result result_of(const struct handout_state *h, const struct handed *u)
{
	return u->err.rc < 0                 ? HANDOUT_FAILED
	       : h->flags & HANDOUT_WITHHOLD ? HANDOUT_WITHHELD
					     : HANDOUT_DONE;
}

static int result_put(struct handout_state *h, const struct handed *u, struct err *err)
{
	enum handout_result result = result_of(h, u);
	char text[768], reason[512] = "";

	if (result == HANDOUT_FAILED) {
		snprintf(text, sizeof(text), "%s: %.700s", rc_slug(u->err.rc), u->err.text);
		err_escape(reason, sizeof(reason), text);
	} else if (result == HANDOUT_WITHHELD) {
		snprintf(reason, sizeof(reason),
			 "expired: the server has been silent for longer than its policy allows");
	}
	return row_put(h->run.s, u->person, result, reason, err);
}

static int results_write(struct handout_state *h, struct err *err)
{
	struct station *s = h->run.s;
	OWNED(db_tx_end) struct db_tx tx = {0};
	int rc = db_tx_begin(&tx, s->db, err);

	if (rc == 0)
		rc = results_drop(s, h->people, err);
	for (size_t i = 0; rc == 0 && i < h->users; i++)
		rc = result_put(h, &h->user[i], err);
	return rc < 0 ? rc : db_tx_commit(&tx, err);
}

/* Who can read what: one digest over all of it, so that a change is seen after a kill as well. */
static void keys_digest(const struct handout_state *h, struct digest *ret)
{
	struct digest_stream d;
	size_t n = 0;

	digest_start(&d);
	for (size_t i = 0; i < h->users; i++)
		for (size_t k = 0; h->user[i].err.rc == 0 && k < h->user[i].dir.file.n; k++) {
			const struct handout_dir *dir = &h->user[i].dir;

			if (!dir->file.items[k].secret)
				continue;
			digest_more(&d, dir->account.name, strlen(dir->account.name) + 1);
			digest_more(&d, dir->file.items[k].name,
				    strlen(dir->file.items[k].name) + 1);
			digest_more(&d, dir->file.items[k].digest.b, DIGEST_BYTES);
			n++;
		}
	memset(ret, 0, sizeof(*ret));
	if (n > 0)
		*ret = digest_end(&d);
}

static void counts_fill(const struct handout_state *h, struct handout_counts *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < h->users; i++)
		if (h->user[i].err.rc < 0)
			ret->failed++;
		else if (h->flags & HANDOUT_WITHHOLD)
			ret->withheld++;
		else
			ret->handed++;
	if (h->people != NULL && h->people->policy.n > 0)
		ret->policy = digest_of(bytes_in(&h->people->policy));
	keys_digest(h, &ret->keys);
}

static int handout_all(struct handout_state *h, struct err *err)
{
	int rc = root_open(h, err);

	if (rc < 0 || h->run.fd < 0)
		return rc;
	rc = handout_sweep(&h->run, err);
	if (rc == 0)
		rc = policy_place(h, err);
	if (rc == 0)
		rc = users_hand(h, err);
	return rc < 0 ? rc : others_remove(h, err);
}

static void failures_tell(const struct handout_state *h)
{
	for (size_t i = 0; i < h->users; i++)
		if (h->user[i].err.rc < 0)
			reporter_warning(h->run.s->reporter, "%s: %s", h->user[i].person->email,
					 h->user[i].err.text);
}

int handout(struct station *s, struct private_tree *t, const struct private_people *people,
	    enum handout_flags flags, struct handout_counts *ret, struct err *err)
{
	OWNED(state_clear)
	struct handout_state h = {.run = {.s = s, .t = t, .fd = -1},
				  .people = flags & HANDOUT_NOTHING ? NULL : people,
				  .flags = flags};
	struct err bad = {0};
	int rc = users_list(&h, err);

	if (rc < 0)
		return rc;
	if (handout_all(&h, &bad) == 0) {
		bad.rc = 0;
		failures_tell(&h);
	}
	for (size_t i = 0; bad.rc < 0 && i < h.users; i++)
		h.user[i].err = bad;
	rc = results_write(&h, err);
	if (rc < 0)
		return rc;
	counts_fill(&h, ret);
	if (bad.rc < 0)
		*err = bad;
	return bad.rc;
}
