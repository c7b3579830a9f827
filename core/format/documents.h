/*
 * The documents that cross a depot, decoded: beat, shard, head, manifest, receipt, request,
 * subscription, person, message.  Each has X_decode (innermost bytes, already verified, to struct)
 * and X_encode (struct to innermost bytes, beginning with "satchel: TYPE\n").  Decoders touch no
 * files.  Field meanings: schemas/.
 */
#ifndef SATCHEL_FORMAT_DOCUMENTS_H
#define SATCHEL_FORMAT_DOCUMENTS_H

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

/** trustdoc_decode(in, ret, err): identity is filled in; site is the caller's (trust_first). */
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
};
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
};
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

struct manifest {
	struct digest site;
	bool private_channel; /* then channel is empty and recipient is set */
	char channel[CHANNEL_NAME];
	char recipient[WORKSTATION_ID + 1]; /* sealed to; "" when it is not sealed */
	uint64_t epoch, base, generation;
	struct digest base_tree, tree;
	int64_t created;
	uint64_t minimum;     /* format version that a reader must know: 1 */
	uint64_t count[7];    /* by enum change_op */
	uint64_t content;     /* bytes of content written below the target (put, patch, copy) */
	uint64_t unpacked;    /* length of the payload's tar, bytes */
	uint64_t payload;     /* length of payload.tar.zst as it lies there, bytes */
	struct digest blocks; /* of the member `blocks` */
	struct digest changes;
	uint64_t changes_size;  /* bytes */
	uint8_t sealed_key[80]; /* crypto_box_seal of the 32-byte content key; when sealed */
	uint8_t stream_header[24];
};
int manifest_decode(struct bytes in, struct manifest *ret, struct err *err);
int manifest_encode(const struct manifest *m, struct buf *ret, struct err *err);

struct receipt {
	struct digest site;
	char workstation[WORKSTATION_ID + 1];
	uint64_t sequence;
	int64_t written;
	uint64_t beat_epoch, beat; /* newest beat accepted; 0: freshness unknown */
	uint64_t trust;            /* trust version held */
	uint64_t private_epoch, private_generation;
	struct digest private_tree;
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
	} * channel;                                     /* owned */
	size_t channels;
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
	uint64_t formats;    /* newest format that the writer reads: 1 */
};
int receipt_decode(struct bytes in, struct receipt *ret, struct err *err);
int receipt_encode(const struct receipt *r, struct buf *ret, struct err *err);
void receipt_clear(struct receipt *r);

struct request {
	struct digest site;
	char kind[16]; /* "enrol", "resend", "activate" */
	char workstation[WORKSTATION_ID + 1];
	uint64_t sequence;
	int64_t written;
	char name[128];               /* what it calls itself: a hint */
	struct key_public sign, seal; /* enrol */
	char invitation[17];          /* enrol: id, or "" when it was not invited */
	char activation[17];          /* activate: id */
	char account[ACCOUNT_NAME];   /* activate: the Unix account that the user has there */
	struct digest proof;          /* enrol with an invitation, activate */
	char channel[CHANNEL_NAME];   /* resend */
	uint64_t generation;          /* resend: held */
};
int request_decode(struct bytes in, struct request *ret, struct err *err);
int request_encode(const struct request *r, struct buf *ret, struct err *err);

/* A file of the private channel's tree, channels/<name>.yaml: a channel that this workstation
 * subscribes to. */
struct subscription {
	char name[CHANNEL_NAME];
	char target[LIMIT_PATH + 1]; /* absolute path on the workstation, below its root: prefix */
	bool owners, special_modes;  /* the channel wants owners, set-id bits kept */
	char on_leave[8];            /* "keep" or "remove" */
};
int subscription_decode(struct bytes in, const char *file, struct subscription *ret,
			struct err *err);
int subscription_encode(const struct subscription *s, struct buf *ret, struct err *err);

/* The private channel's own document, workstation.yaml of its tree. */
struct membership {
	struct digest site;
	char id[WORKSTATION_ID + 1];
	char name[128];
	uint8_t salt[32];  /* random, new in every generation */
	bool decommission; /* wipe everything that this site entrusted, and say so */
};
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
int message_decode(struct bytes in, const char *file, struct message *ret, struct err *err);
int message_encode(const struct message *m, struct buf *ret, struct err *err);
void message_clear(struct message *m);

#endif
