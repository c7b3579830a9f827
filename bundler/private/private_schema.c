/* SPDX-License-Identifier: ISC */
/*
 * The tables of private channels: the newest generation of each, whom it has, and what earlier ones
 * said.
 */
#include "bundler/private/private.h"
#include "bundler/registry/registry.h"

static const char tables[] =
    /* inputs: digest of what it was compiled from, NULL when it is to be compiled again; policy:
     * digest of the policy in it, NULL when there is none */
    "CREATE TABLE private(id TEXT PRIMARY KEY, epoch INTEGER NOT NULL, generation INTEGER NOT NULL,"
    " tree BLOB NOT NULL, manifest BLOB NOT NULL, path TEXT NOT NULL, inputs BLOB, policy BLOB)"
    " STRICT, WITHOUT ROWID;"
    /* gone 0: the newest generation has the user; 1: epoch and generation are of the first that
     * does not */
    "CREATE TABLE private_users(id TEXT NOT NULL, email TEXT NOT NULL, gone INTEGER NOT NULL,"
    " epoch INTEGER NOT NULL, generation INTEGER NOT NULL, PRIMARY KEY(id, email)) STRICT,"
    " WITHOUT ROWID;"
    "CREATE INDEX private_users_email ON private_users(email, id);"
    /* what generations held, for codes that confirm them; beat: the first that names it; channels,
     * people: a line each */
    "CREATE TABLE private_history(id TEXT NOT NULL, beat INTEGER NOT NULL, epoch INTEGER NOT NULL,"
    " generation INTEGER NOT NULL, tree BLOB NOT NULL, channels TEXT NOT NULL, people TEXT NOT NULL,"
    " PRIMARY KEY(id, epoch, generation)) STRICT, WITHOUT ROWID;";
static const char views[] =
    "CREATE VIEW private_newest AS SELECT id, epoch, generation, tree, manifest, path, policy"
    " FROM private;"
    "CREATE VIEW private_user AS SELECT id, email, gone, epoch, generation FROM private_users;"
    "CREATE VIEW private_held_apart AS SELECT id, epoch, generation, since FROM private_apart;";
/* signer: the key that signed the newest generation; NULL: not known. */
static const char signer[] = "ALTER TABLE private ADD COLUMN signer BLOB;";
/* Workstations whose private channel is newer than the registry.  since: seconds since 1970 UTC. */
static const char apart[] =
    "CREATE TABLE private_apart(id TEXT PRIMARY KEY, epoch INTEGER NOT NULL,"
    " generation INTEGER NOT NULL, since INTEGER NOT NULL) STRICT, WITHOUT ROWID;";
static const char *const steps[] = {tables, signer, apart};
const struct db_schema private_schema = DB_SCHEMA_VIEWS("private", steps, views);

static const char *const forget_workstation[] = {
    "DELETE FROM private_users WHERE id = ?1",
    "DELETE FROM private_history WHERE id = ?1",
    "DELETE FROM private_apart WHERE id = ?1",
    "UPDATE private SET inputs = NULL, policy = NULL WHERE id = ?1",
    NULL,
};
const struct forget_sql private_forget = {forget_workstation, NULL};
