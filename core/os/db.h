/*
 * The own database, SQLite: opened with a schema version, statements prepared once, one error for
 * every failure (RC_STATE when it is damaged or too new, RC_BUSY when another run holds it,
 * RC_SPACE when the disk is full).  Databases never lie in a depot.
 */
#ifndef SATCHEL_OS_DB_H
#define SATCHEL_OS_DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/bytes.h"
#include "core/base/digest.h"

struct db; /* one connection */

/**
 * db_open(path, application_id, migrations, count, ret, err):
 * Open or make the database; ${migrations}[i] is the SQL that takes schema i to i+1 (user_version).
 * WAL, synchronous=FULL, foreign keys, trusted_schema off, 64 MiB of cache at most, busy timeout of
 * 10 s, mode 0600.  A schema newer than ${count} is RC_STATE, and so is another application's file,
 * a damaged one, and an empty one: a new database gets its name only when its schema is whole. One
 * connection is for one thread.  A connection is not used across fork.
 */
int db_open(const char *path, uint32_t application_id, const char *const *migrations, int count,
	    struct db **ret, struct err *err);
struct db *db_free(struct db *db);
void db_freep(struct db **db);
sqlite3 *db_handle(struct db *db);

int db_begin(struct db *db, struct err *err);  /* IMMEDIATE */
int db_commit(struct db *db, struct err *err); /* on failure everything is rolled back */
void db_rollback(struct db *db);               /* fine outside a transaction */
int db_exec(struct db *db, const char *sql, struct err *err);

/**
 * db_query(db, sql, ret, err): prepare through a cache of statements keyed by the address of ${sql}
 * (a string literal).  The statement comes reset, with no bindings; db_done() gives it back.
 * One statement is handed out once at a time: a recursive use is RC_INTERNAL.
 */
int db_query(struct db *db, const char *sql, sqlite3_stmt **ret, struct err *err);
void db_done(sqlite3_stmt **st);

/**
 * db_bind(st, err, types, ...): bind parameters 1..n by letter: i int64_t, t const char * (NULL is
 * NULL), b struct bytes (copied), B struct bytes (borrowed until db_done), d const struct digest *,
 * n NULL (no argument).
 */
int db_bind(sqlite3_stmt *st, struct err *err, const char *types, ...);
/** db_step(db, st, err): 1 a row, 0 no more, negative an error. */
int db_step(struct db *db, sqlite3_stmt *st, struct err *err);
/** db_run(db, err, sql, types, ...): prepare, bind, step to the end, give back. */
int db_run(struct db *db, struct err *err, const char *sql, const char *types, ...);
/** db_int(db, err, ret, sql, types, ...): the first column of the first row; 1 found, 0 no row, <0
 * error. */
int db_int(struct db *db, struct err *err, int64_t *ret, const char *sql, const char *types, ...);

/** Columns. Text and bytes are valid until the next step. */
struct bytes db_bytes(sqlite3_stmt *st, int column);
const char *db_text(sqlite3_stmt *st, int column); /* "" for NULL */
int64_t db_i64(sqlite3_stmt *st, int column);
/** db_digest(st, column, ret): false when it is not 32 bytes long. */
bool db_digest(sqlite3_stmt *st, int column, struct digest *ret);

#endif
