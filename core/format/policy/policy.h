/* SPDX-License-Identifier: ISC */
/*
 * Policies: settings that satchel itself obeys, and values for other software, each with the words
 * that say where it comes from.  The server lays them over each other
 * (bundler/entitlement/policy.h); what is left travels as effective/1 in the private channel, and
 * the workstation reads it here.
 *
 * Borrowed text and nodes belong to the decoded documents that they were read from, which must live
 * as long as any policy made of them.  Source: docs/MODEL.md.
 */
#ifndef SATCHEL_CORE_FORMAT_POLICY_POLICY_H
#define SATCHEL_CORE_FORMAT_POLICY_POLICY_H

#include "core/format/yaml/yaml.h"

/* Windows in which channels may be applied (schemas/policy.yaml). */
#define POLICY_WINDOWS 64u
/* Values in one effective policy; each costs a line and one more that says where it comes from. */
#define POLICY_LEAVES 4096u
/* Bytes of a key in `values`: longer ones are not written on one line by every writer of YAML. */
#define POLICY_KEY 128u
/* Bytes of a dotted path, every byte of a key escaped, with its NUL. */
#define POLICY_PATH (LIMIT_YAML_DEPTH * (3u * POLICY_KEY + 1u) + 16u)
/* Bytes of the words that say where a value comes from, with the NUL. */
#define POLICY_ORIGIN 256u
#define POLICY_DAY    1440u /* minutes */

enum policy_setting {
	POLICY_SYNC_MINUTES,
	POLICY_JITTER_PERCENT,
	POLICY_POLL_SECONDS,
	POLICY_STALE_HOURS,
	POLICY_EXPIRY,
	POLICY_LOCAL_CHANGES,
	POLICY_APPLY_WINDOWS,
	POLICY_DISABLE_HOURS,
	/* From here on below more: of effective/1, because 0.2.0 does not know them. */
	POLICY_VERIFY_DAYS,
	POLICY_UNDO_GENERATIONS,
	POLICY_UNDO_MEGABYTES,
	POLICY_SETTINGS
};
#define POLICY_LATER POLICY_VERIFY_DAYS /* the first of those */

/* In ascending order of strictness. */
enum policy_expiry { POLICY_EXPIRY_WARN, POLICY_EXPIRY_REFUSE };
enum policy_local {
	POLICY_LOCAL_OWNER,
	POLICY_LOCAL_REPLACE,
	POLICY_LOCAL_KEEP,
	POLICY_LOCAL_FAIL
};

struct policy_settings {
	unsigned said; /* bit (1 << enum policy_setting): a policy says it; what none says holds
			  what satchel does by itself */
	uint64_t sync_minutes;
	uint64_t jitter_percent;
	uint64_t poll_seconds;
	uint64_t stale_hours;   /* 0: as the beat says itself */
	uint64_t expiry;        /* enum policy_expiry */
	uint64_t local_changes; /* enum policy_local; POLICY_LOCAL_OWNER when no policy says it */
	uint64_t disable_hours; /* 0: never */
	uint64_t verify_days;   /* 0: never */
	uint64_t undo_generations, undo_megabytes; /* kept of each channel; 0: none */
	struct policy_window {
		uint16_t from, to; /* minutes of the local day, 0 to 1440; over midnight when from
				      is the later one */
	} window[POLICY_WINDOWS];
	size_t windows; /* 0: always */
};

/** policy_settings_init(p): what satchel does by itself. */
void policy_settings_init(struct policy_settings *p);
/** policy_settings_decode(n, ret, err): the map `settings` of a checked document; NULL: nothing is
 * said.  RC_MALFORMED names file, line and field. */
int policy_settings_decode(const struct node *n, struct policy_settings *ret, struct err *err);
/** policy_settings_overlay(under, over): what ${over} says replaces what ${under} has. */
void policy_settings_overlay(struct policy_settings *under, const struct policy_settings *over);
/** policy_settings_stricter(a, b): of each the stricter one stays in ${a}; returns the bits of
 * those that were taken from ${b}. */
unsigned policy_settings_stricter(struct policy_settings *a, const struct policy_settings *b);

/** policy_window_open(p, minute): may channels be applied in this minute of the local day? */
bool policy_window_open(const struct policy_settings *p, unsigned minute);

