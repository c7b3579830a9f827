/* SPDX-License-Identifier: ISC */
/*
 * Private channels hold keys: what went through the memory of an apply is not in it any more when
 * that is over.
 */
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "core/base/sanitized.h"
#include "tests/support/make_bundle.h"
#include "tests/support/memory.h"

#define COPIES 200000 /* some arenas full */

TestSuite(apply_wiped, .timeout = 120);

/** Only children ever know it. */
static struct digest secret(void)
{
	return digest_of(bytes_of("what must not stay in memory"));
}

/** The bundle of one file that is full of the secret, and as a file what the applier is told. */
static void secret_bundle(struct world *w)
{
	uint8_t *content = malloc((size_t)COPIES * DIGEST_BYTES);
	struct digest d = secret();
	struct maker m = {0};
	struct made_bundle b;
	char path[SCRATCH_PATH + 32];
	FILE *f;

	for (size_t i = 0; i < COPIES; i++)
		memcpy(content + i * DIGEST_BYTES, d.b, DIGEST_BYTES);
	make_put_bytes(&m, "large", 0600, T0,
		       (struct bytes){content, (size_t)COPIES * DIGEST_BYTES});
	make_put_bytes(&m, "small", 0600, T0, (struct bytes){content, 100 * DIGEST_BYTES});
	bundle_make(w, &m, 0, 1, &b);
	snprintf(path, sizeof(path), "%s/made", w->dir);
	f = fopen(path, "w");
	fwrite(&b.m, sizeof(b.m), 1, f);
	fwrite(b.path, sizeof(b.path), 1, f);
	fwrite(&b.payload_offset, sizeof(b.payload_offset), 1, f);
	fwrite(b.blocks.p, 1, b.blocks.n, f);
	_exit(fclose(f) != 0);
}

static void made_read(struct world *w, struct made_bundle *b)
{
	char path[SCRATCH_PATH + 32];
	uint8_t block[DIGEST_BYTES];
	FILE *f;

	*b = (struct made_bundle){0};
	snprintf(path, sizeof(path), "%s/made", w->dir);
	f = fopen(path, "r");
	cr_assert_not_null(f);
	cr_assert_eq(fread(&b->m, sizeof(b->m), 1, f), 1);
	cr_assert_eq(fread(b->path, sizeof(b->path), 1, f), 1);
	cr_assert_eq(fread(&b->payload_offset, sizeof(b->payload_offset), 1, f), 1);
	while (fread(block, sizeof(block), 1, f) == 1)
		buf_add(&b->blocks, block, sizeof(block), ERR_IGNORED);
	fclose(f);
}

/** How often it lies in our memory, as a child counts it: 0, 1 for any number, or 2 for "cannot".
 */
static int secrets_here(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct digest d = secret();
		int n = memory_count(getppid(), (struct bytes){d.b, sizeof(d.b)});

		_exit(n < 0 ? 2 : n > 0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

Test(apply_wiped, nothing_of_a_bundle_stays_in_memory)
{
	struct made_bundle b;
	struct world w;
	int status;
	pid_t pid;

	if (SANITIZED)
		cr_skip("a sanitizer keeps what was freed, and stacks of its own");
	/* What is freed stays where it was, so that it would be found. */
	mallopt(M_MMAP_MAX, 0);
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
	world_make(&w);
	pid = fork();
	if (pid == 0)
		secret_bundle(&w);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0);
	made_read(&w, &b);
	if (secrets_here() == 2)
		cr_skip("memory cannot be looked into");
	cr_assert_eq(world_try(&w, &b, 0), 0, "%s", w.err.text);
	cr_expect_eq(secrets_here(), 0, "after it was applied");
	/* Hashed, because stat does not settle it, and copied, because it gets another mode. */
	cr_assert_eq(scratch_run(w.dir, "cd root/srv/office && touch -d @1700000099 large small"),
		     0);
	b.m.generation = 2;
	cr_assert_eq(world_try(&w, &b, 0), 0, "%s", w.err.text);
	cr_expect_eq(secrets_here(), 0, "after it was judged");
	buf_clear(&b.blocks);
	world_clear(&w);
}
