/*
 * Values for other software: maps merged key by key, everything else replaced as a whole.  What may
 * stand in them is what all readers of YAML read the same: text, truth values, numbers in the
 * spelling of JSON, lists and maps of these.
 */
#include <string.h>

#include "core/base/own.h"
#include "core/format/policy_internal.h"
#include "core/format/yaml_internal.h"

static void value_clear(struct policy_value *v)
{
	for (size_t i = 0; i < v->children; i++)
		value_clear(&v->child[i]);
	free(v->child);
	*v = (struct policy_value){.key = v->key};
}

void policy_init(struct policy *p)
{
	memset(p, 0, sizeof(*p));
	policy_settings_init(&p->settings);
}

void policy_clear(struct policy *p)
{
	value_clear(&p->values);
	policy_init(p);
}

/* Reading */

static size_t digits(const char *text)
{
	return strspn(text, "0123456789");
}

/* -1, 0.5, -12.25: what JSON and every YAML take for the same number. */
static bool number_is_shared(const char *text)
{
	const char *at = text[0] == '-' ? text + 1 : text;
	size_t n = digits(at);

	if (n == 0 || n > 15 || (n > 1 && at[0] == '0'))
		return false;
	if (at[n] == '\0')
		return at[0] != '0' || at == text;
	at += n + 1;
	n = digits(at);
	return at[-1] == '.' && n > 0 && n <= 15 && at[n] == '\0';
}

static int leaf_check(const struct node *n, struct err *err)
{
	uint64_t v;

	if (n->kind == NODE_AMBIGUOUS && !number_is_shared(n->text))
		return node_error(n, err,
				  n->text[0] == '\0'
				      ? "nothing stands here: write a value, or leave the field out"
				      : "%.60s without quotes, which readers of YAML take for "
					"different things",
				  n->text);
	if (n->kind == NODE_INTEGER &&
	    number_u64(n->text, strlen(n->text), LIMIT_NUMBER, &v, NULL) < 0)
		return node_error(n, err, "a number above 2^53-1, which some readers round");
	return 0;
}

/* Everything below ${n}; the depth was bounded when it was read, so the recursion is. */
static int node_check(const struct node *n, struct err *err)
{
	int rc = leaf_check(n, err);

	if (rc == 0 && n->key != NULL && strlen(n->key) > POLICY_KEY)
		rc = node_error(n, err, "a key of more than %u bytes", POLICY_KEY);
	for (uint32_t i = 0; rc == 0 && i < n->count; i++)
		rc = node_check(n->child[i], err);
	return rc;
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct policy_value *)a)->key, ((const struct policy_value *)b)->key);
}

static int children_new(size_t n, struct policy_value **ret, struct err *err)
{
	*ret = calloc(n > 0 ? n : 1, sizeof(**ret));
	return *ret == NULL ? err_memory(err) : 0;
}

static int value_make(const struct node *n, const char *origin, struct policy_value *ret,
		      struct err *err)
{
	int rc;

	ret->key = n->key;
	if (n->kind != NODE_MAP || (n->count == 0 && n->parent->parent != NULL)) {
		ret->leaf = n;
		ret->origin = origin;
		return 0;
	}
	rc = children_new(n->count, &ret->child, err);
	for (; rc == 0 && ret->children < n->count; ret->children++)
		rc = value_make(n->child[ret->children], origin, &ret->child[ret->children], err);
	if (rc == 0)
		qsort(ret->child, ret->children, sizeof(*ret->child), by_key);
	return rc;
}

static size_t leaves(const struct policy_value *v)
{
	size_t n = v->leaf != NULL ? 1 : 0;

	for (size_t i = 0; i < v->children; i++)
		n += leaves(&v->child[i]);
	return n;
}

int policy_make(const struct node *settings, const struct node *values, const char *origin,
		struct policy *ret, struct err *err)
{
	int rc;

	policy_init(ret);
	rc = policy_settings_decode(settings, &ret->settings, err);
	for (size_t i = 0; rc == 0 && i < POLICY_SETTINGS; i++)
		ret->origin[i] = (ret->settings.said & 1u << i) != 0 ? origin : NULL;
	if (rc < 0 || values == NULL)
		return rc;
	rc = node_check(values, err);
	if (rc == 0)
		rc = value_make(values, origin, &ret->values, err);
	ret->values.key = NULL;
	if (rc == 0 && leaves(&ret->values) > POLICY_LEAVES)
		rc = node_error(values, err, "more than %u values", POLICY_LEAVES);
	return rc;
}

