/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <string.h>

#include "core/base/limits.h"
#include "core/base/own.h"
#include "core/format/yaml/yaml.h"

static void patched(const char *type, const char *old, const char *new, const char *want)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};

	cr_assert_eq(
	    yaml_patch(bytes_of(old), bytes_of(new), LIMIT_DOCUMENT, schema_find(type), &b, &err),
	    0, "%s", err.text);
	cr_assert_str_eq((char *)b.p, want);
}

Test(yaml_patch, keeps_comments_order_and_style_of_what_did_not_change)
{
	patched("licence/1",
		"# the contract is in the blue folder\n"
		"satchel: licence/1\n"
		"\n"
		"# three more in May\n"
		"seats:   3   # since March\n"
		"product: 'CAD'   # all modules\n"
		"# as long as we pay\n"
		"more: {contract: 17}\n"
		"# end",
		"satchel: licence/1\nproduct: CAD\nseats: 6\nmore:\n  contract: 17\n",
		"# the contract is in the blue folder\n"
		"satchel: licence/1\n"
		"\n"
		"# three more in May\n"
		"seats: 6   # since March\n"
		"product: 'CAD'   # all modules\n"
		"# as long as we pay\n"
		"more: {contract: 17}\n"
		"# end\n");
}

Test(yaml_patch, puts_new_fields_behind_those_they_follow_and_drops_old_ones)
{
	patched(
	    "user/1",
	    "satchel: user/1\n"
	    "group: sales # hers\n"
	    "licence: cad\n"
	    "# why she has it\n"
	    "extra-keys:\n"
	    "- vault # for now\n",
	    "satchel: user/1\nname: Ann\ngroup: sales\nlicence: viewer\nwithheld-keys:\n- maps\n",
	    "satchel: user/1\n"
	    "name: Ann\n"
	    "group: sales # hers\n"
	    "licence: viewer\n"
	    "withheld-keys:\n"
	    "- maps\n"
	    "# why she has it\n");
}

Test(yaml_patch, takes_maps_inside_apart_at_their_own_indentation)
{
	patched("policy/1",
		"satchel: policy/1\n"
		"settings:\n"
		"    # the line is slow\n"
		"    sync-minutes: 60\n"
		"    expiry: warn\n"
		"values:\n"
		"   browser:   # all of them\n"
		"      homepage: \"https://a/\" # old\n"
		"      # tabs are dear\n"
		"      tabs: 3\n"
		"   flow: {a: b}   # in one line\n",
		"satchel: policy/1\n"
		"settings:\n"
		"  sync-minutes: 15\n"
		"  expiry: warn\n"
		"  disable-hours: 4\n"
		"values:\n"
		"  browser:\n"
		"    homepage: \"https://b/\"\n"
		"    tabs: 3\n"
		"    zoom:\n"
		"    - 1\n"
		"    - a: b\n"
		"  flow:\n"
		"    a: c\n",
		"satchel: policy/1\n"
		"settings:\n"
		"    # the line is slow\n"
		"    sync-minutes: 15\n"
		"    expiry: warn\n"
		"    disable-hours: 4\n"
		"values:\n"
		"   browser:   # all of them\n"
		"      homepage: \"https://b/\" # old\n"
		"      # tabs are dear\n"
		"      tabs: 3\n"
		"      zoom:\n"
		"      - 1\n"
		"      - a: b\n"
		"   flow:   # in one line\n"
		"     a: c\n");
}

Test(yaml_patch, takes_the_new_text_where_lines_mislead)
{
	static const char new[] = "satchel: user/1\nname: Bob\n";

	patched("user/1", "{satchel: user/1, name: Ann}\n", new, new);
	patched("user/1", "no: [document", new, new);
	patched("user/1", "", new, new);
	patched("user/1", "satchel: licence/1\n", new, new);
	patched("user/1", "satchel: user/1\nextra-keys: [a,\nb]\nname: Ann\n",
		"satchel: user/1\nname: Bob\nextra-keys:\n- a\n- b\n",
		"satchel: user/1\nname: Bob\nextra-keys:\n- a\n- b\n");
}

Test(yaml_patch, a_number_sign_of_the_value_is_no_comment)
{
	patched("key/1", "satchel: key/1\ndescription: \"a # b\"\n",
		"satchel: key/1\ndescription: c\n", "satchel: key/1\ndescription: c\n");
	patched("key/1", "---\nsatchel: key/1\ndescription: a#b # why\n",
		"satchel: key/1\ndescription: c\n", "---\nsatchel: key/1\ndescription: c\n");
}

Test(yaml_patch, refuses_a_new_text_that_is_no_document)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;

	cr_assert_eq(yaml_patch(bytes_of("satchel: key/1\n"), bytes_of("satchel: key/2\n"),
				LIMIT_DOCUMENT, schema_find("key/1"), &b, ERR_IGNORED),
		     RC_MALFORMED);
	cr_assert_eq(b.n, 0);
}
