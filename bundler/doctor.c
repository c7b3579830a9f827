#include "bundler/doctor.h"

#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bundler/keystore.h"
#include "bundler/people.h"
#include "bundler/site_internal.h"
#include "bundler/status.h"
#include "core/base/clock.h"
#include "core/base/own.h"
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
struct patient {
	struct site *site;
	int64_t now;
	bool foreign; /* the state is another user's, and we are root */
};

/* Root may look, but keys that belong to the server's user are not read as root, and what root
 * wrote the service could not use. */
static void check_site(void *arg, struct findings *f)
{
	struct patient *p = arg;
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
	struct patient *p = arg;

	examine_lock(f, p->site->statefd, p->now);
}

/* The keys that an unattended server signs and unseals with are there and can be read. */
static void check_keys(void *arg, struct findings *f)
{
	static const enum role online[] = {ROLE_PUBLISH, ROLE_BEAT, ROLE_COLLECT};
	struct patient *p = arg;
	struct site *s = p->site;
	OWNED(fd_closep) int keysfd = beneath_dir(s->statefd, SITE_KEYS, NULL);
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
			      "a root key lies on this server (%s/" SITE_KEYS
			      "/%s): who takes the server takes the site",
			      r->site->state, name);
		found_remedy(r->f,
			     "move it to a stick, keep that in a safe, and bring it back only to "
			     "change keys");
	}
	return rc;
}

static void check_root(void *arg, struct findings *f)
{
	struct site *s = ((struct patient *)arg)->site;
	OWNED(fd_closep) int keysfd = beneath_dir(s->statefd, SITE_KEYS, NULL);
	struct root_keys r = {s, keysfd, f};
	unsigned warned = f->count[FINDING_WARNING];
	struct err err = {0};

	if (keysfd < 0)
		return;
	if (site_keys_each(keysfd, ROLE_ROOT, root_key, &r, &err) < 0)
		found_err(f, &err);
	else if (f->count[FINDING_WARNING] == warned)
		found_ok(f, "no root key lies on this server");
}

static void check_trust(void *arg, struct findings *f)
{
	struct patient *p = arg;
	const struct trust *t = &p->site->trust;

	examine_expiry(f, p->now, t->created, t->expires, NEAR_TRUST, "the trust document",
		       "satchel trust renew");
}

static void check_beat(void *arg, struct findings *f)
{
	struct patient *p = arg;
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
			       "satchel publish renews it; satchel watch does so by itself");
	}
	if (g.unposted > 0) {
		found_warning(f, "%llu files are made and not yet in the depot",
			      (unsigned long long)g.unposted);
		found_remedy(f, "satchel publish posts them");
	}
	if (g.held_requests > 0) {
		found_warning(f, "%llu requests wait for approval",
			      (unsigned long long)g.held_requests);
		found_remedy(f, "satchel workstation list shows them");
	}
}

static void check_clock(void *arg, struct findings *f)
{
	struct patient *p = arg;
	struct status_site g = {0};
	bool wrong;

	status_site(p->site, &g, NULL);
	wrong = examine_clock(f, p->now, g.beat_issued, "the newest beat") ||
		examine_clock(f, p->now, p->site->trust.created, "the trust document") ||
		examine_clock_file(f, p->now, p->site->statefd, SITE_REGISTRY, "the registry");
	if (!wrong)
		found_ok(f, "not behind anything that was made here");
}

static void check_depot(void *arg, struct findings *f)
{
	static const char *const dirs[] = {".",        "trust",        "beats", "shards",
					   "channels", "workstations", "inbox"};
	struct patient *p = arg;
	struct depot_examined in = {.path = p->site->depot,
				    .site = &p->site->id,
				    .dirs = dirs,
				    .dirs_n = ARRAY_LEN(dirs),
				    .needed = true,
				    .silence_s = DOCTOR_SILENCE,
				    .now = p->now};

	if (depot_examine(&in, f) & EXAMINED_WRITABLE)
		found_ok(f, "depot %s can be written everywhere", p->site->depot);
}

static void check_state(void *arg, struct findings *f)
{
	struct site *s = ((struct patient *)arg)->site;
	char what[LIMIT_PATH + 16];

	snprintf(what, sizeof(what), "state %s", s->state);
	examine_space_at(f, what, s->statefd);
}

/* A relative source is below the documents, as publish reads it. */
static void check_sources(void *arg, struct findings *f)
{
	struct site *s = ((struct patient *)arg)->site;
	size_t good = 0;

	for (size_t i = 0; i < s->channels; i++) {
		const char *source = s->channel[i].source;
		OWNED(fd_closep)
		int fd = openat(s->dirfd, source, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);

		if (fd >= 0) {
			good++;
			continue;
		}
		found_wrong(f, RC_IO, "the source %s of channel %s cannot be read: %s", source,
			    s->channel[i].name, strerror(errno));
		found_remedy(f, "mount it, or satchel channel set %s --source DIR",
			     s->channel[i].name);
	}
	if (s->channels > 0 && good == s->channels)
		found_ok(f, "every source can be read");
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
	struct patient *p = arg;
	struct documents_told told = {f, 0};
	char why[PEOPLE_WHY];
	struct err err = {0};

	if (site_faults(p->site, document_fault, &told, &err) < 0)
		found_err(f, &err);
	else if (told.n > 0)
		found_remedy(f, "correct the documents, %zu of them: publish refuses until then",
			     told.n);
	else
		found_ok(f, "every name in the documents leads somewhere; users: %zu, groups: %zu",
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
	struct patient *p = arg;
	char age[EXAMINE_WORDS];
	struct stat st;

	if (fstatat(p->site->statefd, BACKUP_MARK, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		found_warning(f, "nobody says when the registry and the keys were last backed up");
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

/* What is sealed under a key that nobody can find any more is lost. */
static void check_key_store(void *subject, struct findings *f)
{
	struct patient *p = subject;
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

static const struct check checks[] = {
    {"site", check_site},           {"lock", check_lock},       {"keys", check_keys},
    {"key store", check_key_store}, {"root key", check_root},   {"trust", check_trust},
    {"beat", check_beat},           {"clock", check_clock},     {"depot", check_depot},
    {"state", check_state},         {"sources", check_sources}, {"documents", check_documents},
    {"backup", check_backup},
};

void site_examine(const char *dir, struct say *say, struct findings *f)
{
	OWNED(site_freep) struct site *s = NULL;
	struct patient p = {.now = clock_now()};
	struct err err = {0};

	if (site_open(dir, 0, say, &s, &err) < 0) {
		finding_only(f, "site", &err);
		return;
	}
	p.site = s;
	checks_run(checks, ARRAY_LEN(checks), &p, f);
}
