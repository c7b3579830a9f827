/* SPDX-License-Identifier: ISC */
/*
 * receipt/1: what a workstation holds and what happened.
 */
#include <string.h>

#include "core/format/documents/document_key.h"
#include "core/format/documents/member.h"

/* What signing and sealing add to the document. */
#define RECEIPT_ENVELOPE 512u
/* The least length of the document; then twice as much, and so on. */
#define RECEIPT_LEAST 1024u

static const struct member receipt_members[] = {
    MEMBER(receipt, site, "site", DIGEST),
    MEMBER(receipt, workstation, "workstation", TEXT),
    MEMBER(receipt, sequence, "sequence", U64),
    MEMBER(receipt, written, "written", TIME),
    MEMBER(receipt, trust, "trust", U64),
    MEMBER(receipt, version, "version", TEXT),
    MEMBER(receipt, formats, "formats", U64),
    MEMBER_MAYBE(receipt, free_bytes, "free-bytes", U64),
    MEMBER_MAYBE(receipt, policy, "policy", DIGEST),
    MEMBER_MAYBE(receipt, wiped, "wiped", BOOL),
    MEMBER_MAYBE(receipt, next_check, "next-check", TIME),
};

static const struct member beat_members[] = {
    MEMBER(receipt, beat_epoch, "epoch", U64),
    MEMBER(receipt, beat, "sequence", U64),
};
static const struct member private_members[] = {
    MEMBER(receipt, private_epoch, "epoch", U64),
    MEMBER(receipt, private_generation, "generation", U64),
    MEMBER(receipt, private_tree, "tree", DIGEST),
};

static const struct member channel_members[] = {
    MEMBER(receipt_channel, epoch, "epoch", U64),
    MEMBER(receipt_channel, generation, "generation", U64),
    MEMBER(receipt_channel, tree, "tree", DIGEST),
    MEMBER(receipt_channel, result, "result", TEXT),
    MEMBER_MAYBE(receipt_channel, reason, "reason", FOREIGN),
    MEMBER_MAYBE(receipt_channel, wanted, "wanted", U64),
    MEMBER_MAYBE(receipt_channel, deviations, "deviations", U64),
    MEMBER_MAYBE(receipt_channel, adaptations, "adaptations", U64),
    MEMBER_MAYBE(receipt_channel, drift, "drift", U64),
    MEMBER(receipt_channel, at, "at", TIME),
    MEMBER_MAYBE(receipt_channel, milliseconds, "milliseconds", U64),
};

static const struct member user_members[] = {
    MEMBER(receipt_user, account, "account", TEXT),
    MEMBER(receipt_user, result, "result", TEXT),
    MEMBER_MAYBE(receipt_user, reason, "reason", FOREIGN),
    MEMBER(receipt_user, at, "at", TIME),
};

static const struct member event_members[] = {
    MEMBER(receipt_event, number, "number", U64),
    MEMBER(receipt_event, at, "at", TIME),
    MEMBER(receipt_event, kind, "kind", TEXT),
    MEMBER(receipt_event, text, "text", FOREIGN),
    MEMBER_MAYBE(receipt_event, about, "about", TEXT),
    MEMBER_MAYBE(receipt_event, user, "user", TEXT),
};

static int receipt_channels(const struct node *map, struct receipt *r, struct err *err)
{
	int rc = items_new(node_count(map), sizeof(*r->channel), (void **)&r->channel, err);

	for (size_t i = 0; rc == 0 && i < node_count(map); i++) {
		struct receipt_channel *c = &r->channel[r->channels++];
		const char *name = node_key(map, i);

		if (strlen(name) >= sizeof(c->name))
			return node_error(node_at(map, i), err, "the key is too long");
		memcpy(c->name, name, strlen(name) + 1);
		rc = members_decode(node_at(map, i), channel_members, ARRAY_LEN(channel_members), c,
				    err);
		if (rc == 0 && i > 0 && strcmp(node_key(map, i - 1), name) >= 0)
			rc = node_error(node_at(map, i), err, "names must be in ascending order");
	}
	return rc;
}

static int receipt_users(const struct node *map, struct receipt *r, struct err *err)
{
	int rc = items_new(node_count(map), sizeof(*r->user), (void **)&r->user, err);

	for (size_t i = 0; rc == 0 && i < node_count(map); i++) {
		struct receipt_user *u = &r->user[r->users++];
		const char *email = node_key(map, i);

		if (strlen(email) >= sizeof(u->email))
			return node_error(node_at(map, i), err, "the key is too long");
		memcpy(u->email, email, strlen(email) + 1);
		rc = members_decode(node_at(map, i), user_members, ARRAY_LEN(user_members), u, err);
		if (rc == 0 && i > 0 && strcmp(node_key(map, i - 1), email) >= 0)
			rc = node_error(node_at(map, i), err, "users must be in ascending order");
	}
	return rc;
}

