/* SPDX-License-Identifier: ISC */
/*
 * SQLite as satchel uses it: how a database comes into being whole, how rooms bring its tables up
 * to date, and a cache of prepared statements.  SQLite's many codes become the few that have a
 * remedy.
 */
#include "core/os/db.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/base/own.h"
#include "core/os/durable.h"

#define BUSY_MS 10000
/* Nobody makes backups of workstations. */
#define NO_BACKUP "; a workstation without one moves its state directory away and enrols anew"
/* user_version of a database whose rooms have taken no step yet; below it lie the numbers of the
 * layouts from before there were rooms. */
#define LAYOUT_FIRST 1000
/* A write-ahead log that one large run blew up is cut back to this. */
#define PRAGMAS                                                                            \
	"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; " \
	"PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; "                       \
	"PRAGMA cache_size = -65536; PRAGMA journal_size_limit = 67108864"

struct cached {
	const char *sql;  /* borrowed, a literal; its address is the key */
	sqlite3_stmt *st; /* owned */
	bool out;         /* handed out by db_query and not given back yet */
};

struct db {
	sqlite3 *handle;      /* owned */
	char *path;           /* owned; for the sentences */
	struct cached *cache; /* owned; open addressing, size a power of two */
	size_t size, used;
	struct cached *last; /* what was handed out last: most likely what comes back next */
};

/* SQLite's codes are many and the remedies are few. */
static int db_code(int code, int system)
{
	switch (code & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return RC_BUSY;
	case SQLITE_FULL:
		return RC_SPACE;
	case SQLITE_IOERR:
		return system == ENOSPC || system == EDQUOT ? RC_SPACE : RC_IO;
	case SQLITE_NOMEM:
		return RC_MEMORY;
	case SQLITE_TOOBIG:
		return RC_LIMIT;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
	case SQLITE_READONLY:
		return RC_STATE;
	default:
		return RC_INTERNAL;
	}
}

/* SQLite calls damaged what could not be read, and keeps the reason with the file: the database, or
 * its log. */
static bool is_unreadable(sqlite3 *handle)
{
	sqlite3_file *log = NULL;
	int error = 0;

	sqlite3_file_control(handle, "main", SQLITE_FCNTL_LAST_ERRNO, &error);
	if (error == 0 &&
	    sqlite3_file_control(handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) == SQLITE_OK &&
	    log != NULL && log->pMethods != NULL)
		log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &error);
	return error == EIO || error == ENXIO;
}

/* SQLite says then that a file beside the database is not there. */
static bool is_read_only(const char *path)
{
	struct statvfs v;

	return statvfs(path, &v) == 0 && (v.f_flag & ST_RDONLY) != 0;
}

