/* SPDX-License-Identifier: ISC */
/* What goes wrong beside commands that are cut off: media, clocks, machines set back. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/own.h"
#include "tests/sim/life.h"

static const char *any_depot(struct world *w)
{
	uint64_t i = pick(w, STICKS + 1);

	return i == 0 ? w->depot : w->stick[i - 1];
}

/* Any regular file below ${dir}; "" when there is none. */
static void any_file(struct world *w, const char *dir, char ret[PATH_MAX])
{
	struct tree t;
	size_t n;

	tree_read(dir, &t);
	ret[0] = '\0';
	n = t.n > 0 ? pick(w, t.n) : 0;
	for (size_t i = 0; i < t.n; i++) {
		const struct entry *e = &t.items[(n + i) % t.n];

		if (e->kind != 'f')
			continue;
		snprintf(ret, PATH_MAX, "%s/%s", dir, e->path);
		break;
	}
	tree_clear(&t);
}

void harm_depot(struct world *w)
{
	char path[PATH_MAX];
	uint8_t bytes[64];
	struct stat st;

	any_file(w, any_depot(w), path);
	if (path[0] == '\0' || stat(path, &st) < 0)
		return;
	OWNED(fd_closep) int fd = open(path, O_WRONLY | O_CLOEXEC);

	switch (pick(w, 3)) {
	case 0:
		world_say(w, "lost: %s", path);
		unlink(path);
		return;
	case 1:
		world_say(w, "torn: %s", path);
		if (ftruncate(fd, (off_t)pick(w, (uint64_t)st.st_size + 1)) < 0)
			return;
		return;
	default:
		world_say(w, "garbled: %s", path);
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)pick(w, 256);
		pwrite(fd, bytes, sizeof(bytes), (off_t)pick(w, (uint64_t)st.st_size + 1));
	}
}

void harm_clock(struct world *w)
{
	static const int64_t far[] = {-400 * 86400, -86400, -3600, 3600, 86400, 40 * 86400};
	int64_t skew = chance(w, 50) ? 0 : far[pick(w, ARRAY_LEN(far))];
	uint64_t i = pick(w, STATIONS + 1);

	if (i == STATIONS)
		w->skew = skew;
	else
		w->station[i].skew = skew;
	world_say(w, "the clock of %s is %lld s off",
		  i == STATIONS ? "the server" : w->station[i].name, (long long)skew);
}

void harm_stick(struct world *w)
{
	int a = (int)pick(w, STICKS), b = (int)pick(w, STICKS);
	char spare[PATH + 8];

	snprintf(spare, sizeof(spare), "%.500s.spare", w->stick[a]);
	switch (pick(w, 3)) {
	case 0:
		world_say(w, "stick %d is lost; a new one", a);
		tree_remove(w->stick[a]);
		mkdir(w->stick[a], 0755);
		return;
	case 1:
		world_say(w, "stick %d becomes a copy of stick %d", b, a);
		if (a == b)
			return;
		tree_remove(w->stick[b]);
		tree_copy(w->stick[a], w->stick[b]);
		return;
	default:
		world_say(w, "sticks %d and %d are swapped", a, b);
		if (a == b || rename(w->stick[a], spare) < 0)
			return;
		rename(w->stick[b], w->stick[a]);
		rename(spare, w->stick[b]);
	}
}

/* A machine is set up anew, under its name. */
static void reimage(struct world *w, struct station *s)
{
	world_say(w, "%s is set up anew", s->name);
	tree_remove(s->dir);
	oracle_forget(w, s);
	world_enrol(w, s);
}

/* A machine with a share is copied whole, or is its copy again.  The other one could not tell the
 * server for as long as nobody carries. */
void harm_old(struct world *w)
{
	struct station *s = &w->station[pick(w, 2)];
	char copy[PATH + 8];

	snprintf(copy, sizeof(copy), "%.500s.copy", s->dir);
	if (s->copy == NULL || chance(w, 50)) {
		world_say(w, "%s is copied", s->name);
		tree_remove(copy);
		tree_copy(s->dir, copy);
		oracle_copy(w, s);
		return;
	}
	world_say(w, "%s is set back to its copy", s->name);
	tree_remove(s->dir);
	tree_copy(copy, s->dir);
	oracle_set_back(w, s);
}

/* Documents, keys and registry; the sources stay as they are. */
void harm_server(struct world *w)
{
	static const char *const parts[] = {"site", "site.state"};
	char here[PATH + 16], copy[PATH + 32];

	bool back = w->copied && chance(w, 40);

	world_say(w, back ? "the server is an old copy" : "the server is copied");
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		snprintf(here, sizeof(here), "%.500s/%s", w->dir, parts[i]);
		snprintf(copy, sizeof(copy), "%.500s/%s.copy", w->dir, parts[i]);
		tree_remove(back ? here : copy);
		tree_copy(back ? copy : here, back ? here : copy);
	}
	w->copied = true;
	if (back)
		oracle_server_old(w);
}

void harm_state(struct world *w)
{
	reimage(w, &w->station[pick(w, STATIONS)]);
}
