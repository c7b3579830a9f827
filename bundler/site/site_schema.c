/* SPDX-License-Identifier: ISC */
/*
 * The registry as a whole: the tables of every room of the server, in the order of the rooms.
 * Only here are they known together; each room makes, reads and writes its own.
 */
#include "bundler/activation/activation.h"
#include "bundler/carry/consignment.h"
#include "bundler/collect/collect.h"
#include "bundler/documents/documents.h"
#include "bundler/enrolment/enrolment.h"
#include "bundler/keystore/keystore.h"
#include "bundler/messages/message.h"
#include "bundler/outbox/site_post.h"
#include "bundler/pack/store.h"
#include "bundler/private/private.h"
#include "bundler/publish/publish.h"
#include "bundler/published/published.h"
#include "bundler/receipts/receipts.h"
#include "bundler/registry/registry.h"
#include "bundler/resend/resend.h"
#include "bundler/sealed/sealed.h"
#include "bundler/site/site_internal.h"
#include "bundler/trust/site_trust.h"
#include "bundler/workstations/workstations.h"
#include "core/tree/index.h"

/* user_version of the registries of 0.1.0. */
#define REGISTRY_0_1 9

static const struct db_schema *const rooms[] = {
    &registry_schema,     &index_schema,     &document_schema,   &trust_schema,
    &workstations_schema, &receipts_schema,  &activation_schema, &keystore_schema,
    &published_schema,    &store_schema,     &outbox_schema,     &message_schema,
    &private_schema,      &enrolment_schema, &publish_schema,    &collect_schema,
    &consignment_schema,  &sealed_schema,    &resend_schema,
};

/* From the tables of 0.1.0 to those of today. */
static const char from_0_1[] =
    /* It only saves reading the documents again. */
    "DROP TABLE document;"
    "CREATE TABLE document_cache(kind TEXT NOT NULL, name TEXT NOT NULL, size INTEGER NOT NULL,"
    " mtime INTEGER NOT NULL, ctime INTEGER NOT NULL, inode INTEGER NOT NULL,"
    " content BLOB NOT NULL, PRIMARY KEY(kind, name)) STRICT, WITHOUT ROWID;"
    /* What belongs to a private channel stands in its row. */
    "ALTER TABLE private ADD COLUMN inputs BLOB;"
    "ALTER TABLE private ADD COLUMN policy BLOB;"
    "UPDATE private SET (inputs, policy) ="
    " (SELECT w.inputs, w.policy FROM workstation w WHERE w.id = private.id);"
    "ALTER TABLE workstation DROP COLUMN inputs;"
    "ALTER TABLE workstation DROP COLUMN policy;"
    /* Better names.  RENAME would leave another text in sqlite_schema than CREATE. */
    "CREATE TABLE pending_request(id TEXT PRIMARY KEY, name TEXT NOT NULL, sign BLOB NOT NULL,"
    " sign_number INTEGER NOT NULL, seal BLOB NOT NULL, seal_number INTEGER NOT NULL,"
    " at INTEGER NOT NULL, why TEXT NOT NULL) STRICT, WITHOUT ROWID;"
    "INSERT INTO pending_request SELECT * FROM held_request;"
    "DROP TABLE held_request;"
    "CREATE TABLE private_users(id TEXT NOT NULL, email TEXT NOT NULL, gone INTEGER NOT NULL,"
    " epoch INTEGER NOT NULL, generation INTEGER NOT NULL, PRIMARY KEY(id, email)) STRICT,"
    " WITHOUT ROWID;"
    "INSERT INTO private_users SELECT * FROM carried;"
    "DROP TABLE carried;"
    "CREATE INDEX private_users_email ON private_users(email, id);"
    "CREATE TABLE private_history(id TEXT NOT NULL, beat INTEGER NOT NULL, epoch INTEGER NOT NULL,"
    " generation INTEGER NOT NULL, tree BLOB NOT NULL, channels TEXT NOT NULL, people TEXT NOT NULL,"
    " PRIMARY KEY(id, epoch, generation)) STRICT, WITHOUT ROWID;"
    "INSERT INTO private_history SELECT * FROM private_past;"
    "DROP TABLE private_past;";

static const struct db_layout layout = {
    .application_id = DB_ID_REGISTRY,
    .room = rooms,
    .rooms = ARRAY_LEN(rooms),
    .before = REGISTRY_0_1,
    .from_before = from_0_1,
};

int registry_open(const char *path, struct db **ret, struct err *err)
{
	if (db_open(path, &layout, ret, err) < 0)
		return err_prefix(err, "registry %s", path);
	return 0;
}