static int receipt_events(const struct node *list, struct receipt *r, struct err *err)
{
	int rc = items_new(node_count(list), sizeof(*r->event), (void **)&r->event, err);

	for (size_t i = 0; rc == 0 && i < node_count(list); i++) {
		struct receipt_event *e = &r->event[r->events++];

		rc = members_decode(node_at(list, i), event_members, ARRAY_LEN(event_members), e,
				    err);
		if (rc == 0 && i > 0 && e->number <= e[-1].number)
			rc = node_error(node_at(list, i), err,
					"events must be in ascending order of number");
	}
	return rc;
}

/* What stands below more: is no fault of the document, whatever it is: it is said, or it is not. */
static int receipt_chain(const struct node *more, struct receipt *r, struct err *err)
{
	const char *returned;
	const char *instance = node_text(node_get(more, "instance"), "");
	uint8_t raw[RECEIPT_INSTANCE / 2];

	if (hex_decode(raw, sizeof(raw), instance, ERR_IGNORED) == 0)
		memcpy(r->instance, instance, sizeof(r->instance));
	if (hex_decode(r->previous.b, DIGEST_BYTES, node_text(node_get(more, "previous"), ""),
		       ERR_IGNORED) < 0)
		r->previous = (struct digest){{0}};
	returned = node_text(node_get(more, "returned"), "");
	if (returned[0] != '\0' && (r->returned = strdup(returned)) == NULL)
		return err_memory(err);
	r->set_back = node_u64(node_get(more, "set-back"), 0);
	if (r->set_back > LIMIT_NUMBER)
		r->set_back = 0;
	return 0;
}

static void receipt_verified(const struct node *more, struct receipt *r)
{
	const struct node *map = node_get(more, "verified");

	for (size_t i = 0; i < r->channels; i++)
		if (node_time(node_get(map, r->channel[i].name), &r->channel[i].verified,
			      ERR_IGNORED) < 0)
			r->channel[i].verified = 0;
	r->verify_days = node_u64(node_get(more, "verify-days"), 0);
	if (r->verify_days > VERIFY_DAYS_MAX)
		r->verify_days = 0;
}

static void text_take(char *dst, size_t size, const struct node *n)
{
	const char *text = node_text(n, "");

	if (strlen(text) < size)
		memcpy(dst, text, strlen(text) + 1);
}

static void receipt_channel_additions(const struct node *more, struct receipt *r)
{
	const struct node *map = node_get(more, "channels");

	for (size_t i = 0; i < r->channels; i++) {
		struct receipt_channel *c = &r->channel[i];
		const struct node *n = node_get(map, c->name);

		text_take(c->file_system, sizeof(c->file_system), node_get(n, "file-system"));
		text_take(c->lacks, sizeof(c->lacks), node_get(n, "lacks"));
		text_take(c->conflicts, sizeof(c->conflicts), node_get(n, "conflicts"));
	}
}

int receipt_from(const struct yaml *y, struct receipt *ret, struct err *err)
{
	OWNED(receipt_clear) struct receipt r = {0};
	const struct node *root = yaml_root(y);
	int rc;

	rc = members_decode(root, receipt_members, ARRAY_LEN(receipt_members), &r, err);
	if (rc == 0)
		rc = members_decode(node_get(root, "beat"), beat_members, ARRAY_LEN(beat_members),
				    &r, err);
	if (rc == 0)
		rc = members_decode(node_get(root, "private"), private_members,
				    ARRAY_LEN(private_members), &r, err);
	if (rc == 0)
		rc = receipt_channels(node_get(root, "channels"), &r, err);
	if (rc == 0)
		rc = receipt_users(node_get(root, "users"), &r, err);
	if (rc == 0)
		rc = receipt_events(node_get(root, "events"), &r, err);
	if (rc < 0)
		return rc;
	node_addition_key(node_get(node_get(root, "more"), "seal"), &r.seal);
	node_addition_key(node_get(node_get(root, "more"), "codes"), &r.codes);
	receipt_verified(node_get(root, "more"), &r);
	receipt_channel_additions(node_get(root, "more"), &r);
	rc = receipt_chain(node_get(root, "more"), &r, err);
	if (rc < 0)
		return rc;
	*ret = r;
	r = (struct receipt){0};
	return 0;
}

int receipt_decode(struct bytes in, struct receipt *ret, struct err *err)
{
	OWNED(yaml_freep) struct yaml *y = NULL;
	int rc = document_read(in, LIMIT_RECEIPT, "receipt/1", NULL, &y, err);

	return rc < 0 ? rc : receipt_from(y, ret, err);
}

