/* SPDX-License-Identifier: ISC */
/*
 * What a server's watcher does when it is time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundler/carry/consignment.h"
#include "bundler/collect/collect.h"
#include "bundler/documents/documents.h"
#include "bundler/documents/site_model.h"
#include "bundler/publish/publish.h"
#include "bundler/registry/registry.h"
#include "bundler/site/site.h"
#include "cli/ask/ask.h"
#include "cli/frame/passphrase.h"
#include "cli/frame/term.h"
#include "cli/watch/watch.h"
#include "core/base/own.h"

/* Reasons for which everything is published, not only what is known to have changed. */
#define EVERYTHING (RUN_START | RUN_TIMER | RUN_ASKED | RUN_AGAIN | RUN_REMOVABLE | RUN_NEWS)

/* Reasons for which the depot is compared with what was posted: its time has come, or somebody
 * asked. A file that was saved is no reason to list a share. */
#define COMPARED (RUN_START | RUN_TIMER | RUN_ASKED | RUN_AGAIN)

static int site_of(struct watch_who *w, enum site_flags flags, struct reporter *reporter,
		   struct site **ret, struct err *err)
{
	const char *dir = cli_site_dir(w->cli, err);
	int rc;

	if (dir == NULL)
		return err->rc;
	rc = site_open(dir, flags, reporter, ret, err);
	if (rc == 0)
		(*ret)->ask = &w->cli->passphrase->ask;
	return rc;
}

int watch_server_who(struct watch_who *w, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	char site[4 * sizeof(((struct trust *)0)->name)];
	bool beside; /* the socket lies in the state directory */
	int rc = site_of(w, SITE_UNREAD, w->cli->reporter, &s, err);

	if (rc < 0)
		return rc;
	beside = strcmp(w->state, w->control) == 0;
	w->seed = get_u64(s->id.b);
	free(w->state);
	w->state = TAKE(s->state);
	if (beside) {
		free(w->control);
		w->control = strdup(w->state);
	}
	err_escape(site, sizeof(site), s->trust.name);
	if (w->control == NULL || asprintf(&w->words, "site %s", site) < 0) {
		w->words = NULL;
		return err_memory(err);
	}
	return 0;
}

static int source_add(struct site *s, const struct site_channel *c, struct watch_plan *plan)
{
	char full[2 * LIMIT_PATH];

	if (c->source[0] == '/')
		return watch_plan_add(plan, PLACE_SOURCE, c->source, c->name, ERR_IGNORED);
	snprintf(full, sizeof(full), "%s/%s", s->dir, c->source);
	return watch_plan_add(plan, PLACE_SOURCE, full, c->name, ERR_IGNORED);
}

/* While documents cannot be read, no source is watched, and the documents are. */
static void plan_fill(struct site *s, struct watch_plan *plan)
{
	int rc;

	plan->interval_ms = (int64_t)s->sync_minutes * 60000;
	plan->jitter = (unsigned)s->jitter_percent;
	plan->sticks = s->sticks;
	rc = watch_plan_add(plan, PLACE_INBOX, s->depot, "", ERR_IGNORED);
	if (rc == 0)
		rc = watch_plan_add(plan, PLACE_DOCUMENTS, s->dir, "", ERR_IGNORED);
	for (size_t i = 0; rc == 0 && i < s->channels; i++)
		if (s->channel[i].watch)
			rc = source_add(s, &s->channel[i], plan);
}

static void published_said(void *arg, const char *channel, const struct publish_counts *c)
{
	char entries[TEXT_SIZE];

	if (!c->made)
		return;
	count_text(entries, c->added + c->changed + c->renamed + c->deleted + c->metadata);
	watch_said(arg, "%s: generation %llu, %s %s", channel, (unsigned long long)c->generation,
		   entries, strcmp(entries, "1") == 0 ? "change" : "changes");
}

