/* SPDX-License-Identifier: ISC */
/*
 * What is true, known from the outside: the trees that were published, what people wrote, what is
 * on the disks.  It asks the program only what it claims: its numbers and its colours.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/own.h"
#include "tests/sim/json.h"
#include "tests/sim/life.h"

static void json_freep(struct json_node **v)
{
	json_free(*v);
}

static void *must(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

/* Publishing */

static const struct tree *tree_of(const struct channel *c, uint64_t generation)
{
	static const struct tree none;

	for (size_t i = c->published.n; i > 0; i--)
		if (c->published.items[i - 1].generation == generation)
			return &c->published.items[i - 1].tree;
	return generation == 0 ? &none : NULL;
}

void oracle_published(struct world *w)
{
	struct err err;

	for (int i = 0; i < CHANNELS; i++) {
		struct channel *c = &w->channel[i];
		OWNED(json_freep) struct json_node *v = NULL;
		struct published *p;
		uint64_t generation;

		if (look_server(w, "channel", "show", c->name, "--json", NULL) != 0)
			world_fail(w, "channel show fails");
		v = json_read(w->out);
		generation = json_number_of(v, "generation");
		if (generation == c->newest)
			continue;
		if (generation < c->newest && !w->old)
			world_fail(w, "%s went back from %lu to %lu", c->name, c->newest,
				   generation);
		c->newest = generation;
		/* A number is given once: an old server that has recovered knows it again. */
		if (tree_of(c, generation) != NULL)
			continue;
		p = must(list_add(&c->published, &err));
		p->generation = generation;
		tree_read(c->source, &p->tree);
	}
}

void oracle_server_old(struct world *w)
{
	w->old = true;
	w->asked = true;
}

void oracle_recovered(struct world *w)
{
	oracle_published(w);
	w->old = false;
}

/* People */

/* Does a change of ${dirty} explain a difference at ${path}: it is that path, or above or below? */
static bool about(const char *dirty, const char *path)
{
	size_t d = strlen(dirty), p = strlen(path), n = d < p ? d : p;

	return strncmp(dirty, path, n) == 0 && (d == p || (d > p ? dirty : path)[n] == '/');
}

static bool is_dirty(const struct target *t, const char *path)
{
	for (size_t i = 0; i < t->dirty.n; i++)
		if (about(t->dirty.items[i], path))
			return true;
	return false;
}

void oracle_changed(struct world *w, struct station *s, int c, const char *path)
{
	struct err err;

	if (strings_insert(&s->target[c].dirty, path, &err) < 0)
		abort();
}

void oracle_wrote(struct world *w, struct station *s, const struct digest *d)
{
	struct err err;

	if (list_push(&s->written, *d, &err) < 0)
		abort();
}

static void drop(struct station *s, const struct digest *d)
{
	for (size_t i = s->written.n; i > 0; i--)
		if (digest_equal(&s->written.items[i - 1], d))
			s->written.items[i - 1] = s->written.items[--s->written.n];
}

void oracle_removed(struct world *w, struct station *s, const char *path)
{
	for (int c = 0; c < CHANNELS; c++) {
		struct tree t;

		tree_read(s->target[c].dir, &t);
		for (size_t i = 0; i < t.n; i++)
			if (t.items[i].kind == 'f' && about(path, t.items[i].path))
				drop(s, &t.items[i].digest);
		tree_clear(&t);
	}
}

/* A list of plain values, as it is now. */
#define LIST_COPY(to, from)                                                        \
	do {                                                                       \
		struct err list_err;                                               \
		memset((to), 0, sizeof(*(to)));                                    \
		for (size_t list_i = 0; list_i < (from)->n; list_i++)              \
			if (list_push((to), (from)->items[list_i], &list_err) < 0) \
				abort();                                           \
	} while (0)

static void knowledge_copy(struct station *to, const struct station *from)
{
	struct err err;

	LIST_COPY(&to->written, &from->written);
	for (int c = 0; c < CHANNELS; c++) {
		struct target *t = &to->target[c];

		memset(&t->dirty, 0, sizeof(t->dirty));
		for (size_t i = 0; i < from->target[c].dirty.n; i++)
			if (strings_add(&t->dirty, from->target[c].dirty.items[i], &err) < 0)
				abort();
		LIST_COPY(&t->right, &from->target[c].right);
	}
}

static void knowledge_clear(struct station *s)
{
	list_clear(&s->written);
	for (int c = 0; c < CHANNELS; c++) {
		strings_clear(&s->target[c].dirty);
		list_clear(&s->target[c].right);
	}
}