static int db_fail(sqlite3 *handle, const char *path, struct err *err)
{
	int code = sqlite3_extended_errcode(handle);
	int system = sqlite3_system_errno(handle);
	int rc = db_code(code, system);

	if (rc == RC_BUSY)
		return err_set(
		    err, rc,
		    "the database \"%s\" is in use by another run; try again when it is done",
		    path);
	if (rc == RC_STATE && (code & 0xff) == SQLITE_CORRUPT && is_unreadable(handle))
		return err_set(
		    err, RC_IO,
		    "the database \"%s\" cannot be read: %s; check the disk, and try again", path,
		    strerror(EIO));
	/* Somebody, or half a backup, took a table out of it. */
	if ((code & 0xff) == SQLITE_ERROR &&
	    strncmp(sqlite3_errmsg(handle), "no such table", strlen("no such table")) == 0)
		rc = RC_STATE;
	if (rc == RC_STATE && ((code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB ||
			       (code & 0xff) == SQLITE_ERROR))
		return err_set(
		    err, rc,
		    "the database \"%s\" is damaged: %s; restore it from a backup" NO_BACKUP, path,
		    sqlite3_errmsg(handle));
	if (rc == RC_SPACE)
		return err_set(
		    err, rc, "no space is left on the disk of the database \"%s\": make room there",
		    path);
	if (rc == RC_STATE && is_read_only(path))
		return err_set(err, rc,
			       "the database \"%s\" is on a file system that is mounted read-only: "
			       "mount it read-write",
			       path);
	if (system != 0 && (rc == RC_IO || rc == RC_STATE))
		return err_set(err, rc, "the database \"%s\": %s: %s", path, sqlite3_errmsg(handle),
			       strerror(system));
	return err_set(err, rc, "the database \"%s\": %s", path, sqlite3_errmsg(handle));
}

/*
 * db_done is handed a statement only.  The way from it back to our cache is the argument of a hook
 * that does nothing: SQLite hands the old argument out when a hook is set.
 */
static void hook_nothing(void *arg)
{
}

static struct db *db_of(sqlite3 *handle)
{
	void *db = sqlite3_rollback_hook(handle, hook_nothing, NULL);

	sqlite3_rollback_hook(handle, hook_nothing, db);
	return db;
}

static int pragma_int(struct db *db, const char *pragma, int64_t *ret, struct err *err)
{
	sqlite3_stmt *st = NULL;
	int code = sqlite3_prepare_v2(db->handle, pragma, -1, &st, NULL);

	if (code == SQLITE_OK)
		code = sqlite3_step(st);
	if (code == SQLITE_ROW)
		*ret = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return code == SQLITE_ROW ? 0 : db_fail(db->handle, db->path, err);
}

static int too_new(struct db *db, const char *what, int64_t version, int known, struct err *err)
{
	return err_set(err, RC_STATE,
		       "the database \"%s\" was written by a newer satchel (%s: version %" PRId64
		       ", known up to %d); install that version",
		       db->path, what, version, known);
}

static int layout_version(const struct db_layout *layout)
{
	int version = LAYOUT_FIRST;

	for (size_t i = 0; i < layout->rooms; i++)
		version += layout->room[i]->steps;
	return version;
}

/* room_done(db, room, ret, err): how many steps of a room this database has seen. */
static int room_done(struct db *db, const char *room, int64_t *ret, struct err *err)
{
	int rc;

	*ret = 0;
	rc = db_int(db, err, ret, "SELECT steps FROM schema_room WHERE room = ?1", "t", room);
	return rc < 0 ? rc : 0;
}

static int room_migrate(struct db *db, const struct db_schema *room, struct err *err)
{
	int64_t done = 0;
	int rc = room_done(db, room->room, &done, err);

	if (rc == 0 && done > room->steps)
		return too_new(db, room->room, done, room->steps, err);
	for (int64_t i = done; rc == 0 && i < room->steps; i++)
		rc = db_exec(db, room->step[i], err);
	if (rc < 0)
		return rc;
	return db_run(db, err,
		      "INSERT INTO schema_room(room, steps) VALUES(?1, ?2)"
		      " ON CONFLICT(room) DO UPDATE SET steps = excluded.steps",
		      "ti", room->room, (int64_t)room->steps);
}

/* A view that names a table which is about to change would be in its way. */
static int views_drop(struct db *db, struct err *err)
{
	OWNED(buf_clear) struct buf sql = BUF_INIT;
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int rc = db_query(db, "SELECT name FROM sqlite_schema WHERE type = 'view'", &st, err);

	if (rc == 0)
		rc = buf_text(&sql, "", err);
	while (rc == 0 && (rc = db_step(db, st, err)) > 0)
		rc = buf_printf(&sql, err, "DROP VIEW %s;", db_text(st, 0));
	db_done(&st);
	return rc < 0 ? rc : db_exec(db, (const char *)sql.p, err);
}

static int views_make(struct db *db, const struct db_layout *layout, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < layout->rooms; i++)
		if (layout->room[i]->views != NULL)
			rc = db_exec(db, layout->room[i]->views, err);
	return rc;
}

/* A database from before there were rooms: its tables become what the first steps would make. */
static int migrate_from_before(struct db *db, const struct db_layout *layout, int64_t version,
			       struct err *err)
{
	int rc;

	if (layout->from_before == NULL || version != layout->before)
		return err_set(
		    err, RC_STATE,
		    "the database \"%s\" was written by a development version of satchel "
		    "(schema %" PRId64 "), which this one cannot read",
		    db->path, version);
	rc = db_exec(db, layout->from_before, err);
	for (size_t i = 0; rc == 0 && i < layout->rooms; i++)
		rc = db_run(db, err, "INSERT INTO schema_room(room, steps) VALUES(?1, 1)", "t",
			    layout->room[i]->room);
	return rc;
}

