/* SPDX-License-Identifier: ISC */
/*
 * A line for each group and each depot.  Every workstation and user is judged once, as everywhere;
 * what is kept of them is a few bytes each, and who is active where.
 */
#include <stdio.h>
#include <string.h>

#include "bundler/carry/consignment.h"
#include "bundler/documents/documents.h"
#include "bundler/documents/site_model.h"
#include "bundler/status/status_internal.h"
#include "core/base/own.h"

struct machine {
	char id[WORKSTATION_ID + 1]; /* "" before it enrolled */
	uint32_t name;               /* offset in the names */
	uint8_t colour;
	bool counts; /* it is enrolled: its silence says something of the place */
	int64_t heard;
};

/* A user on a workstation, in the order of users. */
struct active {
	uint32_t machine, group, user;
	uint8_t colour; /* of the user */
};

struct summary {
	struct site *s;
	struct buf names;             /* owned; each with its NUL */
	LIST(struct machine) machine; /* owned; ascending by id once all are read */
	LIST(struct active) active;   /* owned */
	struct status_line *line;     /* owned; of the groups, and one more for who has none */
	size_t groups;
	uint64_t users_by[COLOURS];
	uint32_t users;
};

static void summary_clear(struct summary *m)
{
	buf_clear(&m->names);
	list_clear(&m->machine);
	list_clear(&m->active);
	free(m->line);
}

static int machine_add(void *arg, const struct status_workstation *w, struct err *err)
{
	struct summary *m = arg;
	struct machine *one = list_add(&m->machine, err);

	if (one == NULL)
		return err->rc;
	snprintf(one->id, sizeof(one->id), "%s", w->id);
	one->name = (uint32_t)m->names.n;
	one->colour = (uint8_t)w->colour;
	one->counts = w->id[0] != '\0' && w->colour != COLOUR_GREY;
	one->heard = w->heard;
	return buf_add(&m->names, w->name, strlen(w->name) + 1, err);
}

static int by_machine_id(const void *a, const void *b)
{
	return strcmp(((const struct machine *)a)->id, ((const struct machine *)b)->id);
}

static struct machine *machine_find(const struct summary *m, const char *id)
{
	struct machine key = {.name = 0};

	snprintf(key.id, sizeof(key.id), "%s", id);
	return list_find(&m->machine, &key, by_machine_id);
}

static int user_add(void *arg, const struct status_user *u, struct err *err)
{
	struct summary *m = arg;
	const struct site_group *g = site_group(m->s, u->group);
	size_t group = g != NULL ? (size_t)(g - m->s->group) : m->groups;

	m->line[group].users[u->colour]++;
	m->users_by[u->colour]++;
	for (size_t i = 0; i < u->places; i++) {
		struct machine *at = u->place[i].to_be ? machine_find(m, u->place[i].id) : NULL;

		if (at == NULL)
			continue;
		if (list_push(&m->active,
			      ((struct active){.machine = (uint32_t)(at - m->machine.items),
					       .group = (uint32_t)group,
					       .user = m->users,
					       .colour = (uint8_t)u->colour}),
			      err) < 0)
			return err->rc;
	}
	m->users++;
	return 0;
}

/* line_machine(l, m, i): one more workstation of the place. */
static void line_machine(struct status_line *l, const struct summary *m, size_t i)
{
	const struct machine *one = &m->machine.items[i];

	l->workstations[one->colour]++;
	if (!one->counts || (l->enrolled++ > 0 && one->heard >= l->oldest))
		return;
	l->oldest = one->heard;
	snprintf(l->oldest_name, sizeof(l->oldest_name), "%s", (char *)m->names.p + one->name);
}

static int by_group(const void *a, const void *b)
{
	const struct active *x = a, *y = b;

	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	return x->machine < y->machine ? -1 : x->machine > y->machine;
}

/* A workstation counts once for each group that has somebody there, and for none when nobody is. */
static int groups_fill(struct summary *m, struct err *err)
{
	OWNED(freep) bool *used = calloc(m->machine.n + 1, sizeof(*used));
	OWNED(freep) struct active *sorted = NULL;

	if (used == NULL)
		return err_memory(err);
	if (m->active.n > 0) {
		sorted = reallocarray(NULL, m->active.n, sizeof(*sorted));
		if (sorted == NULL)
			return err_memory(err);
		memcpy(sorted, m->active.items, m->active.n * sizeof(*sorted));
		qsort(sorted, m->active.n, sizeof(*sorted), by_group);
	}
	for (size_t i = 0; i < m->active.n; i++) {
		used[sorted[i].machine] = true;
		if (i == 0 || by_group(&sorted[i], &sorted[i - 1]) != 0)
			line_machine(&m->line[sorted[i].group], m, sorted[i].machine);
	}
	for (size_t i = 0; i < m->machine.n; i++) {
		if (!used[i])
			line_machine(&m->line[m->groups], m, i);
	}
	return 0;
}