int receipt_exact(const struct receipt *r, struct bytes in, struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	int rc = receipt_encode(r, NULL, &text, err);

	if (rc < 0)
		return rc == RC_MEMORY ? rc : 0;
	return bytes_equal(bytes_in(&text), in);
}

static int by_name(const void *a, const void *b)
{
	const struct receipt_channel *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

/* Channels in ascending order, with reasons of at most ${reason} bytes. */
static int receipt_encode_channels(struct yaml_writer *w, const struct receipt *r, size_t reason,
				   struct err *err)
{
	OWNED(freep) const struct receipt_channel **sorted = NULL;
	int rc = items_new(r->channels, sizeof(struct receipt_channel *), (void **)&sorted, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < r->channels; i++)
		sorted[i] = &r->channel[i];
	if (r->channels > 1)
		qsort(sorted, r->channels, sizeof(struct receipt_channel *), by_name);
	yaml_map(w, "channels");
	for (size_t i = 0; i < r->channels; i++) {
		struct receipt_channel c = *sorted[i];

		c.reason[reason] = '\0';
		yaml_map(w, c.name);
		members_encode(w, channel_members, ARRAY_LEN(channel_members), &c);
		yaml_close(w);
	}
	yaml_close(w);
	return 0;
}

static int by_email(const void *a, const void *b)
{
	const struct receipt_user *const *x = a, *const *y = b;

	return strcmp((*x)->email, (*y)->email);
}

/* Users in ascending order, with reasons of at most ${reason} bytes. */
static int receipt_encode_users(struct yaml_writer *w, const struct receipt *r, size_t reason,
				struct err *err)
{
	OWNED(freep) const struct receipt_user **sorted = NULL;
	int rc;

	if (r->users > RECEIPT_USERS)
		return err_set(err, RC_LIMIT, "a receipt names at most %u users", RECEIPT_USERS);
	rc = items_new(r->users, sizeof(struct receipt_user *), (void **)&sorted, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < r->users; i++)
		sorted[i] = &r->user[i];
	if (r->users > 1)
		qsort(sorted, r->users, sizeof(struct receipt_user *), by_email);
	yaml_map(w, "users");
	for (size_t i = 0; i < r->users; i++) {
		struct receipt_user u = *sorted[i];

		u.reason[reason] = '\0';
		yaml_map(w, u.email);
		members_encode(w, user_members, ARRAY_LEN(user_members), &u);
		yaml_close(w);
	}
	yaml_close(w);
	return 0;
}

static bool channel_adds(const struct receipt_channel *c)
{
	return c->file_system[0] != '\0' || c->lacks[0] != '\0' || c->conflicts[0] != '\0';
}

/* Is there anything below more:? */
static bool receipt_adds(const struct receipt *r)
{
	for (size_t i = 0; i < r->channels; i++)
		if (channel_adds(&r->channel[i]))
			return true;
	return !key_absent(&r->codes) || !key_absent(&r->seal) || r->instance[0] != '\0' ||
	       !digest_is_zero(&r->previous) || r->set_back > 0 || r->returned != NULL ||
	       r->verify_days > 0;
}

static void channel_encode_additions(struct yaml_writer *w, const struct receipt_channel *c,
				     size_t most)
{
	char conflicts[sizeof(c->conflicts)];

	if (!channel_adds(c))
		return;
	memcpy(conflicts, c->conflicts, sizeof(conflicts));
	conflicts[most] = '\0';
	yaml_map(w, c->name);
	if (conflicts[0] != '\0')
		yaml_text(w, "conflicts", conflicts);
	if (c->file_system[0] != '\0')
		yaml_text(w, "file-system", c->file_system);
	if (c->lacks[0] != '\0')
		yaml_text(w, "lacks", c->lacks);
	yaml_close(w);
}

static int receipt_encode_more_channels(struct yaml_writer *w, const struct receipt *r, size_t most,
					struct err *err)
{
	OWNED(freep) const struct receipt_channel **sorted = NULL;
	int rc = items_new(r->channels, sizeof(struct receipt_channel *), (void **)&sorted, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < r->channels; i++)
		sorted[i] = &r->channel[i];
	if (r->channels > 1)
		qsort(sorted, r->channels, sizeof(struct receipt_channel *), by_name);
	yaml_map(w, "channels");
	for (size_t i = 0; i < r->channels; i++)
		channel_encode_additions(w, sorted[i], most);
	yaml_close(w);
	return 0;
}

/* An older server ignores it and goes on as before.  Texts are of at most ${most} bytes. */
static int receipt_encode_additions(struct yaml_writer *w, const struct receipt *r, size_t most,
				    struct err *err)
{
	char previous[DIGEST_HEX + 1];

	yaml_map(w, "more");
	if (receipt_encode_more_channels(w, r, most, err) < 0)
		return err->rc;
	if (!key_absent(&r->codes))
		yaml_public_key(w, "codes", &r->codes);
	if (r->instance[0] != '\0')
		yaml_text(w, "instance", r->instance);
	if (!digest_is_zero(&r->previous)) {
		digest_hex(previous, &r->previous);
		yaml_text(w, "previous", previous);
	}
	if (r->returned != NULL)
		yaml_text(w, "returned", r->returned);
	if (!key_absent(&r->seal))
		yaml_public_key(w, "seal", &r->seal);
	if (r->set_back > 0)
		yaml_u64(w, "set-back", r->set_back);
	if (r->verify_days > 0) {
		yaml_map(w, "verified");
		for (size_t i = 0; i < r->channels; i++)
			if (r->channel[i].verified > 0)
				yaml_time(w, r->channel[i].name, r->channel[i].verified);
		yaml_close(w);
		yaml_u64(w, "verify-days", r->verify_days);
	}
	yaml_close(w);
	return 0;
}

static int receipt_encode_with(const struct receipt *r, size_t skip, size_t reason, struct buf *ret,
			       struct err *err)
{
	OWNED(yaml_writer_freep) struct yaml_writer *w = NULL;
	int rc = document_write("receipt/1", &w, err);

	if (rc < 0)
		return rc;
	members_encode(w, receipt_members, ARRAY_LEN(receipt_members), r);
	if (r->beat > 0) {
		yaml_map(w, "beat");
		members_encode(w, beat_members, ARRAY_LEN(beat_members), r);
		yaml_close(w);
	}
	if (r->private_generation > 0) {
		yaml_map(w, "private");
		members_encode(w, private_members, ARRAY_LEN(private_members), r);
		yaml_close(w);
	}
	rc = receipt_encode_channels(w, r, reason, err);
	if (rc == 0)
		rc = receipt_encode_users(w, r, reason, err);
	if (rc < 0)
		return rc;
	yaml_list(w, "events");
	for (size_t i = skip; i < r->events; i++) {
		yaml_map(w, NULL);
		members_encode(w, event_members, ARRAY_LEN(event_members), &r->event[i]);
		yaml_close(w);
	}
	yaml_close(w);
	if (receipt_encode_additions(w, r, reason, err) < 0)
		return err->rc;
	return yaml_writer_end(TAKE(w), ret, err);
}

/*
 * Whoever sees a sealed receipt sees its length, and that would tell how much there is to tell: so
 * a receipt has one of few lengths.  The padding is the last thing below `more`, where additions
 * may be already, and nobody reads it.
 */
static int receipt_pad(const struct receipt *r, struct buf *text, struct err *err)
{
	const char *before = receipt_adds(r) ? "  padding: " : "more:\n  padding: ";
	static const char after[] = "\n";
	size_t least = text->n + strlen(before) + 1 + strlen(after), step = RECEIPT_LEAST;
	int rc;

	while (step < least)
		step *= 2;
	if (step > LIMIT_RECEIPT - RECEIPT_ENVELOPE)
		step = LIMIT_RECEIPT - RECEIPT_ENVELOPE;
	if (step < least)
		return 0;
	rc = buf_text(text, before, err);
	for (size_t i = least - 1; rc == 0 && i < step; i++)
		rc = buf_add(text, "x", 1, err);
	return rc < 0 ? rc : buf_text(text, after, err);
}

/*
 * A receipt that is too large would never be read, and state matters more than history: the oldest
 * events go first, then the ends of the reasons.
 */
int receipt_encode(const struct receipt *r, struct receipt_cut *ret_cut, struct buf *ret,
		   struct err *err)
{
	const size_t whole = sizeof(r->channel->reason) - 1;
	size_t skip = r->events > RECEIPT_EVENTS ? r->events - RECEIPT_EVENTS : 0;
	size_t reason = whole;

	for (;;) {
		OWNED(buf_clear) struct buf text = BUF_INIT;
		int rc = receipt_encode_with(r, skip, reason, &text, err);

		if (rc < 0)
			return rc;
		if (text.n <= LIMIT_RECEIPT - RECEIPT_ENVELOPE) {
			if (ret_cut != NULL)
				*ret_cut = (struct receipt_cut){skip, reason < whole};
			rc = receipt_pad(r, &text, err);
			return rc < 0 ? rc : buf_add(ret, text.p, text.n, err);
		}
		if (skip < r->events)
			skip += (r->events - skip + 1) / 2;
		else if (reason > 32)
			reason /= 2;
		else
			return err_set(err, RC_LIMIT, "a receipt of %zu channels is too large",
				       r->channels);
	}
}

void receipt_clear(struct receipt *r)
{
	free(r->channel);
	free(r->user);
	free(r->event);
	free(r->returned);
	*r = (struct receipt){0};
}