/* All missing steps in one transaction, so that a power cut leaves one schema or the other. */
static int migrate(struct db *db, const struct db_layout *layout, struct err *err)
{
	char pragma[96];
	int64_t version = 0;
	int known = layout_version(layout);
	OWNED(db_tx_end) struct db_tx tx = {0};
	int rc = db_tx_begin(&tx, db, err);

	/* Only now: another process may have done some of it while we waited for the lock. */
	if (rc == 0)
		rc = pragma_int(db, "PRAGMA user_version", &version, err);
	if (rc == 0 && version > known)
		rc = too_new(db, "schema", version, known, err);
	if (rc == 0 && version < LAYOUT_FIRST)
		rc = db_exec(
		    db,
		    "CREATE TABLE schema_room(room TEXT PRIMARY KEY, steps INTEGER NOT NULL)"
		    " STRICT, WITHOUT ROWID",
		    err);
	if (rc == 0)
		rc = views_drop(db, err);
	if (rc == 0 && version > 0 && version < LAYOUT_FIRST)
		rc = migrate_from_before(db, layout, version, err);
	for (size_t i = 0; rc == 0 && i < layout->rooms; i++)
		rc = room_migrate(db, layout->room[i], err);
	if (rc == 0)
		rc = views_make(db, layout, err);
	snprintf(pragma, sizeof(pragma),
		 "PRAGMA user_version = %d; PRAGMA application_id = %" PRId32, known,
		 (int32_t)layout->application_id);
	if (rc == 0)
		rc = db_exec(db, pragma, err);
	return rc < 0 ? rc : db_tx_commit(&tx, err);
}

static int schema_check(struct db *db, const struct db_layout *layout, struct err *err)
{
	int64_t id = 0, version = 0;
	int rc = pragma_int(db, "PRAGMA application_id", &id, err);

	if (rc == 0)
		rc = pragma_int(db, "PRAGMA user_version", &version, err);
	if (rc < 0)
		return rc;
	if ((uint32_t)id != layout->application_id)
		return err_set(err, RC_STATE,
			       "\"%s\" is not the database that is expected here; it belongs to "
			       "something else",
			       db->path);
	return version == layout_version(layout) ? 0 : migrate(db, layout, err);
}

/*
 * Defensive, because the file may come from a restored backup: no writable schema, no string taken
 * for a column name.
 */
static int connect(const char *path, int flags, struct db **ret, struct err *err)
{
	OWNED(db_freep) struct db *db = calloc(1, sizeof(*db));

	if (db == NULL)
		return err_memory(err);
	db->size = 64;
	db->cache = calloc(db->size, sizeof(*db->cache));
	db->path = strdup(path);
	if (db->cache == NULL || db->path == NULL)
		return err_memory(err);
	if (sqlite3_open_v2(path, &db->handle, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		return db_fail(db->handle, path, err);
	sqlite3_extended_result_codes(db->handle, 1);
	sqlite3_busy_timeout(db->handle, BUSY_MS);
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, (int *)NULL);
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DQS_DML, 0, (int *)NULL);
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DQS_DDL, 0, (int *)NULL);
	sqlite3_rollback_hook(db->handle, hook_nothing, db);
	*ret = TAKE(db);
	return 0;
}

static int make_schema(const char *path, const struct db_layout *layout, struct err *err)
{
	OWNED(db_freep) struct db *db = NULL;
	int rc = connect(path, SQLITE_OPEN_READWRITE, &db, err);

	/* Nobody knows this file yet, so it needs no journal on disk; it is flushed before it gets
	 * its name. */
	if (rc == 0)
		rc = db_exec(db, "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF", err);
	if (rc == 0)
		rc = migrate(db, layout, err);
	/* Set in the file before anybody knows it: several that open it at once would be in each
	 * other's way while they change the mode, and SQLite waits for nobody then. */
	if (rc == 0)
		rc = db_exec(db, "PRAGMA journal_mode = WAL", err);
	return rc;
}

/*
 * A new database is made whole under another name and renamed then, so that under its own name an
 * empty or half-made file is damage and never the trace of a crash.
 */