static int collect_run(struct site *s, struct run_result *ret, bool *ret_answer, struct err *err)
{
	struct collect_counts c = {0};
	int rc = collect_site(s, &c, err);

	if (c.receipts > 0)
		watch_said(ret, "collected %llu %s", (unsigned long long)c.receipts,
			   plural(c.receipts, "receipt", "receipts"));
	if (c.requests > 0)
		watch_said(ret, "collected %llu %s (%llu enrolled)", (unsigned long long)c.requests,
			   plural(c.requests, "request", "requests"),
			   (unsigned long long)c.enrolled);
	if (c.refused > 0)
		watch_said(ret, "%llu refused (satchel events says why)",
			   (unsigned long long)c.refused);
	*ret_answer = c.requests > 0;
	return rc;
}

/*
 * What is published depends on why: all of it at its time; of sources that changed, those; after
 * requests, what answers them.  A receipt alone makes no new beat: that it was recorded travels
 * with the next one, or a thousand receipts would be a thousand beats for a thousand machines.
 */
static int publish_run(struct site *s, const struct run_order *o, bool answer,
		       struct run_result *ret, struct err *err)
{
	enum publish_flags flags = o->reasons & COMPARED ? 0 : PUBLISH_NO_COMPARE;
	const char *only[PLAN_PLACES];
	size_t n = 0;

	if (o->reasons & EVERYTHING)
		return publish_site(s, NULL, 0, flags, published_said, ret, err);
	for (size_t i = 0; i < o->channels; i++)
		if (site_channel(s, o->channel[i]) != NULL)
			only[n++] = o->channel[i];
	if (n == 0 && !answer && !(s->watch && (o->reasons & RUN_DOCUMENTS)))
		return 0;
	return publish_site(s, only, n, flags | PUBLISH_NO_CHANNELS, published_said, ret, err);
}

static int site_sync(struct site *s, const struct run_order *o, struct run_result *ret,
		     struct err *err)
{
	struct err bad = {0};
	bool answer = false;
	int rc = s->unread.rc == 0 ? collect_run(s, ret, &answer, &bad) : 0, published;

	published = publish_run(s, o, answer, ret, err);
	if (published == 0 && rc < 0)
		*err = bad;
	return published < 0 ? published : rc;
}

/* Where the site and its depot are, kept while nothing of the site is open. */
struct home {
	struct digest site;
	char depot[LIMIT_PATH + 1];
	uint64_t beat; /* the newest */
};

static int home_of(struct watch_who *w, struct reporter *reporter, struct home *ret,
		   struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	int rc = site_of(w, SITE_UNREAD, reporter, &s, err);

	if (rc < 0)
		return rc;
	ret->site = s->id;
	snprintf(ret->depot, sizeof(ret->depot), "%s", s->depot);
	return registry_last(s->db, "beat", &ret->beat, err);
}

/*
 * A medium and the home depot: what each has that the other has not, without the site's lock, for
 * media are slow.  Returns whether the medium has everything that the home depot has.
 */
static bool removable_carry(struct watch_who *w, const struct home *h, const char *removable,
			    struct reporter *reporter, struct run_result *ret)
{
	OWNED(site_freep) struct site *s = NULL;
	struct carry c = {.from = h->depot,
			  .to = removable,
			  .flags = CARRY_NO_LINK,
			  .site = &h->site,
			  .reporter = reporter};
	struct carry_result r = {0};
	struct err err = {0};
	int rc = site_of(w, 0, reporter, &s, &err);

	if (rc == 0)
		rc = site_carry(s, &c, NULL, 0, &r, &err);

	if (rc < 0)
		reporter_warning(reporter, "%s", err.text);
	if (r.from.files > 0)
		watch_said(ret, "%llu %s read from %s", (unsigned long long)r.from.files,
			   plural(r.from.files, "file", "files"), removable);
	if (r.to.files > 0)
		watch_said(ret, "%llu %s written to %s", (unsigned long long)r.to.files,
			   plural(r.to.files, "file", "files"), removable);
	return r.to.rc == 0 && (rc == 0 || rc == RC_UNTRUSTED || rc == RC_INCOMPLETE);
}