static void line_name(struct status_line *l, const char *name, const char *parent)
{
	snprintf(l->name, sizeof(l->name), "%s", name);
	snprintf(l->parent, sizeof(l->parent), "%s", parent);
}

static int groups_tell(struct summary *m,
		       int (*each)(void *arg, const struct status_line *l, struct err *err),
		       void *arg, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i <= m->groups && rc == 0; i++) {
		struct status_line *l = &m->line[i];
		uint64_t any = l->enrolled;

		l->kind = STATUS_GROUP;
		if (i < m->groups) {
			line_name(l, m->s->group[i].name, m->s->group[i].parent);
		} else {
			for (size_t c = 0; c < COLOURS; c++)
				any += l->users[c] + l->workstations[c];
			if (any == 0)
				break;
		}
		rc = each(arg, l, err);
	}
	return rc;
}

/* depot_fill(...): the workstations that are ${in} it, and who is active on them. */
static void depot_fill(const struct summary *m, const bool *in, struct status_line *l)
{
	uint32_t last = UINT32_MAX;

	for (size_t i = 0; i < m->machine.n; i++) {
		if (in == NULL || in[i])
			line_machine(l, m, i);
	}
	if (in == NULL) {
		memcpy(l->users, m->users_by, sizeof(l->users));
		return;
	}
	for (size_t i = 0; i < m->active.n; i++) {
		if (in[m->active.items[i].machine] && m->active.items[i].user != last) {
			last = m->active.items[i].user;
			l->users[m->active.items[i].colour]++;
		}
	}
}

struct consigned {
	struct summary *m;
	int (*each)(void *arg, const struct status_line *l, struct err *err);
	void *arg;
	bool *in; /* owned; parallel to m->machine: the depot is for it */
};

static void consigned_clear(struct consigned *c)
{
	free(c->in);
}

static int consigned_add(void *arg, const char *id, struct err *err)
{
	struct consigned *c = arg;
	const struct machine *one = machine_find(c->m, id);

	(void)err;
	if (one != NULL)
		c->in[one - c->m->machine.items] = true;
	return 0;
}

static int consignment_tell(void *arg, const struct consignment *from, struct err *err)
{
	struct consigned *c = arg;
	struct status_line l = {.kind = STATUS_DEPOT, .carried = from->at};
	int rc;

	line_name(&l, from->depot, from->audience);
	memset(c->in, 0, c->m->machine.n * sizeof(*c->in));
	rc = consignment_ids(c->m->s->db, from->depot, consigned_add, c, err);
	if (rc < 0)
		return rc;
	depot_fill(c->m, from->some ? c->in : NULL, &l);
	return c->each(c->arg, &l, err);
}

static int consignments_tell(struct summary *m,
			     int (*each)(void *arg, const struct status_line *l, struct err *err),
			     void *arg, struct err *err)
{
	OWNED(consigned_clear) struct consigned c = {.m = m, .each = each, .arg = arg};

	c.in = calloc(m->machine.n + 1, sizeof(*c.in));
	if (c.in == NULL)
		return err_memory(err);
	return consignments(m->s, consignment_tell, &c, err);
}

int status_summary(struct site *s,
		   int (*each)(void *arg, const struct status_line *l, struct err *err), void *arg,
		   struct err *err)
{
	OWNED(summary_clear) struct summary m = {.s = s, .groups = s->groups};
	struct status_line home = {.kind = STATUS_HOME};
	int rc;

	m.line = calloc(m.groups + 1, sizeof(*m.line));
	if (m.line == NULL)
		return err_memory(err);
	rc = status_workstations(s, machine_add, &m, err);
	if (rc < 0)
		return rc;
	list_sort(&m.machine, by_machine_id);
	rc = status_users(s, user_add, &m, err);
	if (rc == 0)
		rc = groups_fill(&m, err);
	if (rc == 0)
		rc = groups_tell(&m, each, arg, err);
	if (rc < 0)
		return rc;
	line_name(&home, s->depot, "");
	depot_fill(&m, NULL, &home);
	rc = each(arg, &home, err);
	return rc < 0 ? rc : consignments_tell(&m, each, arg, err);
}