int policy_values_sorted(const struct node *n, struct err *err)
{
	if (n == NULL || n->kind != NODE_MAP)
		return 0;
	for (uint32_t i = 0; i < n->count; i++) {
		int rc = 0;

		if (i > 0 && strcmp(n->child[i - 1]->key, n->child[i]->key) >= 0)
			rc = node_error(n->child[i], err, "keys must be in ascending order");
		if (rc == 0)
			rc = policy_values_sorted(n->child[i], err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Laying over */

static int value_copy(const struct policy_value *from, struct policy_value *ret, struct err *err)
{
	int rc = 0;

	*ret = (struct policy_value){.key = from->key, .leaf = from->leaf, .origin = from->origin};
	if (from->leaf == NULL)
		rc = children_new(from->children, &ret->child, err);
	for (; rc == 0 && ret->children < from->children; ret->children++)
		rc = value_copy(&from->child[ret->children], &ret->child[ret->children], err);
	return rc;
}

static int value_lay(struct policy_value *under, const struct policy_value *over, struct err *err);

/* Both lists are ascending: ${ret} takes what ${under} had, and has room for all. */
static int children_merge(struct policy_value *under, const struct policy_value *over,
			  struct policy_value *ret, size_t *ret_n, struct err *err)
{
	size_t i = 0, k = 0;

	while (i < under->children || k < over->children) {
		int order = i == under->children  ? 1
			    : k == over->children ? -1
						  : by_key(&under->child[i], &over->child[k]);
		struct policy_value *to = &ret[(*ret_n)++];
		int rc = 0;

		if (order <= 0) {
			*to = under->child[i];
			under->child[i++] = (struct policy_value){0};
		}
		if (order == 0)
			rc = value_lay(to, &over->child[k++], err);
		if (order > 0)
			rc = value_copy(&over->child[k++], to, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int map_lay(struct policy_value *under, const struct policy_value *over, struct err *err)
{
	struct policy_value merged = {.key = under->key};
	int rc = children_new(under->children + over->children, &merged.child, err);

	if (rc == 0)
		rc = children_merge(under, over, merged.child, &merged.children, err);
	value_clear(under);
	*under = merged; /* also half made: it is cleared with the policy */
	return rc;
}

static bool is_empty_map(const struct policy_value *v)
{
	return v->leaf != NULL && v->leaf->kind == NODE_MAP;
}

static int value_lay(struct policy_value *under, const struct policy_value *over, struct err *err)
{
	struct policy_value copy;
	int rc;

	if (under->leaf == NULL && over->leaf == NULL)
		return map_lay(under, over, err);
	if (under->leaf == NULL && is_empty_map(over))
		return 0;
	rc = value_copy(over, &copy, err);
	if (rc < 0) {
		value_clear(&copy);
		return rc;
	}
	value_clear(under);
	*under = copy;
	return 0;
}

static int values_lay(struct policy *under, const struct policy *over, struct err *err)
{
	int rc = value_lay(&under->values, &over->values, err);

	if (rc == 0 && leaves(&under->values) > POLICY_LEAVES)
		rc = err_set(err, RC_LIMIT, "policies with more than %u values together",
			     POLICY_LEAVES);
	return rc;
}

int policy_lay(struct policy *under, const struct policy *over, struct err *err)
{
	for (size_t i = 0; i < POLICY_SETTINGS; i++) {
		if ((over->settings.said & 1u << i) != 0)
			under->origin[i] = over->origin[i];
	}
	policy_settings_lay(&under->settings, &over->settings);
	return values_lay(under, over, err);
}

int policy_join(struct policy *a, const struct policy *b, struct err *err)
{
	unsigned taken = policy_settings_stricter(&a->settings, &b->settings);
	struct policy both;
	int rc;

	for (size_t i = 0; i < POLICY_SETTINGS; i++) {
		if ((taken & 1u << i) != 0)
			a->origin[i] = b->origin[i];
	}
	policy_init(&both);
	rc = value_copy(&b->values, &both.values, err);
	if (rc == 0)
		rc = values_lay(&both, a, err);
	if (rc == 0) {
		struct policy_value swap = a->values;

		a->values = both.values;
		both.values = swap;
	}
	policy_clear(&both);
	return rc;
}

/* Walking */

/* A path as it grows; what was appended is cut off again. */
struct walk {
	char path[POLICY_PATH];
	int (*each)(void *arg, const struct policy_item *it, struct err *err);
	void *arg;
};

static int path_more(struct walk *w, size_t *at, const char *key, struct err *err)
{
	static const char hex[] = "0123456789ABCDEF";

	for (const char *c = key; *c != '\0'; c++) {
		bool plain = strchr(".%", *c) == NULL && (unsigned char)*c >= 0x20 && *c != 0x7f;

		if (*at + 4 > sizeof(w->path))
			return err_set(err, RC_LIMIT, "a path of more than %zu bytes",
				       sizeof(w->path));
		if (plain) {
			w->path[(*at)++] = *c;
			continue;
		}
		w->path[(*at)++] = '%';
		w->path[(*at)++] = hex[(unsigned char)*c >> 4];
		w->path[(*at)++] = hex[(unsigned char)*c & 15];
	}
	w->path[*at] = '\0';
	return 0;
}

static int value_walk(struct walk *w, size_t at, const struct policy_value *v, struct err *err)
{
	int rc = 0;

	if (v->leaf != NULL) {
		struct policy_item it = {w->path, v->origin, POLICY_SETTINGS, v};

		return w->each(w->arg, &it, err);
	}
	for (size_t i = 0; rc == 0 && i < v->children; i++) {
		size_t end = at;

		if (end + 2 > sizeof(w->path))
			return err_set(err, RC_LIMIT, "a path of more than %zu bytes",
				       sizeof(w->path));
		w->path[end++] = '.';
		rc = path_more(w, &end, v->child[i].key, err);
		if (rc == 0)
			rc = value_walk(w, end, &v->child[i], err);
	}
	return rc;
}

int policy_each(const struct policy *p,
		int (*each)(void *arg, const struct policy_item *it, struct err *err), void *arg,
		struct err *err)
{
	OWNED(freep) struct walk *w = calloc(1, sizeof(*w));
	int rc = 0;

	if (w == NULL)
		return err_memory(err);
	w->each = each;
	w->arg = arg;
	for (size_t i = 0; rc == 0 && i < POLICY_SETTINGS; i++) {
		struct policy_item it = {w->path, p->origin[i], (enum policy_setting)i, NULL};

		if ((p->settings.said & 1u << i) == 0)
			continue;
		snprintf(w->path, sizeof(w->path), "settings.%s", policy_setting_name(it.setting));
		rc = each(arg, &it, err);
	}
	if (rc != 0)
		return rc;
	memcpy(w->path, "values", 7);
	return value_walk(w, 6, &p->values, err);
}

/* at_key(v, path, n): the child whose escaped key is the first ${n} bytes of ${path}. */
static const struct policy_value *at_key(const struct policy_value *v, const char *path, size_t n)
{
	char key[POLICY_KEY + 1];
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		uint8_t c = (uint8_t)path[i];

		if (used == POLICY_KEY)
			return NULL;
		if (c == '%') {
			char digit[3] = {0};

			for (size_t k = 0; k < 2; k++)
				digit[k] = i + 1 + k < n ? path[i + 1 + k] : ' ';
			for (size_t k = 0; k < 2; k++)
				digit[k] += digit[k] >= 'A' && digit[k] <= 'F' ? 'a' - 'A' : 0;
			if (hex_decode(&c, 1, digit, NULL) < 0)
				return NULL;
			i += 2;
		}
		key[used++] = (char)c;
	}
	key[used] = '\0';
	for (size_t i = 0; i < v->children; i++) {
		if (strcmp(v->child[i].key, key) == 0)
			return &v->child[i];
	}
	return NULL;
}

const struct policy_value *policy_value_at(const struct policy *p, const char *path)
{
	const struct policy_value *v = &p->values;

	if (strncmp(path, "values", 6) != 0)
		return NULL;
	path += 6;
	while (v != NULL && *path == '.') {
		size_t n = strcspn(++path, ".");

		v = at_key(v, path, n);
		path += n;
	}
	return v != NULL && *path == '\0' && v->leaf != NULL ? v : NULL;
}

/* Writing */

static void value_write(struct yaml_writer *w, const struct policy_value *v)
{
	if (v->leaf != NULL) {
		yaml_node(w, v->key, v->leaf);
		return;
	}
	yaml_map(w, v->key);
	for (size_t i = 0; i < v->children; i++)
		value_write(w, &v->child[i]);
	yaml_close(w);
}

void policy_values_write(struct yaml_writer *w, const struct policy_value *root)
{
	yaml_map(w, "values");
	for (size_t i = 0; i < root->children; i++)
		value_write(w, &root->child[i]);
	yaml_close(w);
}

static int text_json(const char *text, struct buf *ret, struct err *err)
{
	int rc = buf_text(ret, "\"", err);

	for (const char *c = text; rc == 0 && *c != '\0'; c++) {
		if (*c == '"' || *c == '\\')
			rc = buf_printf(ret, err, "\\%c", *c);
		else if ((unsigned char)*c < 0x20 || *c == 0x7f)
			rc = buf_printf(ret, err, "\\u%04x", (unsigned)(unsigned char)*c);
		else
			rc = buf_add(ret, c, 1, err);
	}
	return rc < 0 ? rc : buf_text(ret, "\"", err);
}

int policy_node_json(const struct node *n, struct buf *ret, struct err *err)
{
	bool map = n->kind == NODE_MAP;
	int rc;

	if (n->kind == NODE_TEXT)
		return text_json(n->text, ret, err);
	if (!map && n->kind != NODE_LIST)
		return buf_text(ret, n->text, err);
	rc = buf_text(ret, map ? "{" : "[", err);
	for (uint32_t i = 0; rc == 0 && i < n->count; i++) {
		rc = buf_text(ret, i > 0 ? ", " : "", err);
		if (rc == 0 && map)
			rc = text_json(n->child[i]->key, ret, err);
		if (rc == 0 && map)
			rc = buf_text(ret, ": ", err);
		if (rc == 0)
			rc = policy_node_json(n->child[i], ret, err);
	}
	return rc < 0 ? rc : buf_text(ret, map ? "}" : "]", err);
}

int policy_item_text(const struct policy *p, const struct policy_item *it, struct buf *ret,
		     struct err *err)
{
	return it->value != NULL ? policy_node_json(it->value->leaf, ret, err)
				 : policy_setting_text(&p->settings, it->setting, ret, err);
}