static int create(const char *path, const struct db_layout *layout, struct err *err)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash == NULL ? path : slash + 1;
	OWNED(freep) char *dir = slash == NULL ? strdup(".") : strndup(path, (size_t)(name - path));
	OWNED(freep) char *temporary = NULL;
	OWNED(fd_closep) int dirfd = -1;
	OWNED(durable_abort) struct durable d = DURABLE_INIT;
	int rc;

	if (dir == NULL)
		return err_memory(err);
	dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return err_sys(err, RC_STATE, "cannot make the database \"%s\"", path);
	rc = durable_begin(dirfd, name, 0600, &d, err);
	if (rc < 0)
		return rc;
	if (asprintf(&temporary, "%s/%s", dir, d.temporary) < 0)
		return err_memory(err);
	rc = make_schema(temporary, layout, err);
	if (rc == 0)
		rc = durable_commit(&d, name, 0, err);
	/* Somebody else made it at the same moment: theirs is as good. */
	return rc == RC_CONFLICT ? 0 : rc;
}

/* Opened to be looked at: closing such a descriptor does not drop SQLite's own locks on the file,
 * as closing any other would (fcntl(2)).  1: there is none. */
static int file_judge(const char *path, int *ret, struct stat *ret_st, struct err *err)
{
	OWNED(fd_closep) int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return 1;
	if (fd < 0 || fstat(fd, ret_st) < 0)
		return err_sys(err, RC_STATE, "cannot stat the database \"%s\"", path);
	if (S_ISLNK(ret_st->st_mode))
		return err_set(err, RC_STATE,
			       "\"%s\" is a link, and a database is not reached through one: put "
			       "the file itself there, or mount its directory there (mount --bind)",
			       path);
	if (!S_ISREG(ret_st->st_mode))
		return err_set(err, RC_STATE,
			       "\"%s\" is not a regular file, so it is not a "
			       "database",
			       path);
	*ret = TAKE_FD(fd);
	return 0;
}

/* By the descriptor, never by a name that may be somebody else's file by now. */
static int file_close_to_others(int fd, const struct stat *st, const char *path, struct err *err)
{
	char own[32];

	if ((st->st_mode & 077) == 0)
		return 0;
	if (st->st_nlink > 1)
		return err_set(err, RC_STATE,
			       "the database \"%s\" is open to others and has a second name: "
			       "remove that one, or chmod 600 it",
			       path);
	snprintf(own, sizeof(own), "/proc/self/fd/%d", fd);
	return chmod(own, 0600) < 0
		   ? err_sys(err, RC_STATE, "cannot make the database \"%s\" private", path)
		   : 0;
}