/** policy_setting_name(i): "sync-minutes".  policy_setting_find(name): POLICY_SETTINGS when there
 * is none.  policy_setting_text(p, i, ret, err): append its value as JSON; null for what the
 * workstation's owner decides. */
const char *policy_setting_name(enum policy_setting i);
enum policy_setting policy_setting_find(const char *name);
int policy_setting_text(const struct policy_settings *p, enum policy_setting i, struct buf *ret,
			struct err *err);

/* Values: a tree of maps.  A list is one value, whatever it holds, and so is an empty map. */
struct policy_value {
	const char *key;            /* borrowed; NULL for the root */
	const struct node *leaf;    /* borrowed; NULL for a map */
	const char *origin;         /* borrowed; of a leaf: "policy kiosk of group front desk" */
	struct policy_value *child; /* owned; ascending by key */
	size_t children;
};

struct policy {
	struct policy_settings settings;
	const char *origin[POLICY_SETTINGS]; /* borrowed; NULL for what nobody says */
	struct policy_value values;          /* the root: a map, perhaps without entries */
};

/**
 * policy_make(settings, values, origin, ret, err): of one document, whose maps may be NULL; all of
 * it comes from ${origin}.  RC_MALFORMED, RC_LIMIT: a value that readers of YAML would take for
 * different things, a key that is too long, too many values.  ${ret} is cleared by the caller.
 */
int policy_make(const struct node *settings, const struct node *values, const char *origin,
		struct policy *ret, struct err *err);
/** policy_copy(from, origin, ret, err): the same policy, all of it from ${origin}, which is
 * borrowed.
 * ${ret} is cleared by the caller, also after an error.  Errors: RC_MEMORY. */
int policy_copy(const struct policy *from, const char *origin, struct policy *ret, struct err *err);
/**
 * policy_init(p): what satchel does by itself, and no values.  policy_clear(p): release the
 * values, then as policy_init; what they borrow from stays.
 */
void policy_init(struct policy *p);
void policy_clear(struct policy *p);
/** policy_overlay(under, over, err): maps are merged key by key, anything else is replaced as a
 * whole.
 */
int policy_overlay(struct policy *under, const struct policy *over, struct err *err);
/** policy_strictest(a, b, err): for two who share a workstation: of settings the stricter, of
 * values that both have ${a}'s. */
int policy_strictest(struct policy *a, const struct policy *b, struct err *err);

/**
 * policy_each(p, each, arg, err): every setting that is said, in the table's order, then every
 * value, ascending.  ${path}: "settings.expiry", "values.proxy.host"; in keys `.` is written %2E
 * and `%` %25.  Stops when ${each} does not return 0, and returns that.
 */
struct policy_item {
	const char *path;
	const char *origin;
	enum policy_setting setting; /* POLICY_SETTINGS: it is a value */
	const struct policy_value *value;
};
int policy_each(const struct policy *p,
		int (*each)(void *arg, const struct policy_item *it, struct err *err), void *arg,
		struct err *err);
/** policy_item_text(p, it, ret, err): append what it says, as JSON (which is YAML as well). */
int policy_item_text(const struct policy *p, const struct policy_item *it, struct buf *ret,
		     struct err *err);
/** policy_node_json(n, ret, err): the same of any value of a document. */
int policy_node_json(const struct node *n, struct buf *ret, struct err *err);
/**
 * policy_value_at(p, path): the value of "values.proxy.host"; NULL when there is none, or a map.
 * Borrowed from ${p}.
 */
const struct policy_value *policy_value_at(const struct policy *p, const char *path);

/* effective/1: what is left when all that apply are laid over each other. */
struct effective {
	struct policy policy;
	struct yaml *document; /* owned; the policy borrows from it */
};
/**
 * effective_decode(in, file, ret, err): at most LIMIT_DOCUMENT bytes; ${file} (NULL: the type)
 * stands in messages.  ${ret} is untouched on failure.  Errors: RC_MALFORMED: also a value without
 * an origin, or an origin without a value; RC_LIMIT.
 * effective_encode(p, ret, err): appended to ${ret}, after it was read again.  effective_clear(e):
 * release policy and document; for OWNED.
 */
int effective_decode(struct bytes in, const char *file, struct effective *ret, struct err *err);
int effective_encode(const struct policy *p, struct buf *ret, struct err *err);
void effective_clear(struct effective *e);

#endif
