/* SPDX-License-Identifier: ISC */
/*
 * Who is active where: activation codes, the requests that use them, and what an administrator does
 * about the users of a workstation.
 *
 * An activation belongs to the id of a workstation, that is to its keys: a machine that was
 * re-imaged comes under the same name with a new id, and starts with nobody active on it.
 */
#ifndef SATCHEL_BUNDLER_ACTIVATION_ACTIVATION_H
#define SATCHEL_BUNDLER_ACTIVATION_ACTIVATION_H

#include "bundler/documents/site_model.h"
#include "core/trust/code.h"

/*
 * Views for the rooms above; id: of the workstation, whatever became of it.
 *   activation_active(id, email, account)
 *   activation_any(id, email, account, active)   active 0: deactivated by an administrator
 */
extern const struct db_schema activation_schema;

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

struct site_activation {
	char id[WORKSTATION_ID + 1];
	char workstation[WORKSTATION_NAME];
	char email[USER_EMAIL];
	char account[ACCOUNT_NAME];
	bool active; /* else deactivated, which an administrator can undo */
	int64_t at;  /* since when */
	char code[17];
};
/** activations_of_user(s, email, each, arg, err): on every workstation that is enrolled or leaving,
 * ascending by name.  activations_of_workstation(s, id, each, arg, err): ascending by e-mail
 * address. They stop when ${each} does not return 0, and return that. */
int activations_of_user(struct site *s, const char *email,
			int (*each)(void *arg, const struct site_activation *a, struct err *err),
			void *arg, struct err *err);
int activations_of_workstation(struct site *s, const char *id,
			       int (*each)(void *arg, const struct site_activation *a,
					   struct err *err),
			       void *arg, struct err *err);

/**
 * activation_deactivate(s, email, workstation, err): the user's keys are taken away there at the
 * next sync; no code brings them back, only activation_reactivate(s, email, workstation, err) does.
 * RC_USAGE: not active there; RC_CONFLICT: another user has the account by now.
 */
int activation_deactivate(struct site *s, const char *email, const char *workstation,
			  struct err *err);
int activation_reactivate(struct site *s, const char *email, const char *workstation,
			  struct err *err);
/* For requests; in the caller's transaction. */

/** activation_code_by_id(db, id, ret, ret_secret, err): 1 when there is a code with these 16
 * digits, or 0. */
int activation_code_by_id(struct db *db, const char *id, struct activation_code *ret,
			  uint64_t *ret_secret, struct err *err);
/** activation_used(db, code, id, ret_account, err): 1 when this code was used on the workstation
 * ${id}, and for which account, or 0. */
int activation_used(struct db *db, const char *code, const char *id, char ret_account[ACCOUNT_NAME],
		    struct err *err);
/* Who is on a workstation, beside one user who is to be active in one account there. */
struct activation_others {
	uint64_t active;  /* other users who are active */
	bool taken;       /* one of them is so in that account */
	bool deactivated; /* that user was deactivated there */
};
/** activation_others(db, id, email, account, ret, err): of the workstation ${id}. */
int activation_others(struct db *db, const char *id, const char *email, const char *account,
		      struct activation_others *ret, struct err *err);
/** activation_grant(db, id, email, account, code, now, err): active from now on, by this code,
 * which is used up by one.  A user who is active there in another account moves to this one. */
int activation_grant(struct db *db, const char *id, const char *email, const char *account,
		     const char *code, int64_t now, struct err *err);

/* The end */

/** activation_end(db, id, err): nobody is active any more on the workstation ${id}; that its codes
 * were used there is still known. */
int activation_end(struct db *db, const char *id, struct err *err);
/* All that is known here of a workstation, of a user. */
extern const struct forget_sql activation_forget;

#endif