/* What SQLite keeps beside it, and would open, write and give the database's mode. */
static int beside_check(const char *path, struct err *err)
{
	static const char *const ends[] = {"-wal", "-shm", "-journal"};

	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		OWNED(freep) char *name = NULL;
		OWNED(fd_closep) int fd = -1;
		struct stat st;
		int rc;

		if (asprintf(&name, "%s%s", path, ends[i]) < 0)
			return err_memory(err);
		rc = file_judge(name, &fd, &st, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/*
 * An empty file is what a full disk or a crash leaves, and SQLite would take it for a new
 * database: everything in it would be forgotten without a word.
 */
static int file_check(const char *path, struct stat *ret, struct err *err)
{
	OWNED(fd_closep) int fd = -1;
	int rc = file_judge(path, &fd, ret, err);

	if (rc < 0)
		return rc;
	if (rc == 1)
		return beside_check(path, err) < 0 ? err->rc : 1;
	if (ret->st_size == 0)
		return err_set(
		    err, RC_STATE,
		    "the database \"%s\" is empty: what it held is lost; restore it from "
		    "a backup" NO_BACKUP,
		    path);
	rc = file_close_to_others(fd, ret, path, err);
	return rc < 0 ? rc : beside_check(path, err);
}

/* SQLite opens by name: nothing is written before it is known that it was the same file. */
static int same_file(const char *path, const struct stat *judged, struct err *err)
{
	struct stat st;

	if (lstat(path, &st) == 0 && st.st_dev == judged->st_dev && st.st_ino == judged->st_ino)
		return 0;
	return err_set(err, RC_STATE, "the database \"%s\" was exchanged while it was opened",
		       path);
}

int db_open(const char *path, const struct db_layout *layout, struct db **ret, struct err *err)
{
	OWNED(db_freep) struct db *db = NULL;
	struct stat st;
	int rc = file_check(path, &st, err);

	if (rc == 1) {
		rc = create(path, layout, err);
		if (rc == 0)
			rc = file_check(path, &st, err);
		if (rc == 1)
			rc = err_set(err, RC_STATE, "the database \"%s\" went away", path);
	}
	if (rc == 0)
		rc = connect(path, SQLITE_OPEN_READWRITE, &db, err);
	if (rc == 0)
		rc = same_file(path, &st, err);
	if (rc == 0)
		rc = db_exec(db, PRAGMAS, err);
	if (rc == 0)
		rc = schema_check(db, layout, err);
	if (rc < 0)
		return rc;
	*ret = TAKE(db);
	return 0;
}

struct db *db_free(struct db *db)
{
	if (db == NULL)
		return NULL;
	for (size_t i = 0; db->cache != NULL && i < db->size; i++)
		sqlite3_finalize(db->cache[i].st);
	sqlite3_close(db->handle);
	free(db->cache);
	free(db->path);
	free(db);
	return NULL;
}

void db_freep(struct db **db)
{
	*db = db_free(*db);
}

sqlite3 *db_handle(struct db *db)
{
	return db->handle;
}

int db_exec(struct db *db, const char *sql, struct err *err)
{
	if (sqlite3_exec(db->handle, sql, NULL, NULL, NULL) != SQLITE_OK)
		return db_fail(db->handle, db->path, err);
	return 0;
}

/*
 * IMMEDIATE: a transaction that reads first and writes later would fail half-way when somebody
 * else writes.
 */
int db_begin(struct db *db, struct err *err)
{
	return db_exec(db, "BEGIN IMMEDIATE", err);
}

int db_commit(struct db *db, struct err *err)
{
	int rc = db_exec(db, "COMMIT", err);

	if (rc < 0)
		db_rollback(db);
	return rc;
}

void db_rollback(struct db *db)
{
	if (sqlite3_get_autocommit(db->handle) == 0)
		sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
}

int db_tx_begin(struct db_tx *tx, struct db *db, struct err *err)
{
	int rc = db_begin(db, err);

	if (rc == 0)
		tx->db = db;
	return rc;
}

int db_tx_join(struct db_tx *tx, struct db *db, struct err *err)
{
	return sqlite3_get_autocommit(db->handle) == 0 ? 0 : db_tx_begin(tx, db, err);
}

int db_tx_commit(struct db_tx *tx, struct err *err)
{
	struct db *db = TAKE(tx->db);

	return db == NULL ? 0 : db_commit(db, err);
}

void db_tx_end(struct db_tx *tx)
{
	if (tx->db != NULL)
		db_rollback(tx->db);
	tx->db = NULL;
}

/*
 * The row of ${sql}, or the free one where it belongs.  The address of a literal is its own hash;
 * multiplying spreads addresses that are a few bytes apart.
 */
static struct cached *cache_find(struct cached *cache, size_t size, const char *sql)
{
	size_t i = ((uintptr_t)sql * 0x9E3779B97F4A7C15ull) >> 32;

	for (;; i++) {
		struct cached *row = &cache[i & (size - 1)];

		if (row->sql == sql || row->sql == NULL)
			return row;
	}
}

static int cache_grow(struct db *db, struct err *err)
{
	size_t size = 2 * db->size;
	struct cached *cache = calloc(size, sizeof(*cache));

	if (cache == NULL)
		return err_memory(err);
	for (size_t i = 0; i < db->size; i++)
		if (db->cache[i].sql != NULL)
			*cache_find(cache, size, db->cache[i].sql) = db->cache[i];
	free(db->cache);
	db->cache = cache;
	db->size = size;
	db->last = NULL;
	return 0;
}

int db_query(struct db *db, const char *sql, sqlite3_stmt **ret, struct err *err)
{
	struct cached *row = cache_find(db->cache, db->size, sql);

	if (row->out)
		return err_set(err, RC_INTERNAL, "a statement is used within itself: %s", sql);
	if (row->st == NULL) {
		sqlite3_stmt *st;

		if (2 * (db->used + 1) > db->size) {
			int rc = cache_grow(db, err);

			if (rc < 0)
				return rc;
			row = cache_find(db->cache, db->size, sql);
		}
		if (sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &st, NULL) !=
		    SQLITE_OK)
			return db_fail(db->handle, db->path, err);
		*row = (struct cached){sql, st, false};
		db->used++;
	}
	row->out = true;
	db->last = row;
	*ret = row->st;
	return 0;
}

void db_done(sqlite3_stmt **st)
{
	struct db *db;

	if (*st == NULL)
		return;
	db = db_of(sqlite3_db_handle(*st));
	sqlite3_reset(*st);
	sqlite3_clear_bindings(*st);
	if (db->last != NULL && db->last->st == *st)
		db->last->out = false;
	else
		for (size_t i = 0; i < db->size; i++)
			if (db->cache[i].st == *st)
				db->cache[i].out = false;
	*st = NULL;
}

static int bind_blob(sqlite3_stmt *st, int i, struct bytes b, sqlite3_destructor_type keep)
{
	/* A NULL pointer would bind NULL, and no bytes are not nothing. */
	return b.n == 0 ? sqlite3_bind_zeroblob(st, i, 0)
			: sqlite3_bind_blob64(st, i, b.p, b.n, keep);
}

static int bind_list(sqlite3_stmt *st, struct err *err, const char *types, va_list ap)
{
	sqlite3 *handle = sqlite3_db_handle(st);
	int i = 0;
	int code = SQLITE_OK;

	for (const char *t = types; *t != '\0' && code == SQLITE_OK; t++) {
		i++;
		switch (*t) {
		case 'i':
			code = sqlite3_bind_int64(st, i, va_arg(ap, int64_t));
			break;
		case 't':
			code = sqlite3_bind_text(st, i, va_arg(ap, const char *), -1,
						 SQLITE_TRANSIENT);
			break;
		case 'b':
			code = bind_blob(st, i, va_arg(ap, struct bytes), SQLITE_TRANSIENT);
			break;
		case 'B':
			code = bind_blob(st, i, va_arg(ap, struct bytes), SQLITE_STATIC);
			break;
		case 'd':
			code = sqlite3_bind_blob(st, i, va_arg(ap, const struct digest *)->b,
						 DIGEST_BYTES, SQLITE_TRANSIENT);
			break;
		case 'n':
			code = sqlite3_bind_null(st, i);
			break;
		default:
			return err_set(err, RC_INTERNAL, "db_bind does not know '%c'", *t);
		}
	}
	if (code == SQLITE_OK && i != sqlite3_bind_parameter_count(st))
		return err_set(err, RC_INTERNAL, "%d parameters were given to: %s", i,
			       sqlite3_sql(st));
	return code == SQLITE_OK ? 0 : db_fail(handle, db_of(handle)->path, err);
}

int db_bind(sqlite3_stmt *st, struct err *err, const char *types, ...)
{
	va_list ap;
	int rc;

	va_start(ap, types);
	rc = bind_list(st, err, types, ap);
	va_end(ap);
	return rc;
}

int db_step(struct db *db, sqlite3_stmt *st, struct err *err)
{
	switch (sqlite3_step(st)) {
	case SQLITE_ROW:
		return 1;
	case SQLITE_DONE:
		return 0;
	default:
		return db_fail(db->handle, db->path, err);
	}
}

int db_run(struct db *db, struct err *err, const char *sql, const char *types, ...)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	va_list ap;
	int rc = db_query(db, sql, &st, err);

	if (rc < 0)
		return rc;
	va_start(ap, types);
	rc = bind_list(st, err, types, ap);
	va_end(ap);
	while (rc == 0 && (rc = db_step(db, st, err)) > 0)
		rc = 0;
	return rc;
}

