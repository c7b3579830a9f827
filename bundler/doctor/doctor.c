/* SPDX-License-Identifier: ISC */
/*
 * What can be wrong with a site, one function for each check.  Checks look only and need no lock,
 * so the doctor can be asked while everything else is stuck.
 */
#include "bundler/doctor/doctor.h"

#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bundler/documents/documents.h"
#include "bundler/entitlement/people.h"
#include "bundler/keystore/keystore.h"
#include "bundler/outbox/site_missing.h"
#include "bundler/pack/store.h"
#include "bundler/private/private.h"
#include "bundler/publish/publish.h"
#include "bundler/published/published.h"
#include "bundler/recover/recover.h"
#include "bundler/sealed/sealed.h"
#include "bundler/site/site.h"
#include "bundler/site/site_internal.h"
#include "bundler/source/site_source.h"
#include "bundler/status/status.h"
#include "bundler/trust/site_keys.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/depot/depot.h"
#include "core/os/beneath.h"
#include "core/os/examine.h"

/* A share that is slower than this is as good as dead to whoever waits. */
#define DOCTOR_SILENCE 10
/* What runs out within this time deserves a word: a trust document, a beat. */
#define NEAR_TRUST (60 * 86400)
#define NEAR_BEAT  (2 * 86400)
/* A backup of the registry is older than it should be. */
#define BACKUP_OLD (7 * 86400)
/* Whoever makes backups touches this file of the state directory. */
#define BACKUP_MARK "backed-up"

/* ${arg} of every check. */
struct site_patient {
	struct site *site;
	int64_t now;
	bool foreign; /* the state is another user's, and we are root */
};

/* Root may look, but keys that belong to the server's user are not read as root, and what root
 * wrote the service could not use. */
static void check_site(void *arg, struct findings *f)
{
	struct site_patient *p = arg;
	struct site *s = p->site;
	struct passwd *user;
	struct stat st;

	if (fstat(s->statefd, &st) < 0 || st.st_uid == geteuid()) {
		found_ok(f, "site %s in %s; channels: %zu, workstations: %zu", s->trust.name,
			 s->dir, s->channels, s->workstations);
		return;
	}
	p->foreign = true;
	user = getpwuid(st.st_uid);
	found_wrong(f, RC_POLICY, "the site in %s belongs to user %s (%u), not to root", s->dir,
		    user != NULL ? user->pw_name : "without a name", st.st_uid);
	found_remedy(f, "run satchel as that user: runuser -u %s -- satchel doctor",
		     user != NULL ? user->pw_name : "NAME");
}

static void check_lock(void *arg, struct findings *f)
{
	struct site_patient *p = arg;

	examine_lock(f, p->site->statefd, p->now);
}

/* The keys that an unattended server signs and unseals with are there and can be read. */
static void check_keys(void *arg, struct findings *f)
{
	/* Publish keys may be elsewhere when there are two hands. */
	static const enum role online[] = {ROLE_PRIVATE, ROLE_BEAT, ROLE_COLLECT};
	struct site_patient *p = arg;
	struct site *s = p->site;
	OWNED(fd_closep) int keysfd = beneath_dir(s->statefd, SITE_KEYS, ERR_IGNORED);
	char shown[LIMIT_PATH + 8];

	if (p->foreign)
		return;
	snprintf(shown, sizeof(shown), "%s/" SITE_KEYS, s->state);
	if (keysfd < 0) {
		found_wrong(f, RC_STATE, "the keys of the site are not in %s", shown);
		found_remedy(f, "put them back from your backup");
		return;
	}
	examine_keys(f, keysfd, shown);
	for (size_t i = 0; i < ARRAY_LEN(online); i++) {
		OWNED(key_freep) struct key_secret *k = NULL;
		struct err err = {0};
		int rc = site_key(s, online[i], &k, &err);

		/* Modes and owners have been told with their remedy. */
		if (rc < 0 && rc != RC_POLICY)
			found_err(f, &err);
	}
}

struct root_keys {
	struct site *site;
	int keysfd;
	struct findings *f;
};

static int root_key(void *arg, const char *name, struct err *err)
{
	struct root_keys *r = arg;
	struct key_public k;
	int rc = site_key_public(r->keysfd, name, &k, err);

	for (size_t i = 0; rc == 0 && i < r->site->trust.keys; i++) {
		const struct trust_key *t = &r->site->trust.key[i];

		if (t->state != KEY_CURRENT || (t->roles & (1u << ROLE_ROOT)) == 0 ||
		    !key_same(&t->key, &k))
			continue;
		found_warning(r->f,
			      "a root key is on this server (%s/" SITE_KEYS
			      "/%s): whoever controls this server controls the whole site",
			      r->site->state, name);
		found_remedy(r->f,
			     "move it to a stick, keep that in a safe, and bring it back only to "
			     "change keys");
	}
	return rc;
}

