/* SPDX-License-Identifier: ISC */
/*
 * The own database, SQLite: opened with a schema version, statements prepared once, one error for
 * every failure (RC_STATE when it is damaged or too new, RC_BUSY when another run holds it,
 * RC_SPACE when the disk is full).  Databases never lie in a depot.
 */
#ifndef SATCHEL_CORE_OS_DB_H
#define SATCHEL_CORE_OS_DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/bytes.h"
#include "core/base/digest.h"
#include "core/base/own.h"

struct db; /* one connection */

/* application_id of our databases: says whose a file is, whatever it is called. */
#define DB_ID_REGISTRY 0x53415243u /* "SARC": the registry of a server */
#define DB_ID_STATION  0x53415457u /* "SATW": the state of a workstation */

/* The tables that one room of the program owns. */
struct db_schema {
	const char *room;        /* its name in the database; never changed */
	const char *const *step; /* SQL: the first makes the tables, each next one changes them */
	int steps;
	/* SQL: the views that it publishes for rooms above; NULL: none.  They hold nothing, so they
	 * are made anew after any step; one that changes alone needs an empty step. */
	const char *views;
};
#define DB_SCHEMA_VIEWS(name, list, text)                                                      \
	{                                                                                      \
		.room = (name), .step = (list), .steps = (int)ARRAY_LEN(list), .views = (text) \
	}
#define DB_SCHEMA(name, list) DB_SCHEMA_VIEWS(name, list, NULL)

/* What a database is made of. */
struct db_layout {
	uint32_t application_id;
	const struct db_schema *const *room;
	size_t rooms;
	int before;              /* user_version from before there were rooms; 0: there was none */
	const char *from_before; /* SQL from that to what the first step of every room makes */
};

/**
 * db_open(path, layout, ret, err):
 * Open or make the database.  The steps that a room has taken are counted in the table
 * schema_room; what is missing is done in one transaction, with all views dropped before it and
 * made after it, and user_version is the sum of all, so that a database that is up to date costs no
 * look at that table. WAL, synchronous=FULL, foreign keys, trusted_schema off, 64 MiB of cache at
 * most, busy timeout of 10 s, mode 0600.  A newer schema is RC_STATE, and so is another
 * application's file, a damaged one, and an empty one: a new database gets its name only when its
 * schema is whole.  One connection is for one thread.  A connection is not used across fork.
 */
int db_open(const char *path, const struct db_layout *layout, struct db **ret, struct err *err);
/**
 * db_free(db), db_freep(db): close the connection; its statements end with it, and what was not
 * committed is rolled back.  NULL is fine; db_free returns NULL.
 */
struct db *db_free(struct db *db);
void db_freep(struct db **db);
/** db_handle(db): SQLite's own handle, borrowed, for what has no wrapper here. */
sqlite3 *db_handle(struct db *db);

/**
 * A transaction that ends with its scope.  db_tx_begin starts it (BEGIN IMMEDIATE), db_tx_commit
 * makes it last, and db_tx_end, the clean-up, rolls back what was not committed:
 *
 *	OWNED(db_tx_end) struct db_tx tx = {0};
 *	int rc = db_tx_begin(&tx, db, err);
 *	...			every early return rolls back
 *	return rc < 0 ? rc : db_tx_commit(&tx, err);
 */
struct db_tx {
	struct db *db; /* borrowed; NULL: nothing to commit or to roll back */
};
/** db_tx_begin(tx, db, err): errors: RC_BUSY when another run holds the database for long. */
int db_tx_begin(struct db_tx *tx, struct db *db, struct err *err);
/** db_tx_join(tx, db, err): likewise, but inside a transaction that the caller began this is a part
 * of it: the caller's commit or roll-back decides, and db_tx_commit and db_tx_end do nothing. */
int db_tx_join(struct db_tx *tx, struct db *db, struct err *err);
/** db_tx_commit(tx, err): on failure everything is rolled back. */
int db_tx_commit(struct db_tx *tx, struct err *err);
/** db_tx_end(tx): roll back what was not committed; fine on an empty one.  For OWNED. */
void db_tx_end(struct db_tx *tx);

/** db_begin(db, err), db_commit(db, err), db_rollback(db): the same by hand, for a transaction that
 * outlives the function that begins it.  db_commit rolls back on failure; db_rollback is fine
 * outside a transaction. */
int db_begin(struct db *db, struct err *err);
int db_commit(struct db *db, struct err *err);
void db_rollback(struct db *db);
/**
 * db_exec(db, sql, err): one or more statements without parameters or rows, not cached.  Errors:
 * as at the top.
 */
int db_exec(struct db *db, const char *sql, struct err *err);

/**
 * db_query(db, sql, ret, err): prepare through a cache of statements keyed by the address of
 * ${sql} (a string literal).  The statement comes reset, with no bindings.  One statement is
 * handed out once at a time: a recursive use is RC_INTERNAL.
 * db_done(st): give it back, reset and without bindings; ${*st} becomes NULL.  NULL is fine; for
 * OWNED.
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

/**
 * Columns of the current row, counted from 0.  Text and bytes are borrowed until the next step.
 * db_bytes(st, column): a blob or text; no bytes for NULL.  db_text(st, column): "" for NULL.
 * db_i64(st, column): 0 for NULL.
 */
struct bytes db_bytes(sqlite3_stmt *st, int column);
const char *db_text(sqlite3_stmt *st, int column); /* "" for NULL */
int64_t db_i64(sqlite3_stmt *st, int column);
/** db_digest(st, column, ret): false when it is not 32 bytes long. */
bool db_digest(sqlite3_stmt *st, int column, struct digest *ret);

#endif
