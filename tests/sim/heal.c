/* SPDX-License-Identifier: ISC */
/*
 * The faults have stopped, and everybody does what the program asks of them: who publishes,
 * carries, applies and collects, and follows the remedies that are printed, is healthy after three
 * rounds.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/own.h"
#include "tests/sim/json.h"
#include "tests/sim/life.h"

#define ROUNDS    3
#define WORDS_MAX 12

static void json_freep(struct json_node **v)
{
	json_free(*v);
}

/* Does the last command say that? */
static bool said(struct world *w, const char *text)
{
	char line[1024];
	FILE *f = fopen(w->out, "r");
	bool found = false;

	while (f != NULL && !found && fgets(line, sizeof(line), f) != NULL)
		found = strstr(line, text) != NULL;
	if (f != NULL)
		fclose(f);
	return found;
}

static void publish(struct world *w)
{
	server(w, "publish", NULL);
	if (said(w, "satchel recover")) {
		server(w, "recover", NULL);
		oracle_recovered(w);
		server(w, "publish", NULL);
	}
	oracle_published(w);
}

static bool nothing_differs(struct world *w, struct station *s)
{
	return look_station(w, s, "drift", "--json", NULL) == 0 && said(w, "[]");
}

static void apply(struct world *w, struct station *s)
{
	oracle_ran(w, s, station(w, s, "apply", NULL));
	/* What status says to whoever finds drift. */
	if (!nothing_differs(w, s)) {
		oracle_ran(w, s, station(w, s, "repair", NULL));
		oracle_ran(w, s, station(w, s, "apply", NULL));
	}
}

/* A remedy in words: those that change something and are for this machine, or for the server. */
static void remedy_follow(struct world *w, struct station *s, const char *command)
{
	static const char *const servers[] = {"satchel workstation accept ", "satchel recover"};
	char text[400], *next = text, *word[WORDS_MAX] = {NULL};
	size_t n = 0, i = 0;

	while (i < ARRAY_LEN(servers) && strncmp(command, servers[i], strlen(servers[i])) != 0)
		i++;
	if (i == ARRAY_LEN(servers))
		return;
	snprintf(text, sizeof(text), "%s", command);
	while (n < WORDS_MAX - 1 && (word[n] = strsep(&next, " ")) != NULL)
		n++;
	world_say(w, "the remedy for %s: %s", s->name, command);
	server(w, word[1], word[2], word[3], word[4], NULL);
	oracle_recovered(w);
}

static void reasons_follow(struct world *w, struct station *s, const struct json_node *reasons)
{
	for (size_t i = 0; reasons != NULL && i < reasons->n; i++) {
		const struct json_node *list = json_get(&reasons->item[i], "remedies");

		for (size_t k = 0; list != NULL && k < list->n; k++)
			remedy_follow(w, s, json_text_of(&list->item[k], "command"));
	}
}

static void remedies_follow(struct world *w)
{
	OWNED(json_freep) struct json_node *v = NULL;
	const struct json_node *list;

	look_server(w, "status", "--json", NULL);
	v = json_read(w->out);
	list = json_get(v, "workstations");
	for (int i = 0; i < STATIONS; i++) {
		bool known = false;

		for (size_t k = 0; list != NULL && k < list->n; k++)
			if (strcmp(json_text_of(&list->item[k], "name"), w->station[i].name) == 0) {
				known = true;
				reasons_follow(w, &w->station[i],
					       json_get(&list->item[k], "reasons"));
			}
		if (!known)
			world_say(w, "%s is unknown to the server", w->station[i].name);
	}
}

static void round_of_all(struct world *w)
{
	server(w, "collect", NULL);
	publish(w);
	for (int i = 0; i < STICKS; i++)
		bring(w, w->depot, w->stick[i]);
	for (int i = 0; i < STATIONS; i++)
		apply(w, &w->station[i]);
	for (int i = 0; i < STICKS; i++)
		bring(w, w->stick[i], w->depot);
	server(w, "collect", NULL);
	oracle_collected(w);
	w->now += 25 * 3600; /* who has nothing new to say says so once a day */
}

/* A new generation of every channel: after a rollback nothing else is applied. */
static void edit_all(struct world *w)
{
	char path[PATH + 8];

	for (int i = 0; i < CHANNELS; i++) {
		snprintf(path, sizeof(path), "%s/last", w->channel[i].source);
		tree_remove(path);
		content_write(w, path, 100);
	}
}

void heal(struct world *w)
{
	w->calm = true;
	w->skew = 0;
	for (int i = 0; i < STATIONS; i++)
		w->station[i].skew = 0;
	edit_all(w);
	for (int i = 0; i < ROUNDS; i++) {
		w->step++;
		round_of_all(w);
		if (oracle_healthy(w))
			return;
		remedies_follow(w);
	}
	server(w, "status", NULL);
	world_fail(w, "not all green after %d rounds without faults", ROUNDS);
}
