#include "applier/handout_internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "applier/station_internal.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/durable.h"

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
	const struct people *people; /* borrowed; may be NULL */
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

static bool something(const struct people *p)
{
	return p != NULL && (p->persons > 0 || p->policy.n > 0);
}

/* Whoever can write here could put something else into the place of an account's directory. */
static int root_check(struct handout_run *r, struct err *err)
{
	struct stat st;

	if (fstat(r->fd, &st) < 0)
		return err_sys(err, RC_IO, "cannot look at %s", r->s->handout);
	if ((st.st_uid != geteuid() && st.st_uid != 0) || (st.st_mode & 022))
		return err_set(err, RC_POLICY,
			       "the hand-out directory %s can be written by others: chown it and "
			       "chmod 755 it",
			       r->s->handout);
	return 0;
}

/* 1: nothing but what a file system keeps for itself. */
static int root_empty(struct handout_run *r, struct err *err)
{
	int fd = beneath_dir(r->fd, ".", err);
	OWNED(dir_closep) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	size_t stem = strlen("." HANDOUT_MARK "-");

	if (fd < 0)
		return fd;
	if (dir == NULL) {
		close(fd);
		return err_sys(err, RC_IO, "cannot read %s", r->s->handout);
	}
	while ((entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
		    strcmp(entry->d_name, "lost+found") != 0 &&
		    strncmp(entry->d_name, "." HANDOUT_MARK "-", stem) != 0)
			return 0;
	return 1;
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
			       "%s holds what satchel did not put there: hand-out: in %s wants a "
			       "directory of its own",
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
	if (rc == 0 && !something(h->people) && root_empty(r, NULL) == 1)
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

	if (rc < 0 && errno != ENOENT)
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
	    file_read(r->fd, HANDOUT_POLICY, LIMIT_DOCUMENT, &is, NULL) == 0 &&
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
			return err_set(err, RC_CONFLICT, "account %s is %s's already", a->name,
				       h->user[k].person->email);
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

/* Directories of accounts that nobody has here any more. */
static int others_remove(struct handout_state *h, struct err *err)
{
	struct handout_run *r = &h->run;
	char **name = NULL;
	size_t names = 0;
	int fd = beneath_dir(r->fd, ".", err), rc = 0;
	OWNED(dir_closep) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	struct stat st;

	if (fd < 0)
		return fd;
	if (dir == NULL) {
		close(fd);
		return err_sys(err, RC_IO, "cannot read %s", r->s->handout);
	}
	while (rc == 0 && (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.' && strcmp(entry->d_name, "lost+found") != 0 &&
		    fstatat(r->fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISDIR(st.st_mode) && !wanted(h, entry->d_name))
			rc = station_list_add(&name, &names, entry->d_name, err);
	for (size_t i = 0; rc == 0 && i < names; i++)
		rc = handout_remove(r, name[i], err);
	station_list_free(&name, &names);
	return rc;
}

static const char *result_of(const struct handout_state *h, const struct handed *u)
{
	return u->err.rc < 0 ? "failed" : h->flags & HANDOUT_WITHHOLD ? "withheld" : "handed-out";
}

/* The same result again is nothing new. */
static int result_keep(struct handout_state *h, const struct handed *u, struct err *err)
{
	char text[768], reason[512] = "";

	if (u->err.rc < 0) {
		snprintf(text, sizeof(text), "%s: %.700s", rc_slug(u->err.rc), u->err.text);
		err_escape(reason, sizeof(reason), text);
	} else if (h->flags & HANDOUT_WITHHOLD) {
		snprintf(reason, sizeof(reason),
			 "expired: the server has been silent for longer than its policy allows");
	}
	return db_run(h->run.s->db, err,
		      "INSERT INTO handed (email, account, result, reason, at) "
		      "VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (email) DO UPDATE SET "
		      "account = ?2, result = ?3, reason = ?4, at = ?5 "
		      "WHERE account <> ?2 OR result <> ?3 OR reason <> ?4",
		      "tttti", u->person->email, u->person->account, result_of(h, u), reason,
		      clock_now());
}

static int results_forget(struct handout_state *h, struct err *err)
{
	struct station *s = h->run.s;
	char **email = NULL;
	size_t n = 0;
	int rc;
	{
		OWNED(db_done) sqlite3_stmt *st = NULL;

		rc = db_query(s->db, "SELECT email FROM handed", &st, err);
		while (rc >= 0 && (rc = db_step(s->db, st, err)) == 1)
			if (h->people == NULL || people_find(h->people, db_text(st, 0)) == NULL)
				rc = station_list_add(&email, &n, db_text(st, 0), err);
	}
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = db_run(s->db, err, "DELETE FROM handed WHERE email = ?", "t", email[i]);
	station_list_free(&email, &n);
	return rc;
}

static int results_write(struct handout_state *h, struct err *err)
{
	struct station *s = h->run.s;
	int rc = db_begin(s->db, err);

	if (rc < 0)
		return rc;
	rc = results_forget(h, err);
	for (size_t i = 0; rc == 0 && i < h->users; i++)
		rc = result_keep(h, &h->user[i], err);
	if (rc == 0)
		rc = db_commit(s->db, err);
	if (rc < 0)
		db_rollback(s->db);
	return rc;
}

/* Who can read what: one digest over all of it, so that a change is seen after a kill as well. */
static void keys_digest(const struct handout_state *h, struct digest *ret)
{
	struct digest_stream d;
	size_t n = 0;

	digest_start(&d);
	for (size_t i = 0; i < h->users; i++)
		for (size_t k = 0; h->user[i].err.rc == 0 && k < h->user[i].dir.files; k++) {
			const struct handout_dir *dir = &h->user[i].dir;

			if (!dir->file[k].secret)
				continue;
			digest_more(&d, dir->account.name, strlen(dir->account.name) + 1);
			digest_more(&d, dir->file[k].name, strlen(dir->file[k].name) + 1);
			digest_more(&d, dir->file[k].digest.b, DIGEST_BYTES);
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
			say_warning(h->run.s->say, "%s: %s", h->user[i].person->email,
				    h->user[i].err.text);
}

int handout(struct station *s, struct private_tree *t, const struct people *people,
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

int handout_users(struct station *s,
		  int (*each)(void *arg, const struct receipt_user *u, struct err *err), void *arg,
		  struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc =
	    db_query(s->db, "SELECT email, account, result, reason, at FROM handed ORDER BY email",
		     &st, err);

	while (rc >= 0 && (rc = db_step(s->db, st, err)) == 1) {
		struct receipt_user u = {.at = db_i64(st, 4)};

		snprintf(u.email, sizeof(u.email), "%s", db_text(st, 0));
		snprintf(u.account, sizeof(u.account), "%s", db_text(st, 1));
		snprintf(u.result, sizeof(u.result), "%s", db_text(st, 2));
		snprintf(u.reason, sizeof(u.reason), "%s", db_text(st, 3));
		rc = each(arg, &u, err);
	}
	return rc;
}
