/* SPDX-License-Identifier: ISC */
/*
 * The documents that cross a depot, decoded: beat, shard, head, manifest, receipt, request,
 * subscription, membership, person, message.  Field meanings: schemas/.
 *
 * X_decode takes the innermost bytes, already verified, and touches no files; ${ret} is untouched
 * on failure.  Errors: RC_MALFORMED with file, line and field; RC_LIMIT; RC_MEMORY.
 * X_encode appends the innermost bytes, beginning with "satchel: TYPE\n", after it has read them
 * again.  Errors: likewise, for what the reader would refuse.
 * X_clear releases what the struct owns; for OWNED.
 */
#ifndef SATCHEL_CORE_FORMAT_DOCUMENTS_DOCUMENTS_H
#define SATCHEL_CORE_FORMAT_DOCUMENTS_DOCUMENTS_H

#include "core/base/digest.h"
#include "core/base/limits.h"
#include "core/trust/key.h"
#include "core/trust/trust.h"

#define CHANNEL_NAME 64 /* with NUL */
#define WORD_NAME    64 /* of a group, licence, key or policy, with NUL */
#define EMAIL_NAME   255
#define ACCOUNT_NAME 65
#define MESSAGE_ID   16 /* digits */
/* Events that one receipt carries at most (schemas/receipt.yaml). */
#define RECEIPT_EVENTS 1000u
/* Users that one receipt names at most: what a large terminal server has, in half a receipt. */
#define RECEIPT_USERS 200u

/**
 * trustdoc_decode(in, ret, err): identity is filled in; site is the caller's (trust_first).  As
 * X_decode above.
 * trustdoc_encode(t, ret, err): as X_encode above; what trust_check would refuse is refused.
 */
int trustdoc_decode(struct bytes in, struct trust *ret, struct err *err);
int trustdoc_encode(const struct trust *t, struct buf *ret, struct err *err);

/* Workstations that one beat rings at; more are rung at all together. */
#define BEAT_KNOCKS 64u

struct beat {
	struct digest site;
	uint64_t epoch;    /* of the beat role */
	uint64_t sequence; /* order; time is only staleness */
	int64_t issued, expires;
	uint64_t trust; /* current trust version */
	struct beat_shard {
		uint8_t xx;
		struct digest digest; /* identity of the shard */
	} shard[256];                 /* ascending xx, only those that have entries */
	size_t shards;
	/* Who should look at once, though nothing may have changed for them: an addition (`more`)
	 * that readers may ignore. */
	bool knock_all;
	char knock[BEAT_KNOCKS][WORKSTATION_ID + 1];
	size_t knocks;
	uint64_t recovered; /* when the server was restored from a backup, and not all workstations
			       have said since what they have; 0: it was not.  An addition too. */
};
/**
 * beat_decode(in, ret, err), beat_encode(b, ret, err): as X_decode and X_encode above, at most
 * LIMIT_DOCUMENT bytes; ${ret} owns nothing.
 */
int beat_decode(struct bytes in, struct beat *ret, struct err *err);
int beat_encode(const struct beat *b, struct buf *ret, struct err *err);

struct shard_channel {
	char name[CHANNEL_NAME];
	uint64_t epoch, generation;
	struct digest head; /* identity of the head */
};
struct shard_workstation {
	char id[WORKSTATION_ID + 1];
	uint64_t epoch, generation; /* of the private channel; 0 while there is none */
	struct digest manifest;     /* identity of the private bundle's manifest */
	uint64_t receipt;           /* highest receipt sequence that the server recorded */
};
struct shard {
	struct digest site;
	uint8_t xx;
	struct shard_channel *channel; /* owned; ascending by name */
	size_t channels;
	struct shard_workstation *workstation; /* owned; ascending by id */
	size_t workstations;
};
/**
 * shard_decode(in, ret, err), shard_encode(s, ret, err): as X_decode and X_encode above, at most
 * LIMIT_DOCUMENT bytes; names and ids that belong to another shard are RC_MALFORMED.
 * shard_clear(s): release what ${s} owns; all zero afterwards.
 * shard_of(name_or_id): which shard a channel or workstation is in: the first byte of the digest
 * of the text.
 */
int shard_decode(struct bytes in, struct shard *ret, struct err *err);
int shard_encode(const struct shard *s, struct buf *ret, struct err *err);
void shard_clear(struct shard *s);
uint8_t shard_of(const char *name_or_id); /* first byte of the digest of the text */

