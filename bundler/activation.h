/*
 * Who is active where: activation codes, the requests that use them, and what an administrator does
 * about the users of a workstation.
 *
 * An activation belongs to the id of a workstation, that is to its keys: a machine that was
 * re-imaged comes under the same name with a new id, and starts with nobody active on it.
 */
#ifndef SATCHEL_BUNDLER_ACTIVATION_H
#define SATCHEL_BUNDLER_ACTIVATION_H

#include "bundler/site.h"
#include "core/trust/code.h"

#define ACTIVATION_USES_MAX 10000u /* of one code: a lecture hall */
#define ACTIVATION_DAYS_MAX 3650u

struct activation_code {
	char id[17]; /* 16 digits, which requests name; the secret stays in the registry */
	char email[USER_EMAIL];
	int64_t created, expires; /* expires: the first second at which it is not good any more */
	uint64_t uses, used;
	int64_t revoked; /* when; 0: not */
};

/** activation_code_make(s, email, uses, days, dst, ret, err): a new code for a user who has a
 * document, good for ${uses} workstations until ${days} days after today. */
int activation_code_make(struct site *s, const char *email, uint64_t uses, uint64_t days,
			 char dst[ACTIVATION_TEXT + 1], struct activation_code *ret,
			 struct err *err);
/** activation_codes(s, email, each, arg, err): newest first; ${email} NULL: of every user. */
int activation_codes(struct site *s, const char *email,
		     int (*each)(void *arg, const struct activation_code *c, struct err *err),
		     void *arg, struct err *err);
/** activation_code_revoke(s, which, ret, err): by its id (the first 8 digits are enough) or as it
 * was typed.  Who is active by it stays so.  RC_USAGE: no such code, or more than one. */
int activation_code_revoke(struct site *s, const char *which, struct activation_code *ret,
			   struct err *err);

struct activation_row {
	char id[WORKSTATION_ID + 1];
	char workstation[WORKSTATION_NAME];
	char email[USER_EMAIL];
	char account[ACCOUNT_NAME];
	bool active; /* else deactivated, which an administrator can undo */
	int64_t at;  /* since when */
	char code[17];
};
/** activations_of_user(s, email, each, arg, err): on every workstation that counts (enrolled or
 * leaving), ascending by name.  activations_of_workstation: of its id, ascending by e-mail address.
 */
int activations_of_user(struct site *s, const char *email,
			int (*each)(void *arg, const struct activation_row *a, struct err *err),
			void *arg, struct err *err);
int activations_of_workstation(struct site *s, const char *id,
			       int (*each)(void *arg, const struct activation_row *a,
					   struct err *err),
			       void *arg, struct err *err);

/**
 * activation_deactivate(s, email, workstation, err): the user's keys are taken away there at the
 * next sync; no code brings them back, only activation_reactivate does.  RC_USAGE: not active
 * there; RC_CONFLICT: another user has the account by now.
 */
int activation_deactivate(struct site *s, const char *email, const char *workstation,
			  struct err *err);
int activation_reactivate(struct site *s, const char *email, const char *workstation,
			  struct err *err);
/** activation_end(s, id, err): of everybody on this workstation, for it is gone. activation_forget:
 * of a user who is deleted, with all of their codes.  In the caller's transaction, or of their own.
 */
int activation_end(struct site *s, const char *id, struct err *err);
int activation_forget(struct site *s, const char *email, struct err *err);

/**
 * activation_request(s, sign, r, err): a request whose signature by ${sign}, the key of the
 * enrolled workstation r->workstation, is good.
 * 1: the user is active now; 0: nothing new, the request came before.  Negative: refused
 * (RC_ADDRESSEE, RC_UNTRUSTED, RC_EXPIRED, RC_REPLAY, RC_MALFORMED, RC_POLICY, RC_LIMIT), which
 * made an event and a message that tells the people there; the caller's transaction is to be
 * committed also then.  Anything else: it failed.
 */
int activation_request(struct site *s, const struct key_public *sign, const struct request *r,
		       struct err *err);

#endif
