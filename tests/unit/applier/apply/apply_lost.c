/* SPDX-License-Identifier: ISC */
/*
 * A run was cut off, and then its target, its staging area or both were removed, or another disk is
 * there.  It ends all the same, what people wrote stays, and the next bundle is one from nothing.
 */
#include "tests/support/apply_cut.h"

TestSuite(apply_lost, .timeout = 120);

static char said[8192];

static void say(struct reporter *reporter, enum reporter_level level, const char *text)
{
	(void)reporter;
	if (level == REPORTER_WARNING)
		snprintf(said + strlen(said), sizeof(said) - strlen(said), "%s\n", text);
}

static struct reporter listener = {.line = say};

static int run(struct world *w, const char *command)
{
	return scratch_run(w->dir, command);
}

static void lost_make(struct world *w, enum local_answer answer, const char *command)
{
	world_make(w);
	w->s.reporter = &listener;
	said[0] = '\0';
	world_cut_off(w, answer);
	cr_assert_eq(run(w, command), 0, "%s", command);
}

static uint64_t generation(struct world *w)
{
	struct applied now;

	OK(w, applied_load(&w->s, "office", &now, &w->err));
	return now.generation;
}

static void full_applies(struct world *w)
{
	struct maker m = {0};

	make_first(&m);
	world_apply(w, &m, 0, 3);
	world_check(w);
}