struct head {
	struct digest site;
	char channel[CHANNEL_NAME];
	uint64_t epoch, generation;
	struct digest tree; /* of this generation */
	int64_t created;
	struct head_bundle {
		uint64_t base, generation;
		uint64_t size; /* of the file, bytes */
		struct digest
		    prefix; /* digest of the file's prefix; its first half is in the file name */
		struct digest manifest; /* identity of its manifest */
	} * bundle; /* owned; a complete path from 0 to generation is among them */
	size_t bundles;
	/* owned: format 2: the whole signed release of this generation; empty: format 1 */
	struct buf release;
};
/**
 * head_decode(in, ret, err), head_encode(h, ret, err): as X_decode and X_encode above, at most
 * LIMIT_DOCUMENT bytes; bundles that do not lead from 0 to the generation are RC_MALFORMED.
 * head_clear(h): release what ${h} owns.
 */
int head_decode(struct bytes in, struct head *ret, struct err *err);
int head_encode(const struct head *h, struct buf *ret, struct err *err);
void head_clear(struct head *h);
/**
 * head_path(h, from, ret, ret_n, err): the cheapest way (bytes) from generation ${from} to the
 * head's: indexes into h->bundle, in order.  ${from} == generation: an empty path.  RC_INCOMPLETE
 * when there is none from ${from}.
 */
int head_path(const struct head *h, uint64_t from, size_t ret[LIMIT_HEAD_BUNDLES], size_t *ret_n,
	      struct err *err);

/* What a channel is: the trees that its bundles may begin with and lead to. */
struct release {
	struct digest site;
	char channel[CHANNEL_NAME];
	uint64_t epoch, generation;
	struct digest tree; /* of this generation */
	int64_t created;
	struct release_tree {
		uint64_t generation;
		struct digest tree;
	} * before; /* owned; earlier generations, ascending */
	size_t befores;
};
/**
 * release_decode(in, ret, err), release_encode(r, ret, err): as X_decode and X_encode above, at
 * most LIMIT_DOCUMENT bytes. release_tree(r, generation): the tree that it names for a generation,
 * or NULL; borrowed. release_clear(r): release what ${r} owns.
 */
int release_decode(struct bytes in, struct release *ret, struct err *err);
int release_encode(const struct release *r, struct buf *ret, struct err *err);
const struct digest *release_tree(const struct release *r, uint64_t generation);
void release_clear(struct release *r);

struct manifest {
	struct digest site;
	bool private_channel; /* then channel is empty and recipient is set */
	char channel[CHANNEL_NAME];
	char recipient[WORKSTATION_ID + 1]; /* sealed to; "" when it is not sealed */
	uint64_t epoch, base, generation;
	struct digest base_tree, tree;
	int64_t created;
	uint64_t minimum;     /* format that a reader must know: 1, of a sealed channel 2 */
	uint64_t count[7];    /* by enum change_op */
	uint64_t content;     /* bytes of content written below the target (put, patch, copy) */
	uint64_t unpacked;    /* length of the payload's tar, bytes */
	uint64_t payload;     /* length of payload.tar.zst as it lies there, bytes */
	struct digest blocks; /* of the member `blocks` */
	struct digest changes;
	uint64_t changes_size;   /* bytes */
	uint8_t sealed_key[80];  /* of a private channel: crypto_box_seal of the content key */
	uint64_t key;            /* of a sealed channel: number of its content key; 0: not sealed */
	uint8_t sealed_salt[48]; /* likewise: the salt of its digests, under that key */
	uint8_t stream_header[24]; /* of both */
};
#define MANIFEST_NEWEST 2 /* the newest format that is read here */
/* In a private channel: the content keys of sealed channels, CHANNEL_KEYS/NAME.NUMBER, 32 bytes. */
#define CHANNEL_KEYS "channel-keys"
/** manifest_type(inner): does it begin as a manifest, of any format that is read here? */
bool manifest_type(struct bytes inner);
/** manifest_sealed(m): can only who has a key read the payload? */
bool manifest_sealed(const struct manifest *m);
/**
 * manifest_decode(in, ret, err), manifest_encode(m, ret, err): as X_decode and X_encode above, at
 * most LIMIT_MANIFEST bytes; ${ret} owns nothing.
 */
int manifest_decode(struct bytes in, struct manifest *ret, struct err *err);
int manifest_encode(const struct manifest *m, struct buf *ret, struct err *err);

/* Hexadecimal digits of a receipt's instance. */
#define RECEIPT_INSTANCE 32

