/* SPDX-License-Identifier: ISC */
/*
 * The rules of colours.  One table (status_rules.c) has every rule of workstations and of users in
 * the order of precedence: the first one that applies gives the colour, the others are listed
 * behind it.  satchel(1), the help and the remedies that an administrator is shown are these rows.
 */
#ifndef SATCHEL_BUNDLER_STATUS_STATUS_RULES_H
#define SATCHEL_BUNDLER_STATUS_STATUS_RULES_H

#include <stddef.h>

enum colour {
	COLOUR_GREY,
	COLOUR_BLUE,
	COLOUR_RED,
	COLOUR_ORANGE,
	COLOUR_GREEN,
	COLOUR_PURPLE,
	COLOURS
};
extern const char *const colour_names[COLOURS];

/* W: of workstations, U: of users; each in its order of precedence. */
enum rule {
	RULE_W_ABSENT,
	RULE_W_DECOMMISSIONED,
	RULE_W_REVOKED,
	RULE_W_REFUSED,
	RULE_W_FAILED,
	RULE_W_ROLLED_BACK,
	RULE_W_STRANGE,
	RULE_W_CLONE,
	RULE_W_DRIFTED,
	RULE_W_DEVIATING,
	RULE_W_HAND_OUT,
	RULE_W_WITHHELD,
	RULE_W_POLICY,
	RULE_W_FIRST,
	RULE_W_UNPOSTED,
	RULE_W_APART,
	RULE_W_SET_BACK,
	RULE_W_BLOCKED,
	RULE_W_ROLLOUT,
	RULE_W_DOCUMENTS,
	RULE_W_LEAVING,
	RULE_W_UNCONFIRMED,
	RULE_W_UNVERIFIED,
	RULE_W_SILENT,
	RULE_W_GREEN,
	RULE_U_FAILED,
	RULE_U_WITHHELD,
	RULE_U_UNPOSTED,
	RULE_U_UNCONFIRMED,
	RULE_U_SUSPENDED,
	RULE_U_UNLICENSED,
	RULE_U_LICENCE_SUSPENDED,
	RULE_U_LICENCE_EARLY,
	RULE_U_LICENCE_EXPIRED,
	RULE_U_NOWHERE,
	RULE_U_SILENT,
	RULE_U_DIFFERS,
	RULE_U_GREEN,
	RULES
};

enum subject { SUBJECT_WORKSTATION, SUBJECT_USER };

/* What can be done about it: a sentence, and the command to type.  {name} stands for the
 * workstation or user, {about} for the channel, workstation or licence that the reason is about. */
struct remedy {
	const char *text;
	const char *command; /* "satchel publish"; NULL ends the list */
};
#define REMEDIES 5

struct rule_row {
	const char *slug;
	enum subject subject;
	enum colour colour;
	const char *meaning;
	struct remedy remedy[REMEDIES + 1];
};
extern const struct rule_row rule_rows[RULES];

/* One reason in words.  The longest sentence that a receipt brings is 511 characters. */
#define REASON_TEXT  512
#define REASON_CLAIM 208
#define REASON_ABOUT 256
struct reason {
	enum rule rule;
	char about[REASON_ABOUT]; /* channel, workstation, user or licence; or "" */
	char text[REASON_TEXT];   /* what the server found; may hold foreign bytes, in names */
	char claim[REASON_CLAIM]; /* what a workstation says of it, in its words; or "" */
};

/* In the order of the rules.  More than fit into an answer are only counted. */
#define REASONS 16
struct reasons {
	struct reason item[REASONS];
	size_t n, dropped;
};

/** because(l, rule, about, fmt, ...): one more; the last of the order falls out when there is no
 * room, so that the worst are kept. */
void because(struct reasons *l, enum rule rule, const char *about, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/** because_said(l, rule, about, claim, fmt, ...): likewise, with what a workstation says: shown as
 * its word, never as a finding of the server, because a stolen workstation says what it likes. */
void because_said(struct reasons *l, enum rule rule, const char *about, const char *claim,
		  const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/** reason_sentence(r, dst): the text, with the claim in quotation marks behind it. */
void reason_sentence(const struct reason *r, char dst[REASON_TEXT]);

/** reasons_first(l, dst), reasons_also(l, dst): the text of the first; the others with "; " between
 * them. */
void reasons_first(const struct reasons *l, char dst[REASON_TEXT]);
void reasons_also(const struct reasons *l, char dst[REASON_TEXT]);

/**
 * remedy_command(r, name, about, dst, size): the command of ${r} with what it is about filled in.
 * ${about} "": the word in capitals that a person replaces.
 */
void remedy_command(const struct remedy *r, const char *name, const char *about, char *dst,
		    size_t size);

#endif
