/*
 * A line for each group and each depot.  Every workstation and user is judged once, as everywhere;
 * what is kept of them is a few bytes each, and who is active where.
 */
#include <stdio.h>
#include <string.h>

#include "bundler/status_internal.h"
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
	struct buf names;        /* owned; each with its NUL */
	struct machine *machine; /* owned; ascending by id once all are read */
	size_t machines, machine_cap;
	struct active *active; /* owned */
	size_t actives, active_cap;
	struct status_line *line; /* owned; of the groups, and one more for who has none */
	size_t groups;
	uint64_t users_by[COLOURS];
	uint32_t users;
};

static void summary_clear(struct summary *m)
{
	buf_clear(&m->names);
	free(m->machine);
	free(m->active);
	free(m->line);
}

static int machine_add(void *arg, const struct status_workstation *w, struct err *err)
{
	struct summary *m = arg;
	struct machine *one;

	if (rows_room(&m->machine, m->machines, &m->machine_cap, sizeof(*one), err) < 0)
		return RC_MEMORY;
	one = &m->machine[m->machines++];
	memset(one, 0, sizeof(*one));
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
	return m->machines > 0 ? bsearch(&key, m->machine, m->machines, sizeof(key), by_machine_id)
			       : NULL;
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
		if (rows_room(&m->active, m->actives, &m->active_cap, sizeof(*m->active), err) < 0)
			return RC_MEMORY;
		m->active[m->actives++] = (struct active){.machine = (uint32_t)(at - m->machine),
							  .group = (uint32_t)group,
							  .user = m->users,
							  .colour = (uint8_t)u->colour};
	}
	m->users++;
	return 0;
}

/* line_machine(l, m, i): one more workstation of the place. */
static void line_machine(struct status_line *l, const struct summary *m, size_t i)
{
	const struct machine *one = &m->machine[i];

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
	OWNED(freep) bool *used = calloc(m->machines + 1, sizeof(*used));
	OWNED(freep) struct active *sorted = NULL;

	if (used == NULL)
		return err_memory(err);
	if (m->actives > 0) {
		sorted = reallocarray(NULL, m->actives, sizeof(*sorted));
		if (sorted == NULL)
			return err_memory(err);
		memcpy(sorted, m->active, m->actives * sizeof(*sorted));
		qsort(sorted, m->actives, sizeof(*sorted), by_group);
	}
	for (size_t i = 0; i < m->actives; i++) {
		used[sorted[i].machine] = true;
		if (i == 0 || by_group(&sorted[i], &sorted[i - 1]) != 0)
			line_machine(&m->line[sorted[i].group], m, sorted[i].machine);
	}
	for (size_t i = 0; i < m->machines; i++) {
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

	for (size_t i = 0; i < m->machines; i++) {
		if (in == NULL || in[i])
			line_machine(l, m, i);
	}
	if (in == NULL) {
		memcpy(l->users, m->users_by, sizeof(l->users));
		return;
	}
	for (size_t i = 0; i < m->actives; i++) {
		if (in[m->active[i].machine] && m->active[i].user != last) {
			last = m->active[i].user;
			l->users[m->active[i].colour]++;
		}
	}
}

static int consigned_read(struct summary *m, const char *depot, bool *in, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(m->s->db, "SELECT id FROM consigned WHERE depot = ?1", &st, err);

	memset(in, 0, m->machines * sizeof(*in));
	if (rc == 0)
		rc = db_bind(st, err, "t", depot);
	while (rc == 0 && (rc = db_step(m->s->db, st, err)) == 1) {
		const struct machine *one = machine_find(m, db_text(st, 0));

		if (one != NULL)
			in[one - m->machine] = true;
		rc = 0;
	}
	return rc;
}

static int consignments_tell(struct summary *m,
			     int (*each)(void *arg, const struct status_line *l, struct err *err),
			     void *arg, struct err *err)
{
	OWNED(freep) bool *in = calloc(m->machines + 1, sizeof(*in));
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = in == NULL ? err_memory(err) : 0;

	if (rc == 0)
		rc = db_query(m->s->db,
			      "SELECT depot, audience, some, at FROM consignment ORDER BY depot",
			      &st, err);
	while (rc == 0 && (rc = db_step(m->s->db, st, err)) == 1) {
		struct status_line l = {.kind = STATUS_DEPOT, .carried = db_i64(st, 3)};

		line_name(&l, db_text(st, 0), db_text(st, 1));
		rc = consigned_read(m, l.name, in, err);
		if (rc == 0) {
			depot_fill(m, db_i64(st, 2) != 0 ? in : NULL, &l);
			rc = each(arg, &l, err);
		}
	}
	return rc;
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
	if (m.machines > 1)
		qsort(m.machine, m.machines, sizeof(*m.machine), by_machine_id);
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