struct receipt {
	struct digest site;
	char workstation[WORKSTATION_ID + 1];
	uint64_t sequence;
	int64_t written;
	uint64_t beat_epoch, beat; /* newest beat accepted; 0: freshness unknown */
	uint64_t trust;            /* trust version held */
	uint64_t private_epoch, private_generation;
	struct digest private_tree;
#define VERIFY_DAYS_MAX 3650u /* days of a receipt's verify-days */
	struct receipt_channel {
		char name[CHANNEL_NAME];
		uint64_t epoch, generation; /* held, whatever the result */
		struct digest tree;         /* what is held */
		char result[16];  /* "applied", "current", "refused", "failed", "waiting", "left" */
		char reason[512]; /* slug ": " sentence, when the result is not good; may hold
				     foreign bytes */
		uint64_t wanted;  /* generation that was tried; 0: none */
		uint64_t deviations, adaptations, drift; /* counts */
		int64_t at;                              /* of the result */
		uint64_t milliseconds;                   /* that the apply took */
		int64_t verified; /* since when every file has been read; 0: not said */
		/* Said below more:; "" when it is not. */
		char file_system[24]; /* of the target: "ext4" */
		char lacks[128];      /* what that cannot hold: words with spaces between */
		char conflicts[512];  /* paths that are in the way of an update */
	} * channel;                  /* owned */
	size_t channels;
	uint64_t verify_days; /* within which all of it is read; 0: not said, or never */
	struct digest policy; /* of the effective policy in force; zero: none */
	struct receipt_user {
		char email[EMAIL_NAME];
		char account[ACCOUNT_NAME];
		char result[16]; /* "handed-out", "failed", "withheld" */
		char reason[512];
		int64_t at; /* of the result */
	} * user;           /* owned; who is active here, at most RECEIPT_USERS */
	size_t users;
	bool wiped;         /* the last receipt of a decommissioned workstation */
	int64_t next_check; /* when it looks again by itself; 0: not known */
	struct receipt_event {
		uint64_t number; /* counts up for ever on this workstation */
		int64_t at;
		char kind[32]; /* slug: "untrusted", "clock", "read", "answer", "report", ... */
		char text[512];
		char about[MESSAGE_ID + 1]; /* the message that it is about, or "" */
		char user[EMAIL_NAME];      /* who said it; "": the workstation itself */
	} * event;                          /* owned; not yet acknowledged, oldest dropped first */
	size_t events;
	uint64_t free_bytes; /* on the file system of the state directory */
	char version[32];    /* of satchel */
	uint64_t formats;    /* newest formats that the writer reads: FORMAT_NEWEST */
	/* What the next private bundle shall be sealed to, and what confirmation codes are made
	 * with; absent: it is not said. */
	struct key_public seal, codes;
	struct digest previous; /* identity of the receipt before this; zero: it is the first, or it
				   is not said */
	uint64_t set_back;      /* it was set back to an older copy of itself, and goes on above
				   this number; 0: it was not */
	/* Keys of users that a server which was restored has lost, sealed to the collect key by
	 * themselves, in base64; NULL: none. */
	char *returned;                      /* owned */
	uint64_t recovered;                  /* not in the document: the beat that asks for them */
	char instance[RECEIPT_INSTANCE + 1]; /* of the state directory, see station_state.h; "": it
						is not said */
};
/* What a receipt had to leave out to be no larger than one may be. */
struct receipt_cut {
	size_t events; /* the oldest */
	bool reasons;  /* ends of reasons of channels and users */
};
/**
 * receipt_decode(in, ret, err): as X_decode above, at most LIMIT_RECEIPT bytes.
 * receipt_encode(r, ret_cut, ret, err): as X_encode above; what does not fit LIMIT_RECEIPT with
 * signature and seal is left out, the oldest events first, then the ends of reasons, and
 * ${ret_cut} (may be NULL) says so.  RC_LIMIT when that is not enough.
 * receipt_from(y, ret, err): as receipt_decode, from a tree that another process parsed.
 * receipt_exact(r, in, err): 1 when ${in} is what receipt_encode makes of ${r}: then ${r} is what
 * stands there, whoever read it; 0 when it is not.
 * receipt_clear(r): release what ${r} owns.
 */
int receipt_decode(struct bytes in, struct receipt *ret, struct err *err);
int receipt_encode(const struct receipt *r, struct receipt_cut *ret_cut, struct buf *ret,
		   struct err *err);
struct yaml;
int receipt_from(const struct yaml *y, struct receipt *ret, struct err *err);
int receipt_exact(const struct receipt *r, struct bytes in, struct err *err);
void receipt_clear(struct receipt *r);

/* Contents that one request names: each is a line of 70 bytes in a document of 8 KiB. */
#define REQUEST_CONTENTS 64u