static void check_root(void *arg, struct findings *f)
{
	struct site *s = ((struct site_patient *)arg)->site;
	OWNED(fd_closep) int keysfd = beneath_dir(s->statefd, SITE_KEYS, ERR_IGNORED);
	struct root_keys r = {s, keysfd, f};
	unsigned warned = f->count[FINDING_WARNING];
	struct err err = {0};

	if (keysfd < 0)
		return;
	if (site_keys_each(keysfd, ROLE_ROOT, root_key, &r, &err) < 0)
		found_err(f, &err);
	else if (f->count[FINDING_WARNING] == warned)
		found_ok(f, "no root key is on this server");
}

static void check_trust(void *arg, struct findings *f)
{
	struct site_patient *p = arg;
	const struct trust *t = &p->site->trust;

	examine_expiry(f, p->now, t->created, t->expires, NEAR_TRUST, "the trust document",
		       "satchel trust renew");
}

static void check_beat(void *arg, struct findings *f)
{
	struct site_patient *p = arg;
	struct status_site g;
	struct err err = {0};

	if (status_site(p->site, &g, &err) < 0) {
		found_err(f, &err);
		return;
	}
	if (g.beat == 0) {
		found_warning(f, "nothing is published yet");
		found_remedy(f, "satchel publish");
	} else {
		examine_expiry(f, p->now, g.beat_issued, g.beat_expires, NEAR_BEAT, "the beat",
			       "run satchel publish to renew it; satchel watch does it "
			       "automatically");
	}
	if (g.unposted > 0) {
		found_warning(f, "%llu %s not in the depot yet", (unsigned long long)g.unposted,
			      g.unposted == 1 ? "file is" : "files are");
		found_remedy(f, "run satchel publish to post what is missing");
	}
	if (g.releases > 0) {
		found_warning(f, "%llu %s for signatures of publish keys",
			      (unsigned long long)g.releases,
			      g.releases == 1 ? "channel waits" : "channels wait");
		found_remedy(f, "see satchel release list");
	}
	if (g.pending_requests > 0) {
		found_warning(f, "%llu %s for approval", (unsigned long long)g.pending_requests,
			      g.pending_requests == 1 ? "request waits" : "requests wait");
		found_remedy(f, "see satchel workstation list");
	}
}

static void check_clock(void *arg, struct findings *f)
{
	struct site_patient *p = arg;
	struct status_site g = {0};
	bool wrong;

	status_site(p->site, &g, ERR_IGNORED);
	wrong = examine_clock(f, p->now, g.beat_issued, "the newest beat") ||
		examine_clock(f, p->now, p->site->trust.created, "the trust document") ||
		examine_clock_file(f, p->now, p->site->statefd, SITE_REGISTRY, "the registry");
	if (!wrong)
		found_ok(f, "not behind anything that was made here");
}

/* What was posted is there, as far as listings tell. */
static void check_posted(struct site *s, struct findings *f)
{
	OWNED(depot_freep) struct depot *d = NULL;
	struct err err = {0};
	uint64_t missing = 0;
	int rc = depot_open(s->depot, 0, DOCTOR_SILENCE, &d, &err);

	if (rc == 0)
		rc = site_missing(s, d, &missing, &err);
	if (rc < 0)
		found_err(f, &err);
	if (missing > 0) {
		found_warning(f, "%llu %s posted and %s missing from the depot, or not whole",
			      (unsigned long long)missing, missing == 1 ? "file was" : "files were",
			      missing == 1 ? "is" : "are");
		found_remedy(f, "satchel publish posts what is missing again");
	} else if (rc == 0) {
		found_ok(f, "everything that was posted is in the depot");
	}
}

static void check_depot(void *arg, struct findings *f)
{
	static const char *const dirs[] = {".",        "trust",        "beats", "shards",
					   "channels", "workstations", "inbox"};
	struct site_patient *p = arg;
	struct depot_examined in = {.path = p->site->depot,
				    .site = &p->site->id,
				    .no_marker = "mount what belongs there; if it is there and was "
						 "emptied or replaced, satchel publish --refill",
				    .dirs = dirs,
				    .dirs_n = ARRAY_LEN(dirs),
				    .needed = true,
				    .silence_s = DOCTOR_SILENCE,
				    .now = p->now};

	unsigned seen = depot_examine(&in, f);

	if (seen & EXAMINED_WRITABLE)
		found_ok(f, "depot %s can be written everywhere", p->site->depot);
	if (seen & EXAMINED_REACHED)
		check_posted(p->site, f);
}