int db_int(struct db *db, struct err *err, int64_t *ret, const char *sql, const char *types, ...)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	va_list ap;
	int rc = db_query(db, sql, &st, err);

	if (rc < 0)
		return rc;
	va_start(ap, types);
	rc = bind_list(st, err, types, ap);
	va_end(ap);
	if (rc == 0)
		rc = db_step(db, st, err);
	if (rc > 0)
		*ret = sqlite3_column_int64(st, 0);
	return rc;
}

struct bytes db_bytes(sqlite3_stmt *st, int column)
{
	const uint8_t *p = sqlite3_column_blob(st, column);
	int n = sqlite3_column_bytes(st, column);

	return (struct bytes){p, p == NULL ? 0 : (size_t)n};
}

const char *db_text(sqlite3_stmt *st, int column)
{
	const unsigned char *text = sqlite3_column_text(st, column);

	return text == NULL ? "" : (const char *)text;
}

int64_t db_i64(sqlite3_stmt *st, int column)
{
	return sqlite3_column_int64(st, column);
}

bool db_digest(sqlite3_stmt *st, int column, struct digest *ret)
{
	struct bytes b = db_bytes(st, column);

	if (b.n != DIGEST_BYTES)
		return false;
	memcpy(ret->b, b.p, DIGEST_BYTES);
	return true;
}