static void copy_drop(struct station *s)
{
	if (s->copy != NULL)
		knowledge_clear(s->copy);
	free(s->copy);
	s->copy = NULL;
}

void oracle_copy(struct world *w, struct station *s)
{
	copy_drop(s);
	s->copy = must(calloc(1, sizeof(*s->copy)));
	knowledge_copy(s->copy, s);
}

/* What was on its disks since counts no more; but who reads receipts cannot know before the next.
 */
void oracle_set_back(struct world *w, struct station *s)
{
	knowledge_clear(s);
	knowledge_copy(s, s->copy);
	for (int c = 0; c < CHANNELS; c++)
		list_clear(&s->target[c].right);
	s->blind = BLIND_UNTIL_RUN;
}

void oracle_collected(struct world *w)
{
	for (int i = 0; i < STATIONS; i++)
		if (w->station[i].blind == BLIND_UNTIL_READ)
			w->station[i].blind = SEEING;
}

void oracle_forget(struct world *w, struct station *s)
{
	knowledge_clear(s);
	copy_drop(s);
	s->blind = SEEING;
}

static void find_written(const char *dir, const struct station *s, bool *found)
{
	struct tree t;

	tree_read(dir, &t);
	for (size_t i = 0; i < t.n; i++)
		for (size_t k = 0; t.items[i].kind == 'f' && k < s->written.n; k++)
			if (digest_equal(&t.items[i].digest, &s->written.items[k]))
				found[k] = true;
	tree_clear(&t);
}

static void written_check(struct world *w, struct station *s)
{
	OWNED(freep) bool *found = must(calloc(s->written.n + 1, 1));
	char dir[PATH + 32], hex[DIGEST_HEX + 1];

	if (s->written.n == 0)
		return;
	snprintf(dir, sizeof(dir), "%s/root", s->dir);
	find_written(dir, s, found);
	snprintf(dir, sizeof(dir), "%s/root/srv/.satchel-kept", s->dir);
	find_written(dir, s, found);
	for (size_t k = 0; k < s->written.n; k++) {
		digest_hex(hex, &s->written.items[k]);
		if (!found[k])
			world_fail(w, "what a person wrote on %s is gone: %s", s->name, hex);
	}
}

/* Trees */

/* The first difference that no person explains, or NULL. */
static const char *differs(const struct target *t, const struct tree *want, const struct tree *disk)
{
	for (size_t i = 0; i < want->n; i++) {
		const struct entry *e = &want->items[i];

		if (!entry_same(e, tree_find(disk, e->path)) && !is_dirty(t, e->path))
			return e->path;
	}
	for (size_t i = 0; i < disk->n; i++)
		if (tree_find(want, disk->items[i].path) == NULL &&
		    !is_dirty(t, disk->items[i].path))
			return disk->items[i].path;
	return NULL;
}

/* What is right again is nobody's change any more. */
static void dirty_forget(struct target *t, const struct tree *want, const struct tree *disk)
{
	struct strings left = {0};
	struct err err;

	for (size_t i = 0; i < t->dirty.n; i++) {
		struct target one = {.dirty = {&t->dirty.items[i], 1, 1}};
		bool same = true;

		for (size_t k = 0; k < want->n && same; k++)
			same = !is_dirty(&one, want->items[k].path) ||
			       entry_same(&want->items[k], tree_find(disk, want->items[k].path));
		for (size_t k = 0; k < disk->n && same; k++)
			same = !is_dirty(&one, disk->items[k].path) ||
			       tree_find(want, disk->items[k].path) != NULL;
		if (!same && strings_add(&left, t->dirty.items[i], &err) < 0)
			abort();
	}
	strings_clear(&t->dirty);
	t->dirty = left;
}

static const struct json_node *by_name(const struct json_node *list, const char *name)
{
	for (size_t i = 0; list != NULL && i < list->n; i++)
		if (strcmp(json_text_of(&list->item[i], "name"), name) == 0)
			return &list->item[i];
	return NULL;
}

static void say_entry(struct world *w, const char *where, const struct entry *e)
{
	char hex[DIGEST_HEX + 1];

	if (e == NULL) {
		world_say(w, "%s: nothing", where);
		return;
	}
	digest_hex(hex, &e->digest);
	world_say(w, "%s: %c %04o %lld %s", where, e->kind, (unsigned)e->mode, (long long)e->mtime,
		  hex);
}