Test(apply_lost, whatever_was_removed_the_run_ends_and_everything_is_applied_again)
{
	static const struct {
		const char *command, *told;
	} cases[] = {
	    {"mv root/srv/.satchel-stage-office elsewhere", "staging area"},
	    {"rm -r root/srv/.satchel-stage-office", "staging area"},
	    {"rm -r root/srv/office", "is gone"},
	    {"rm -r root/srv/office root/srv/.satchel-stage-office", "is gone"},
	    {"rm -r root/srv", "is gone"},
	    {"rm -r root/srv/office/dir", ""},
	    {"rm -r root/srv/office root/srv/.satchel-stage-office && mkdir root/srv/office && "
	     "echo other > root/srv/office/disk",
	     "staging area"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct world w;

		lost_make(&w, LOCAL_FAIL, cases[i].command);
		cr_expect_eq(apply_recover(&w.s, &w.target, &w.err), 1, "%s: %s", cases[i].command,
			     w.err.text);
		cr_expect_not_null(strstr(said, cases[i].told), "%s: %s", cases[i].command, said);
		cr_expect_eq(apply_interrupted(&w.s, "office", &w.err), 0);
		cr_expect_eq(generation(&w), 0, "%s", cases[i].command);
		cr_assert_eq(run(&w, "rm -f root/srv/office/disk"), 0);
		full_applies(&w);
		world_clear(&w);
	}
}

Test(apply_lost, the_area_that_comes_back_later_is_not_cleared)
{
	struct world w;

	lost_make(&w, LOCAL_FAIL, "mkdir away && mv root/srv/.satchel-stage-office away");
	cr_assert_eq(apply_recover(&w.s, &w.target, &w.err), 1, "%s", w.err.text);
	cr_assert_eq(run(&w, "ls away/.satchel-stage-office > files && test -s files && "
			     "mv away/.satchel-stage-office root/srv/.satchel-back"),
		     0);
	OK(&w, apply_recover(&w.s, &w.target, &w.err));
	full_applies(&w);
	cr_expect_eq(run(&w, "ls root/srv/.satchel-back | cmp - files"), 0);
	world_clear(&w);
}

Test(apply_lost, an_empty_directory_may_be_a_mount_point_so_nothing_is_given_up)
{
	struct world w;

	lost_make(&w, LOCAL_FAIL,
		  "mkdir away && mv root/srv/.satchel-stage-office root/srv/office "
		  "away && mkdir root/srv/office");
	cr_expect_eq(apply_recover(&w.s, &w.target, &w.err), RC_IO);
	cr_expect_not_null(strstr(w.err.text, "mount what belongs there"), "%s", w.err.text);
	cr_expect_eq(apply_interrupted(&w.s, "office", &w.err), 1);
	cr_expect_eq(generation(&w), 1);
	cr_expect_eq(run(&w, "test -z \"$(ls -A root/srv/office)\" && "
			     "test ! -e root/srv/.satchel-stage-office"),
		     0);
	/* What the sentence says: either of both. */
	cr_assert_eq(run(&w, "rmdir root/srv/office && mv away/office root/srv && "
			     "mv away/.satchel-stage-office root/srv"),
		     0);
	cr_expect_eq(apply_recover(&w.s, &w.target, &w.err), 1, "%s", w.err.text);
	cr_expect_eq(generation(&w), 2);
	world_check(&w);
	world_clear(&w);
	lost_make(&w, LOCAL_FAIL,
		  "rm -r root/srv/.satchel-stage-office root/srv/office && "
		  "mkdir root/srv/office");
	cr_expect_eq(apply_recover(&w.s, &w.target, &w.err), RC_IO);
	cr_assert_eq(run(&w, "rmdir root/srv/office"), 0);
	cr_expect_eq(apply_recover(&w.s, &w.target, &w.err), 1, "%s", w.err.text);
	full_applies(&w);
	world_clear(&w);
}

/* What people wrote */

/** The first rename puts the new one in place, the second one keeps what was there. */
static void die_keeping(const char *from, const char *to)
{
	static int renames;

	(void)from;
	if (strcmp(to, "alpha") == 0 && ++renames == 2)
		kill(getpid(), SIGKILL);
}

/** A local change is out, and the run dies before it is where people find it. */
static void keeping_make(struct world *w)
{
	struct maker m = {0};
	struct made_bundle b;

	world_make(w);
	w->s.reporter = &listener;
	said[0] = '\0';
	make_first(&m);
	world_apply(w, &m, 0, 1);
	cr_assert_eq(run(w, "echo mine > root/srv/office/alpha"), 0);
	make_put(&m, "alpha", "the first file, changed\n");
	bundle_make(w, &m, 1, 2, &b);
	w->target.local = LOCAL_REPLACE;
	bundle_cut_off(w, &b, die_keeping);
	buf_clear(&b.blocks);
}

Test(apply_lost, a_local_change_is_kept_though_the_target_was_removed)
{
	struct world w;

	lost_make(&w, LOCAL_REPLACE,
		  "rm -r root/srv/office && d=root/srv/.satchel-stage-office && "
		  "f=$(grep -lr 'deleted later$' $d | head -1) && test \"$f\" && "
		  "echo mine >> $f");
	cr_expect_eq(apply_recover(&w.s, &w.target, &w.err), 1, "%s", w.err.text);
	cr_expect_eq(run(&w, "grep -rq mine root/srv/.satchel-kept/office/2/ && "
			     "test $(find root/srv/.satchel-kept -type f | wc -l) = 1 && "
			     "test ! -e root/srv/.satchel-stage-office"),
		     0, "%s", said);
	world_clear(&w);
}

Test(apply_lost, a_run_that_was_keeping_ends_whatever_was_removed)
{
	static const char *const commands[] = {
	    "true",
	    "rm -rf root/srv/.satchel-kept",
	    "rm -r root/srv/office",
	    "rm -rf root/srv/.satchel-stage-office",
	    "rm -rf root/srv",
	};

	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		struct world w;

		keeping_make(&w);
		cr_assert_eq(run(&w, commands[i]), 0);
		cr_expect_eq(apply_recover(&w.s, &w.target, &w.err), 1, "%s: %s", commands[i],
			     w.err.text);
		cr_expect_eq(apply_interrupted(&w.s, "office", &w.err), 0);
		if (i < 3)
			cr_expect_eq(run(&w, "grep -rq mine root/srv/.satchel-kept/office/2/alpha"),
				     0, "%s: %s", commands[i], said);
		world_clear(&w);
	}
}