static void check_state(void *arg, struct findings *f)
{
	struct site *s = ((struct site_patient *)arg)->site;
	char what[LIMIT_PATH + 16];

	snprintf(what, sizeof(what), "state %s", s->state);
	examine_space_at(f, what, s->statefd);
}

/* What is published again is taken from there: it should not first be missed when it is needed. */
static void check_store(void *arg, struct findings *f)
{
	struct site_patient *p = arg;
	struct err err = {0};
	uint64_t lost = 0;

	if (store_lost(p->site, &lost, &err) < 0) {
		found_err(f, &err);
	} else if (lost > 0) {
		found_warning(f, "%llu %s of the content store %s missing or cut off",
			      (unsigned long long)lost, lost == 1 ? "pack" : "packs",
			      lost == 1 ? "is" : "are");
		found_remedy(f,
			     "put %s/store back from your backup, or run satchel publish --full, "
			     "which reads the sources instead",
			     p->site->state);
	} else {
		found_ok(f, "every pack is there");
	}
}

/* As publish judges them, but for what only the scan finds. */
/* It can be opened; is what it holds published as well? */
static bool check_blocked(struct site *s, const struct site_channel *c, struct findings *f)
{
	struct published_blocked b;
	char at[CLOCK_TEXT + 1];
	struct err err = {0};
	int rc = published_blocked(s->db, c->name, &b, &err);

	if (rc < 0)
		found_err(f, &err);
	if (rc <= 0)
		return rc == 0;
	clock_format(at, b.since);
	found_warning(f, "channel %s has %s since %s: %s", c->name,
		      b.held > 0 ? "held files back" : "not been published", at, b.why);
	if (b.held > 0)
		found_remedy(f,
			     "run satchel publish %s while nobody writes to it; or leave it out: "
			     "satchel channel set %s --exclude GLOB",
			     c->name, c->name);
	else
		found_remedy(f, "correct that, and run satchel publish %s", c->name);
	return false;
}

static void check_sources(void *arg, struct findings *f)
{
	struct site *s = ((struct site_patient *)arg)->site;
	struct site_source_guard *guard;
	struct err none = {0};
	size_t good = 0;

	s->silence_s = DOCTOR_SILENCE;
	if (s->channels > 0 && site_source_guard(s, &guard, &none) < 0) {
		found_err(f, &none);
		found_remedy(f, "until then no source can be judged, and nothing is published");
		return;
	}
	for (size_t i = 0; i < s->channels; i++) {
		const struct site_channel *c = &s->channel[i];
		struct err err = {0};
		OWNED(fd_closep) int fd = site_source_open(s, c, &err);

		if (fd >= 0) {
			good += check_blocked(s, c, f);
			continue;
		}
		found_err(f, &err);
		if (err.rc == RC_IO)
			found_remedy(f, "mount it, or satchel channel set %s --source DIR",
				     c->name);
	}
	if (s->channels > 0 && good == s->channels)
		found_ok(f,
			 "every source can be read, and none overlaps with what is the site's own");
}

/* Findings of one kind that are told one by one. */
#define DOCUMENTS_TOLD 20

struct documents_told {
	struct findings *f;
	size_t n;
};

static int document_fault(void *arg, const struct site_fault *fault, struct err *err)
{
	struct documents_told *told = arg;

	(void)err;
	if (told->n++ < DOCUMENTS_TOLD)
		found_wrong(told->f, RC_POLICY, "%s", fault->text);
	return 0;
}

static void check_documents(void *arg, struct findings *f)
{
	struct site_patient *p = arg;
	struct documents_told told = {f, 0};
	char why[PEOPLE_WHY];
	struct err err = {0};

	if (p->site->unread.rc < 0) {
		found_err(f, &p->site->unread);
		found_remedy(f,
			     "correct it: until then nothing new is published, and what documents "
			     "decide is not looked at here");
		return;
	}
	if (site_faults(p->site, document_fault, &told, &err) < 0)
		found_err(f, &err);
	else if (told.n > 0)
		found_remedy(f, "correct the documents, %zu of them: publish refuses until then",
			     told.n);
	else
		found_ok(f, "every name used in the documents exists; users: %zu, groups: %zu",
			 p->site->users, p->site->groups);
	for (size_t i = 0; i < p->site->licences; i++) {
		if (!people_licence_warning(p->site, &p->site->licence[i], p->now, why))
			continue;
		found_warning(f, "%s", why);
		found_remedy(f,
			     "renew it and satchel licence set %s --to DAY, or move its users "
			     "with satchel licence replace",
			     p->site->licence[i].name);
	}
}