static void target_ran(struct world *w, struct station *s, int c, const struct json_node *shown,
		       bool done)
{
	struct target *t = &s->target[c];
	uint64_t held = json_number_of(shown, "generation");
	const struct tree *want = tree_of(&w->channel[c], held);
	const char *wrong;
	struct tree disk;
	struct err err;

	if (want == NULL)
		world_fail(w, "%s holds %s %lu, which nobody published", s->name,
			   w->channel[c].name, held);
	tree_read(t->dir, &disk);
	wrong = differs(t, want, &disk);
	if (wrong != NULL && done) {
		say_entry(w, "published", tree_find(want, wrong));
		say_entry(w, "on disk", tree_find(&disk, wrong));
		world_fail(w, "%s says that it holds %s %lu, but %s differs", s->name,
			   w->channel[c].name, held, wrong);
	}
	if (wrong == NULL) {
		dirty_forget(t, want, &disk);
		if (list_push(&t->right, held, &err) < 0)
			abort();
	}
	tree_clear(&disk);
}

void oracle_ran(struct world *w, struct station *s, int status)
{
	OWNED(json_freep) struct json_node *v = NULL;
	const struct json_node *shown;

	written_check(w, s);
	/* Who was cut off says nothing yet; the next run does. */
	if (status < 0)
		return;
	if (look_station(w, s, "status", "--json", NULL) != 0)
		world_fail(w, "status of %s fails", s->name);
	v = json_read(w->out);
	for (int c = 0; c < CHANNELS; c++) {
		shown = by_name(json_get(v, "channels"), w->channel[c].name);
		if (shown != NULL)
			target_ran(w, s, c, shown, status == 0);
	}
	if (status == 0 && s->blind == BLIND_UNTIL_RUN)
		s->blind = BLIND_UNTIL_READ;
}

/* Colours */

static bool was_right(const struct target *t, uint64_t generation)
{
	for (size_t i = 0; i < t->right.n; i++)
		if (t->right.items[i] == generation)
			return true;
	return false;
}

/* A run that was cut off may have done everything before that. */
static bool is_right(const struct target *t, const struct tree *want)
{
	struct tree disk;
	bool right;

	if (want == NULL)
		return false;
	tree_read(t->dir, &disk);
	right = differs(t, want, &disk) == NULL;
	tree_clear(&disk);
	return right;
}

static void green_check(struct world *w, struct station *s, const struct json_node *shown)
{
	for (int c = 0; c < CHANNELS; c++) {
		const struct channel *channel = &w->channel[c];
		const struct json_node *v = by_name(json_get(shown, "channels"), channel->name);
		uint64_t wanted = json_number_of(v, "wanted");

		if (v == NULL)
			world_fail(w, "%s is green without %s", s->name, channel->name);
		if (wanted != channel->newest)
			world_fail(w, "%s is green with %s %lu, and %lu was published", s->name,
				   channel->name, wanted, channel->newest);
		if (!was_right(&s->target[c], wanted) &&
		    !is_right(&s->target[c], tree_of(channel, wanted)))
			world_fail(w, "%s is green with %s %lu, which was never on its disk",
				   s->name, channel->name, wanted);
	}
}

/* Returns how many of all, or of the one ${only}, are green. */
static int colours(struct world *w, const struct station *only)
{
	OWNED(json_freep) struct json_node *v = NULL;
	int green = 0;

	if (look_server(w, "status", "--json", NULL) != 0 || (v = json_read(w->out)) == NULL)
		world_fail(w, "status fails");
	for (int i = 0; i < STATIONS; i++) {
		struct station *s = &w->station[i];
		const struct json_node *shown = by_name(json_get(v, "workstations"), s->name);

		if ((only != NULL && only != s) ||
		    strcmp(json_text_of(shown, "colour"), "green") != 0)
			continue;
		if (s->blind == SEEING)
			green_check(w, s, shown);
		green++;
	}
	return green;
}

void oracle_step(struct world *w)
{
	secrets_check(w);
	/* What does not go through the server changes no number and no colour. */
	if (!w->asked)
		return;
	w->asked = false;
	oracle_published(w);
	colours(w, NULL);
}

bool oracle_green(struct world *w, struct station *s)
{
	return colours(w, s) == 1;
}

bool oracle_healthy(struct world *w)
{
	return colours(w, NULL) == STATIONS;
}

void oracle_clear(struct world *w)
{
	for (int i = 0; i < STATIONS; i++)
		oracle_forget(w, &w->station[i]);
	for (int i = 0; i < CHANNELS; i++) {
		for (size_t k = 0; k < w->channel[i].published.n; k++)
			tree_clear(&w->channel[i].published.items[k].tree);
		list_clear(&w->channel[i].published);
	}
	secrets_clear(w);
}