struct request {
	struct digest site;
	char kind[16]; /* "enrol", "resend", "activate" */
	char workstation[WORKSTATION_ID + 1];
	uint64_t sequence;
	int64_t written;
	char name[128];               /* what it calls itself: a hint */
	struct key_public sign, seal; /* enrol */
	struct key_public codes;      /* enrol: for confirmation codes; absent: it is not said */
	char invitation[17];          /* enrol: id, or "" when it was not invited */
	char activation[17];          /* activate: id */
	char account[ACCOUNT_NAME];   /* activate: the Unix account that the user has there */
	struct digest proof;          /* enrol with an invitation, activate */
	char channel[CHANNEL_NAME];   /* resend */
	uint64_t generation;          /* resend: held */
	/* resend: contents that are missing; none: it is not said which */
	struct digest content[REQUEST_CONTENTS];
	size_t contents;
};
/**
 * request_decode(in, ret, err), request_encode(r, ret, err): as X_decode and X_encode above, at
 * most LIMIT_REQUEST bytes; ${ret} owns nothing.
 * request_from(y, ret, err), request_exact(r, in, err): as receipt_from and receipt_exact.
 */
int request_decode(struct bytes in, struct request *ret, struct err *err);
int request_encode(const struct request *r, struct buf *ret, struct err *err);
int request_from(const struct yaml *y, struct request *ret, struct err *err);
int request_exact(const struct request *r, struct bytes in, struct err *err);

/* A file of the private channel's tree, channels/<name>.yaml: a channel that this workstation
 * subscribes to. */
struct subscription {
	char name[CHANNEL_NAME];
	char target[LIMIT_PATH + 1]; /* absolute path on the workstation, below its root: prefix */
	bool owners, special_modes;  /* the channel wants owners, set-id bits kept */
	char on_leave[8];            /* "keep" or "remove" */
	/* Ahead of what the shard names: what this workstation is offered before the others. */
	struct subscription_ceiling {
		uint64_t epoch, generation; /* generation 0: there is none */
		struct digest head;         /* identity */
	} ceiling;
};
/**
 * subscription_decode(in, file, ret, err), subscription_encode(s, ret, err): as X_decode and
 * X_encode above; ${file} (NULL: the type) stands in messages.
 */
int subscription_decode(struct bytes in, const char *file, struct subscription *ret,
			struct err *err);
int subscription_encode(const struct subscription *s, struct buf *ret, struct err *err);

/* The private channel's own document, workstation.yaml of its tree. */
struct membership {
	struct digest site;
	char id[WORKSTATION_ID + 1];
	char name[128];
	uint8_t salt[32];            /* random, new in every generation */
	bool decommission;           /* wipe everything that this site entrusted, and say so */
	char codes[KEY_SEAL_ID + 1]; /* the key that the server takes for confirmation codes; "":
					the one that this workstation enrolled with */
	uint64_t renew;              /* counts up when the sealing key is to be renewed at once */
};
/**
 * membership_decode(in, file, ret, err), membership_encode(m, ret, err): as X_decode and X_encode
 * above; ${file} (NULL: the type) stands in messages.
 */
int membership_decode(struct bytes in, const char *file, struct membership *ret, struct err *err);
int membership_encode(const struct membership *m, struct buf *ret, struct err *err);

/* people/ID.yaml: a user who is active on this workstation. */
struct person {
	char email[EMAIL_NAME];
	char name[256];
	char account[ACCOUNT_NAME];
	char group[WORD_NAME]; /* "" for none */
	struct person_key {
		char name[WORD_NAME];
		uint64_t current; /* version to be used from now on */
		uint64_t older[100];
		size_t olders; /* ascending, below current */
	} * key;               /* owned; ascending by name */
	size_t keys;
};
/**
 * person_decode(in, file, ret, err), person_encode(p, ret, err): as X_decode and X_encode above;
 * ${file} (NULL: the type) stands in messages.  person_clear(p): release what ${p} owns.
 */
int person_decode(struct bytes in, const char *file, struct person *ret, struct err *err);
int person_encode(const struct person *p, struct buf *ret, struct err *err);
void person_clear(struct person *p);
/** person_id(dst, email): the name of that file, without ".yaml": 16 digits. */
void person_id(char dst[17], const char *email);

/* messages/ID.yaml: from the server to whoever looks after a workstation, or to one user on it. */
struct message {
	char id[MESSAGE_ID + 1];
	int64_t at;
	char kind[16];         /* "notice", "command", "refusal" */
	char user[EMAIL_NAME]; /* "" for the workstation */
	char subject[512];
	char *text;                      /* owned; lines with "\n" between them, or NULL */
	char command[16];                /* command: "report", "drift", "hook" */
	char argument[WORD_NAME];        /* hook: its name */
	char activation[MESSAGE_ID + 1]; /* refusal: of this activation, or "" */
};
/**
 * message_decode(in, file, ret, err), message_encode(m, ret, err): as X_decode and X_encode above;
 * ${file} (NULL: the type) stands in messages.  message_clear(m): release what ${m} owns.
 */
int message_decode(struct bytes in, const char *file, struct message *ret, struct err *err);
int message_encode(const struct message *m, struct buf *ret, struct err *err);
void message_clear(struct message *m);

#endif