Test(apply_lost, forgetting_a_tree_ends_its_run_and_no_other)
{
	struct world w;

	lost_make(&w, LOCAL_FAIL, "true");
	OK(&w, db_run(w.s.db, &w.err,
		      "INSERT INTO apply_run (tree, epoch, generation, digest, changes, local, "
		      "state, inside) SELECT 'other', epoch, generation, digest, changes, local, "
		      "state, inside FROM apply_run",
		      ""));
	OK(&w, apply_forget(&w.s, "office", &w.err));
	cr_expect_eq(apply_interrupted(&w.s, "office", &w.err), 0);
	cr_expect_eq(apply_interrupted(&w.s, "other", &w.err), 1);
	OK(&w, apply_forget(&w.s, NULL, &w.err));
	cr_expect_eq(apply_interrupted(&w.s, "other", &w.err), 0);
	world_clear(&w);
}

Test(apply_lost, what_somebody_wrote_into_the_new_one_is_kept_when_it_is_undone)
{
	struct world w;

	lost_make(&w, LOCAL_FAIL,
		  "echo mine >> root/srv/office/alpha && "
		  "grep -lrx new root/srv/.satchel-stage-office | xargs rm");
	cr_expect_eq(apply_recover(&w.s, &w.target, &w.err), 1, "%s", w.err.text);
	cr_expect_eq(generation(&w), 1);
	cr_expect_eq(run(&w, "grep -qx mine root/srv/.satchel-kept/office/2/alpha && "
			     "grep -qx 'the first file' root/srv/office/alpha && "
			     "test ! -e root/srv/.satchel-stage-office"),
		     0, "%s", said);
	world_clear(&w);
}

/* What it costs */

static int searched(unsigned event, void *arg, void *statement, void *ns)
{
	const char *sql = sqlite3_sql(statement);

	(void)event;
	(void)ns;
	if (sql != NULL && strstr(sql, "apply_op") != NULL && strstr(sql, "path = ?") != NULL)
		++*(unsigned *)arg;
	return 0;
}

static uint64_t moved;

static void progress(struct reporter *reporter, const char *phase, uint64_t done, uint64_t total,
		     uint64_t items, uint64_t items_total)
{
	(void)reporter;
	(void)done;
	(void)total;
	if (strcmp(phase, "moving") == 0 && items > 0 && items <= items_total)
		moved++;
}

Test(apply_lost, recovery_searches_nothing_that_it_has_and_shows_how_far_it_is)
{
	struct reporter seer = {.line = say, .progress = progress};
	unsigned searches = 0;
	struct world w;

	lost_make(&w, LOCAL_FAIL, "true");
	w.s.reporter = &seer;
	sqlite3_trace_v2(db_handle(w.s.db), SQLITE_TRACE_STMT, searched, &searches);
	cr_expect_eq(apply_recover(&w.s, &w.target, &w.err), 1, "%s", w.err.text);
	sqlite3_trace_v2(db_handle(w.s.db), 0, NULL, NULL);
	cr_expect_eq(searches, 0, "%u operations were looked for by their path", searches);
	cr_expect_gt(moved, 10);
	/* One that has to be looked for is found by an index. */
	cr_expect_eq(run(&w, "sqlite3 state/state.db \"EXPLAIN QUERY PLAN SELECT n FROM apply_op "
			     "WHERE run = 1 AND path = 'a' AND kind IN (1, 2)\" | "
			     "grep -q apply_op_path"),
		     0);
	world_clear(&w);
}

Test(apply_lost, a_journal_that_cannot_be_read_is_an_error_and_closes_nothing_of_others)
{
	struct stat was, is;
	struct world w;

	lost_make(&w, LOCAL_FAIL, "true");
	cr_assert_eq(fstat(0, &was), 0);
	OK(&w, db_exec(w.s.db, "ALTER TABLE apply_run RENAME TO apply_lost", &w.err));
	cr_expect_lt(apply_recover(&w.s, &w.target, &w.err), 0);
	cr_expect_eq(fstat(0, &is), 0, "somebody else's descriptor was closed");
	cr_expect_eq(is.st_ino, was.st_ino);
	OK(&w, db_exec(w.s.db, "ALTER TABLE apply_lost RENAME TO apply_run", &w.err));
	cr_expect_eq(apply_recover(&w.s, &w.target, &w.err), 1, "%s", w.err.text);
	world_clear(&w);
}