/* There is no way to look into a backup from here; whoever makes one leaves a mark. */
static void check_backup(void *arg, struct findings *f)
{
	struct site_patient *p = arg;
	char age[EXAMINE_WORDS];
	struct stat st;

	if (fstatat(p->site->statefd, BACKUP_MARK, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		found_warning(f, "there is no record of a backup of the registry and the keys");
		found_remedy(f, "back %s up, and touch %s/" BACKUP_MARK " after each backup",
			     p->site->state, p->site->state);
		return;
	}
	time_words(age, p->now - st.st_mtime);
	if (p->now - st.st_mtime < BACKUP_OLD) {
		found_ok(f, "registry and keys were backed up %s ago", age);
		return;
	}
	found_warning(f, "registry and keys were last backed up %s ago", age);
	found_remedy(f, "back %s up, and touch %s/" BACKUP_MARK, p->site->state, p->site->state);
}

/* A registry that is older than what it published gives numbers out twice. */
static void check_registry(void *arg, struct findings *f)
{
	struct site_patient *p = arg;
	OWNED(depot_freep) struct depot *d = NULL;
	struct err err = {0};
	int64_t since = 0;

	/* A depot that does not answer is told where it is examined. */
	if (depot_open(p->site->depot, 0, DOCTOR_SILENCE, &d, ERR_IGNORED) < 0)
		d = NULL;
	if (recover_notice(p->site, d, &err) < 0) {
		found_wrong(f, err.rc, "%s", err.text);
		found_remedy(f, "satchel recover");
		return;
	}
	if (private_apart_any(p->site->db, &since, &err) == 1) {
		found_warning(
		    f, "this server was restored, and workstations hold more than it knows of");
		found_remedy(f, "satchel status says which, and what to do");
		return;
	}
	found_ok(f, "no depot and no receipt knows of anything newer than this registry");
}

/* What is sealed under a key that nobody can find any more is lost. */
static void check_key_store(void *subject, struct findings *f)
{
	struct site_patient *p = subject;
	char first[WORD_NAME] = "";
	struct err err = {0};
	uint64_t marked = 0;
	int rc = keystore_check(p->site, &err);

	if (rc >= 0)
		rc = keystore_marked(p->site, &marked, first, &err);
	if (rc < 0) {
		found_err(f, &err);
		return;
	}
	if (marked > 0) {
		found_warning(f, "%llu %s held by a workstation that is lost: %s%s",
			      (unsigned long long)marked, marked == 1 ? "key is" : "keys are",
			      first, marked == 1 ? "" : ", ...");
		found_remedy(f, "satchel key rotate %s", first);
		return;
	}
	found_ok(f, "the key store opens, and no key is to be rotated");
}

/* Who cannot read it, and whether its key is still the one that somebody has who left. */
static void check_sealed_channel(struct site_patient *p, const struct site_channel *c,
				 struct findings *f)
{
	OWNED(strings_clear) struct strings names = {0};
	struct sealed_state state;
	char text[PUBLISH_NAMES];
	struct err err = {0};
	int rc = sealed_describe(p->site->db, c->name, &state, &err);

	if (rc == 0)
		rc = publish_unready(p->site, c->name, false, &names, &err);
	if (rc < 0) {
		found_err(f, &err);
	} else if (names.n > 0) {
		publish_names(&names, text);
		found_warning(f, "channel %s is sealed, which satchel cannot read on %s", c->name,
			      text);
		found_remedy(f, "update satchel there");
	} else if (sealed_due(c, &state, p->now)) {
		found_warning(f, "somebody who left has the content key of channel %s", c->name);
		found_remedy(f, "satchel publish changes it");
	} else {
		found_ok(f, "channel %s is sealed with content key %llu", c->name,
			 (unsigned long long)state.number);
	}
}

static void check_sealed(void *subject, struct findings *f)
{
	struct site_patient *p = subject;

	for (size_t i = 0; i < p->site->channels; i++)
		if (p->site->channel[i].sealed)
			check_sealed_channel(p, &p->site->channel[i], f);
}

static const struct check checks[] = {
    {"site", check_site},           {"lock", check_lock},     {"keys", check_keys},
    {"key store", check_key_store}, {"root key", check_root}, {"trust", check_trust},
    {"beat", check_beat},           {"clock", check_clock},   {"depot", check_depot},
    {"state", check_state},         {"store", check_store},   {"sources", check_sources},
    {"documents", check_documents}, {"backup", check_backup}, {"sealed", check_sealed},
    {"registry", check_registry},
};

void site_examine(const char *dir, struct reporter *reporter, struct findings *f)
{
	OWNED(site_freep) struct site *s = NULL;
	struct site_patient p = {.now = clock_now()};
	struct err err = {0};

	if (site_open(dir, SITE_UNREAD, reporter, &s, &err) < 0) {
		finding_only(f, "site", &err);
		return;
	}
	p.site = s;
	checks_run(checks, ARRAY_LEN(checks), &p, f);
}
