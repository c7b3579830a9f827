/* SPDX-License-Identifier: ISC */
/*
 * Between the files of compile.h: what private channels are made of, read once (compile.c),
 * beside the rows of each workstation (compile_inputs.c), and the tree of one (compile_tree.c).
 */
#ifndef SATCHEL_BUNDLER_PRIVATE_COMPILE_INTERNAL_H
#define SATCHEL_BUNDLER_PRIVATE_COMPILE_INTERNAL_H

#include "bundler/documents/site_model.h"
#include "bundler/entitlement/policy.h"
#include "bundler/keystore/keystore.h"
#include "bundler/private/compile.h"
#include "bundler/private/private.h"
#include "bundler/sealed/sealed.h"
#include "core/base/list.h"

/* What all workstations have in common. */
struct compile {
	struct site *s;        /* borrowed */
	int64_t now;           /* licences are judged by this time, once for the whole run */
	struct people *people; /* owned, as what follows */
	struct policies *policies;
	struct keystore *keys; /* NULL while nothing is made */
	struct digest common;  /* of what all private channels depend on */
	/* Every channel's subscription document. */
	struct compile_channel {
		const struct site_channel *channel; /* borrowed */
		char path[CHANNEL_NAME + 16];       /* "channels/NAME.yaml" */
		struct buf text;                    /* owned */
		struct digest digest;               /* of the text, and of the numbers */
		LIST(uint64_t) key; /* owned: numbers of the content keys of its bundles */
		/* Of one with rings: */
		struct published_offers offers;       /* owned */
		struct published_generation released; /* to all; generation 0: none */
		struct receipts_helds held;           /* owned: what workstations say */
	} * channel;                                  /* ascending by path */
	size_t channels;
	/* Every key that has a document: the versions that are handed out. */
	struct compile_key {
		uint64_t current; /* 0: the store has none yet */
		uint64_t older[KEYSTORE_VERSIONS];
		size_t olders;
		struct digest digest; /* of name and versions */
	} * key;                      /* as s->key */
	/* Effective policies that were written lately: many workstations have the same. */
	struct compile_text {
		struct digest of; /* what it is made of */
		struct buf text;  /* owned */
	} * text;                 /* ascending by ${of} */
	size_t texts;
};

/**
 * compile_load(s, ret, err): read what all have in common; ${s} is borrowed.  Errors: those of
 * people_new and policies_new; RC_STATE.
 * compile_clear(c): release it, and wipe what the key store has opened.  For OWNED.
 */
int compile_load(struct site *s, struct compile *ret, struct err *err);
void compile_clear(struct compile *c);
/**
 * compile_keys_make(c): a first version of every key that has none.  A key that cannot be made is
 * left out: whoever is to have it fails later, and nobody else.
 * compile_keys_load(c, err): read which versions are handed out.
 */
void compile_keys_make(struct compile *c);
int compile_keys_load(struct compile *c, struct err *err);

/* A user who is active on a workstation, and entitled. */
struct compile_user {
	const struct site_user *user; /* borrowed */
	char account[ACCOUNT_NAME];
};

/* One workstation beside its rows. */
struct compile_member {
	char id[WORKSTATION_ID + 1];
	char name[WORKSTATION_NAME];
	bool leaving;                     /* to be decommissioned */
	const struct site_workstation *w; /* borrowed: its document, or ${spare} */
	struct site_workstation spare;    /* its name alone, when its document was removed */
	struct key_public sign, seal;
	struct key_public codes;            /* absent: it was not told */
	uint64_t renew;                     /* how often it was asked to renew its sealing key */
	bool renewed;                       /* ${seal} is not what it enrolled with */
	LIST(struct compile_user) user;     /* owned; ascending by e-mail address */
	LIST(const struct site_user *) who; /* owned: the same, as policies want them */
	struct digest inputs;               /* of everything that goes in, but for the salt */
	bool changed;                       /* that is not what the last generation was made of */
};

/** compile_each(c, each, arg, err): every workstation that is to have a private channel, ascending
 * by id; ${each} may keep nothing of the member. */
int compile_each(struct compile *c,
		 int (*each)(void *arg, struct compile *c, const struct compile_member *m,
			     struct err *err),
		 void *arg, struct err *err);
/** compile_member_read(c, id, ret, err): one of them, by itself. */
int compile_member_read(struct compile *c, const char *id, struct compile_member *ret,
			struct err *err);
/** compile_member_clear(m): release its users; all zero afterwards.  For OWNED. */
void compile_member_clear(struct compile_member *m);
/** compile_subscribes(c, m, channel): does the channel name the workstation, or do the groups of a
 * user there give it? */
bool compile_subscribes(const struct compile *c, const struct compile_member *m,
			const struct site_channel *channel);

/** compile_offer(c, m, ch, ret_ring): what ${m} is offered of ${ch} ahead of all; NULL: nothing.
 * ${ret_ring}: in which ring it counts; 0: in none. */
const struct published_offer *compile_offer(const struct compile *c, const struct compile_member *m,
					    const struct compile_channel *ch, uint64_t *ret_ring);
/** compile_subscription(ch, o, ret, err): append the document that says so. */
int compile_subscription(const struct compile_channel *ch, const struct published_offer *o,
			 struct buf *ret, struct err *err);

/* The tree of one workstation as it grows. */
struct compile_content {
	char path[CHANNEL_NAME + 32]; /* the longest are in channel-keys/ and people/ */
	struct buf text;              /* owned */
	struct bytes secret;          /* borrowed from the key store, in the place of ${text} */
};
struct compile_tree {
	LIST(struct compile_content) file;    /* owned */
	LIST(struct key_version) version;     /* owned: in secrets/, ascending */
	LIST(struct private_channel) channel; /* owned; the names are borrowed */
	LIST(struct private_person) person;   /* owned; the texts are borrowed */
	LIST(struct private_file) ready;      /* owned: the files by path */
	struct digest policy;                 /* of policy.yaml; zero when there is none */
	struct private_content content;       /* all of it, once it is made */
};
/** compile_tree_make(c, m, ret, err): ret->content is what private_publish wants; it borrows from
 * ${c} and ${m} until compile_tree_clear. */
int compile_tree_make(struct compile *c, const struct compile_member *m, struct compile_tree *ret,
		      struct err *err);
/** compile_tree_clear(t): release files and texts; secrets stay with the key store.  For OWNED. */
void compile_tree_clear(struct compile_tree *t);

#endif
