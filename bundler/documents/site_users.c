/* SPDX-License-Identifier: ISC */
/*
 * users/EMAIL.yaml: a person.
 */
#include <string.h>

#include "bundler/documents/documents.h"
#include "bundler/documents/documents_internal.h"
#include "bundler/documents/site_model.h"
#include "core/base/own.h"

#define LETTERS_DIGITS "abcdefghijklmnopqrstuvwxyz0123456789"

static void user_clear(void *element)
{
	struct site_user *u = element;

	free(u->name);
	site_list_clear(&u->extra, &u->extras);
	site_list_clear(&u->withheld, &u->withhelds);
	memset(u, 0, sizeof(*u));
}

/* host_good(text): labels of letters, digits and "-", with single dots between. */
static bool host_good(const char *text)
{
	while (true) {
		size_t n = strspn(text, LETTERS_DIGITS "-");

		if (n == 0 || n > 63 || text[0] == '-' || text[n - 1] == '-')
			return false;
		if (text[n] != '.')
			return text[n] == '\0';
		text += n + 1;
	}
}

/* RFC 5321's mailbox without quotes, without what a file's name cannot hold everywhere, and in one
 * case only: two documents that differ in case would be two users to us and one to their mail. */
static int user_email_check(const char *name, int rc, struct err *err)
{
	size_t n = strlen(name), local = strspn(name, LETTERS_DIGITS "._+'-");

	if (n >= USER_EMAIL || local == 0 || local > 64 || name[local] != '@' ||
	    strchr("._+'-", name[0]) != NULL || name[local - 1] == '.' ||
	    strstr(name, "..") != NULL || !host_good(name + local + 1))
		return err_set(err, rc,
			       "\"%s\" cannot be a user's e-mail address: lower case, at most %d "
			       "characters, as in ann.lee@example.org",
			       name, USER_EMAIL - 1);
	return 0;
}

static int user_decode(struct yaml **y, const char *name, void *ret, struct err *err)
{
	const struct node *root = yaml_root(*y);
	struct site_user *u = ret;
	int rc;

	(void)name;
	site_word_copy(u->group, node_get(root, "group"));
	site_word_copy(u->licence, node_get(root, "licence"));
	u->suspended = strcmp(node_text(node_get(root, "state"), ""), "suspended") == 0;
	rc = site_text_keep(&u->name, node_get(root, "name"), err);
	if (rc == 0)
		rc = site_list_keep(node_get(root, "extra-keys"), &u->extra, &u->extras, err);
	if (rc == 0)
		rc = site_list_keep(node_get(root, "withheld-keys"), &u->withheld, &u->withhelds,
				    err);
	return rc;
}

static void user_encode(const void *element, struct yaml_writer *w)
{
	const struct site_user *u = element;

	if (u->name != NULL)
		yaml_text(w, "name", u->name);
	site_word_encode(w, "group", u->group);
	site_word_encode(w, "licence", u->licence);
	site_list_encode(w, "extra-keys", u->extra, u->extras);
	site_list_encode(w, "withheld-keys", u->withheld, u->withhelds);
	if (u->suspended)
		yaml_text(w, "state", "suspended");
}

const struct site_kind site_user_kind = {
    .noun = "user",
    .directory = "users",
    .schema = "user/1",
    .size = sizeof(struct site_user),
    SITE_KIND_LIST(user, users),
    .name_check = user_email_check,
    .decode = user_decode,
    .encode = user_encode,
    .clear = user_clear,
};
