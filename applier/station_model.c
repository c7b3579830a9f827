/*
 * What a workstation remembers of people: added to its database when it learned of them.
 */
#include "applier/station_internal.h"

const char station_model_sql[] =
    /* What people said, and what is about a message, is never said twice the same, nor dropped. */
    "ALTER TABLE event ADD COLUMN about TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE event ADD COLUMN user TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE event ADD COLUMN kept INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE activation (" /* asked for, and not answered yet */
    " id TEXT PRIMARY KEY,"
    " account TEXT NOT NULL,"
    " people TEXT NOT NULL,"   /* who had that account when it was asked for */
    " collect TEXT NOT NULL,"  /* the collect key that it is sealed to */
    " path TEXT NOT NULL,"     /* of the request, in the outbox */
    " until INTEGER NOT NULL)" /* no server will take it any more */
    " STRICT, WITHOUT ROWID;"
    "CREATE TABLE handed (" /* of each user who is active here: how the last hand-out came out */
    " email TEXT PRIMARY KEY,"
    " account TEXT NOT NULL,"
    " result TEXT NOT NULL,"
    " reason TEXT NOT NULL,"
    " at INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE message (" /* what became of those that are in the private channel */
    " id TEXT PRIMARY KEY,"
    " read INTEGER NOT NULL DEFAULT 0," /* when; 0: not yet */
    " answered INTEGER NOT NULL DEFAULT 0,"
    " done INTEGER NOT NULL DEFAULT 0)" /* a command: when it was carried out or refused */
    " STRICT, WITHOUT ROWID;";