/* What media bring comes before the sync.  ${ret->safe}: those that have everything. */
static void removables_before(struct watch_who *w, const struct run_order *o,
			      struct reporter *reporter, struct home *home, struct run_result *ret)
{
	struct err err = {0};

	if (o->removables > 0 && home_of(w, reporter, home, &err) < 0)
		reporter_warning(reporter, "%s", err.text);
	for (size_t i = 0; i < o->removables && home->depot[0] != '\0'; i++)
		if (removable_carry(w, home, o->removable[i], reporter, ret))
			ret->safe |= 1ull << i;
}

/* What the sync made goes onto them; flushed at the end. */
static void removables_after(struct watch_who *w, const struct run_order *o, bool made,
			     struct reporter *reporter, const struct home *home,
			     struct run_result *ret)
{
	for (size_t i = 0; i < o->removables && home->depot[0] != '\0'; i++) {
		bool whole = (ret->safe & (1ull << i)) != 0;
		struct err err = {0};

		if (made)
			whole = removable_carry(w, home, o->removable[i], reporter, ret);
		if (whole && watch_flush(o->removable[i], &err) < 0) {
			reporter_warning(reporter, "%s", err.text);
			whole = false;
		}
		ret->safe &= ~(1ull << i);
		ret->safe |= (uint64_t)whole << i;
	}
}

static void sync_run(struct watch_who *w, const struct run_order *o, struct reporter *reporter,
		     struct watch_plan *plan, struct run_result *ret)
{
	OWNED(site_freep) struct site *s = NULL;
	struct home home = {.depot = ""};
	struct err err = {0};
	uint64_t beat = 0;
	int rc;

	removables_before(w, o, reporter, &home, ret);
	rc = site_of(w, SITE_LOCK | SITE_UNREAD, reporter, &s, &err);
	if (rc == 0) {
		plan_fill(s, plan);
		rc = site_sync(s, o, ret, &err);
		registry_last(s->db, "beat", &beat, ERR_IGNORED);
	}
	s = site_free(s);
	if (rc != RC_BUSY)
		removables_after(w, o, beat > home.beat, reporter, &home, ret);
	if (rc < 0)
		watch_failed(ret, &err);
	else if (ret->text[0] == '\0') {
		ret->nothing = !(o->reasons & (RUN_ASKED | RUN_START));
		watch_said(ret, "nothing changed");
	}
}

static void search_run(struct watch_who *w, const struct run_order *o, struct reporter *reporter,
		       struct run_result *ret)
{
	OWNED(site_freep) struct site *s = NULL;
	struct err err = {0};
	char found[4096];
	int rc = site_of(w, 0, reporter, &s, &err);

	if (rc == 0)
		rc = watch_search(o->removable[0], &s->id, found, &err);
	if (rc < 0)
		watch_failed(ret, &err);
	else if ((size_t)snprintf(ret->text, sizeof(ret->text), "%s", found) >= sizeof(ret->text))
		ret->rc = RC_LIMIT;
}

void watch_server(void *arg, const struct run_order *order, struct reporter *reporter,
		  struct watch_plan *plan, struct buf *answer, struct run_result *ret)
{
	struct watch_who *w = arg;
	OWNED(site_freep) struct site *s = NULL;
	struct err err = {0};

	(void)answer;
	switch (order->what) {
	case RUN_SYNC:
		sync_run(w, order, reporter, plan, ret);
		return;
	case RUN_SEARCH:
		search_run(w, order, reporter, ret);
		return;
	case RUN_PLAN:
		if (site_of(w, SITE_UNREAD, reporter, &s, &err) < 0)
			watch_failed(ret, &err);
		else
			plan_fill(s, plan);
		return;
	case RUN_MESSAGES:
		watch_said(ret, "only a workstation has messages to show");
		return;
	}
}
