/* SPDX-License-Identifier: ISC */
/*
 * All colours come from this table.  An order of rows instead of nested conditions lets people
 * check it: the first rule that holds gives the colour, and each row says why and what can be
 * done.
 */
#include "bundler/status/status_rules.h"

const char *const colour_names[COLOURS] = {"grey", "blue", "red", "orange", "green", "purple"};

#define PUBLISH                              \
	{                                    \
		"post it", "satchel publish" \
	}
#define COLLECT                                                                \
	{                                                                      \
		"read the receipts that have arrived since", "satchel collect" \
	}
#define APPLY                                                                        \
	{                                                                            \
		"take the depot there, or a copy of it, and on the workstation run", \
		    "satchel sync"                                                   \
	}
#define CODE                                                                             \
	{                                                                                \
		"when nothing may leave the place, have a confirmation code read aloud", \
		    "satchel apply --code"                                               \
	}
#define CONFIRM                                                  \
	{                                                        \
		"type that code in here", "satchel confirm CODE" \
	}
#define GIVE_UP                                                       \
	{                                                             \
		"when it is lost for good, give it up",               \
		    "satchel workstation decommission {about} --lost" \
	}
#define FORGET                                                              \
	{                                                                   \
		"take it off the list", "satchel workstation remove {name}" \
	}
#define INVITE(why)                          \
	{                                    \
		why, "satchel invite {name}" \
	}

/*
 * Why this order.  Of a workstation that this site does not count on (absent, decommissioned,
 * revoked) nothing else matters.  A fault that a person has to look at comes before what passes by
 * itself; blue is a machine that holds nothing yet, so what is not posted to it is no news.
 *
 * Of a user, what is on its way to a workstation comes before what the documents say: so a user who
 * was suspended is red and orange until every workstation has said that the keys are gone, and grey
 * only then.
 */
const struct rule_row rule_rows[RULES] = {
    [RULE_W_ABSENT] = {"absent",
		       SUBJECT_WORKSTATION,
		       COLOUR_GREY,
		       "expected, never enrolled",
		       {INVITE("make a code with which it can enrol"), FORGET}},
    [RULE_W_DECOMMISSIONED] = {"decommissioned",
			       SUBJECT_WORKSTATION,
			       COLOUR_GREY,
			       "decommissioned, and has said that everything is wiped",
			       {INVITE("make a code with which it can come back"), FORGET}},
    [RULE_W_REVOKED] = {"revoked",
			SUBJECT_WORKSTATION,
			COLOUR_GREY,
			"revoked: no longer trusted",
			{INVITE("make a code with which a machine can take its name"), FORGET}},
    [RULE_W_REFUSED] = {"refused",
			SUBJECT_WORKSTATION,
			COLOUR_RED,
			"refused what was posted",
			{{"read what happened", "satchel events"},
			 {"correct the cause, and publish it anew",
			  "satchel publish {about} --full"},
			 {"on the workstation, try again", "satchel apply"}}},
    [RULE_W_FAILED] = {"failed",
		       SUBJECT_WORKSTATION,
		       COLOUR_RED,
		       "failed to apply what was posted",
		       {{"read what happened", "satchel events"},
			{"correct the cause on the workstation, and try again there",
			 "satchel apply"},
			COLLECT}},
    [RULE_W_ROLLED_BACK] = {"rolled-back",
			    SUBJECT_WORKSTATION,
			    COLOUR_RED,
			    "rolled back to what it held before",
			    {{"read what happened", "satchel events"},
			     {"correct the source, and publish it as a new generation",
			      "satchel publish {about}"},
			     {"when the cause is on the workstation and is corrected, let it be "
			      "tried again there",
			      "satchel rollback {about} --again"}}},
    [RULE_W_STRANGE] = {"strange",
			SUBJECT_WORKSTATION,
			COLOUR_RED,
			"holds what this site never published",
			{{"when the registry is an old backup, go on above what was published",
			  "satchel recover"},
			 {"when nothing of that can be found any more, start the numbers again",
			  "satchel trust epoch publish"},
			 {"and those of beats", "satchel trust epoch beat"},
			 {"when it is the workstation that cannot be trusted, end it",
			  "satchel workstation revoke {name}"}}},
    [RULE_W_CLONE] = {"clone",
		      SUBJECT_WORKSTATION,
		      COLOUR_RED,
		      "sent receipts that do not follow each other: there may be two of it",
		      {{"when its disk was copied, end it, and invite each machine anew",
			"satchel workstation revoke {name}"},
		       {"when it was set back to an older copy, let it report again",
			"satchel sync"},
		       COLLECT,
		       {"when it is certain that there is only one, say so",
			"satchel workstation accept {name}"}}},
    [RULE_W_SET_BACK] = {"set-back",
			 SUBJECT_WORKSTATION,
			 COLOUR_ORANGE,
			 "says that it was set back to an older copy of itself",
			 {PUBLISH, APPLY, COLLECT}},
    [RULE_W_DRIFTED] = {"drifted",
			SUBJECT_WORKSTATION,
			COLOUR_RED,
			"files were changed there without a bundle",
			{{"on the workstation, see which", "satchel drift"},
			 {"have them made again there, with what a person wrote kept aside",
			  "satchel repair {about}"},
			 COLLECT}},
    [RULE_W_DEVIATING] = {"deviating",
			  SUBJECT_WORKSTATION,
			  COLOUR_RED,
			  "keeps local changes in place of what was published",
			  {{"on the workstation, see which", "satchel drift"},
			   {"have what was published made again there, with the local changes "
			    "kept aside",
			    "satchel repair {about}"},
			   {"publish them as they are, or correct them there; then let it report",
			    "satchel apply"},
			   COLLECT}},
    [RULE_W_HAND_OUT] = {"hand-out",
			 SUBJECT_WORKSTATION,
			 COLOUR_RED,
			 "could not hand out to a user what is theirs",
			 {{"see who, and why", "satchel status users {about}"},
			  {"correct the account on the workstation, and try again there",
			   "satchel apply"},
			  COLLECT}},
    [RULE_W_WITHHELD] =
	{"withheld",
	 SUBJECT_WORKSTATION,
	 COLOUR_RED,
	 "withholds the keys of a user, because nothing new has arrived for too long",
	 {{"renew the beat", "satchel publish"}, APPLY, COLLECT}},
    [RULE_W_POLICY] = {"policy",
		       SUBJECT_WORKSTATION,
		       COLOUR_RED,
		       "does not follow its policy",
		       {{"see what it is to follow, and why", "satchel policy explain {name}"},
			{"read what it reports", "satchel messages"}}},
    [RULE_W_FIRST] = {"first",
		      SUBJECT_WORKSTATION,
		      COLOUR_BLUE,
		      "enrolled, first sync not confirmed yet",
		      {PUBLISH, APPLY, COLLECT}},
    [RULE_W_UNPOSTED] = {"unposted",
			 SUBJECT_WORKSTATION,
			 COLOUR_RED,
			 "changed on the server, not yet posted",
			 {PUBLISH}},
    [RULE_W_APART] = {"apart",
		      SUBJECT_WORKSTATION,
		      COLOUR_ORANGE,
		      "holds more than this server knows of since it was restored, and keeps it",
		      {APPLY,
		       COLLECT,
		       {"when it says who is active there, take that over",
			"satchel recover accept {name}"}}},
    [RULE_W_BLOCKED] =
	{"blocked",
	 SUBJECT_WORKSTATION,
	 COLOUR_ORANGE,
	 "a channel of it, or a file, cannot be published, so it may be behind the source",
	 {{"correct what the reason says, and publish it", "satchel publish {about}"},
	  {"see what else is wrong", "satchel doctor"}}},
    [RULE_W_ROLLOUT] =
	{"rollout",
	 SUBJECT_WORKSTATION,
	 COLOUR_ORANGE,
	 "waits for a generation of which the rollout is stalled",
	 {{"see what holds it", "satchel channel show {about}"},
	  {"when it is good all the same, let it go on", "satchel rollout continue {about}"},
	  {"correct the source, and publish it as a new generation", "satchel publish {about}"}}},
    [RULE_W_DOCUMENTS] = {"documents",
			  SUBJECT_WORKSTATION,
			  COLOUR_ORANGE,
			  "nobody knows what it is to have, because a document cannot be read",
			  {{"correct the document that the reason names, and look again",
			    "satchel doctor"},
			   {"then publish what it says", "satchel publish"}}},
    [RULE_W_LEAVING] = {"leaving",
			SUBJECT_WORKSTATION,
			COLOUR_ORANGE,
			"is to be decommissioned, and has not said yet that everything is wiped",
			{APPLY, COLLECT, GIVE_UP}},
    [RULE_W_UNCONFIRMED] = {"unconfirmed",
			    SUBJECT_WORKSTATION,
			    COLOUR_ORANGE,
			    "posted, not yet confirmed",
			    {APPLY, COLLECT, CODE, CONFIRM}},
    [RULE_W_UNVERIFIED] = {"unverified",
			   SUBJECT_WORKSTATION,
			   COLOUR_ORANGE,
			   "has not compared all of its files with what was published for too long",
			   {{"on the workstation, have all of them read", "satchel drift --read"},
			    {"let it report that", "satchel sync"},
			    COLLECT}},
    [RULE_W_SILENT] = {"silent",
		       SUBJECT_WORKSTATION,
		       COLOUR_ORANGE,
		       "not heard from for too long",
		       {APPLY, COLLECT, CODE, CONFIRM, GIVE_UP}},
    [RULE_W_GREEN] =
	{"green",
	 SUBJECT_WORKSTATION,
	 COLOUR_GREEN,
	 "confirmed the latest generation of every channel, with equal tree digests and "
	 "without drift",
	 {{NULL, NULL}}},

    [RULE_U_FAILED] = {"failed",
		       SUBJECT_USER,
		       COLOUR_RED,
		       "failed on a workstation",
		       {{"see the workstation", "satchel workstation show {about}"},
			{"correct the cause there, and try again on the workstation",
			 "satchel apply"},
			COLLECT}},
    [RULE_U_WITHHELD] =
	{"withheld",
	 SUBJECT_USER,
	 COLOUR_RED,
	 "a workstation withholds the keys, because nothing new has arrived there for "
	 "too long",
	 {{"renew the beat", "satchel publish"}, APPLY, COLLECT}},
    [RULE_U_UNPOSTED] =
	{"unposted", SUBJECT_USER, COLOUR_RED, "changed on the server, not yet posted", {PUBLISH}},
    [RULE_U_UNCONFIRMED] = {"unconfirmed",
			    SUBJECT_USER,
			    COLOUR_ORANGE,
			    "posted, not yet confirmed by every workstation",
			    {APPLY, COLLECT, CODE, CONFIRM, GIVE_UP}},
    [RULE_U_SUSPENDED] = {"suspended",
			  SUBJECT_USER,
			  COLOUR_GREY,
			  "suspended, and no workstation holds anything of theirs",
			  {{"let them work again", "satchel user resume {name}"}}},
    [RULE_U_UNLICENSED] = {"unlicensed",
			   SUBJECT_USER,
			   COLOUR_GREY,
			   "no licence",
			   {{"issue one", "satchel licence issue LICENCE {name}"}}},
    [RULE_U_LICENCE_SUSPENDED] = {"licence-suspended",
				  SUBJECT_USER,
				  COLOUR_GREY,
				  "the licence is suspended",
				  {{"let it be used again", "satchel licence resume {about}"},
				   {"give them another one",
				    "satchel licence issue LICENCE {name}"}}},
    [RULE_U_LICENCE_EARLY] = {"licence-early",
			      SUBJECT_USER,
			      COLOUR_GREY,
			      "the licence is not valid yet",
			      {{"let it begin earlier", "satchel licence set {about} --from DAY"},
			       {"give them another one", "satchel licence issue LICENCE {name}"}}},
    [RULE_U_LICENCE_EXPIRED] = {"licence-expired",
				SUBJECT_USER,
				COLOUR_GREY,
				"the licence has ended",
				{{"let it last longer", "satchel licence set {about} --to DAY"},
				 {"move all who have it to another one",
				  "satchel licence replace {about} LICENCE"}}},
    [RULE_U_NOWHERE] = {"nowhere",
			SUBJECT_USER,
			COLOUR_BLUE,
			"licence issued, active on no workstation",
			{{"make a code for them, to be typed on a workstation",
			  "satchel user code {name}"}}},
    [RULE_U_SILENT] = {"silent",
		       SUBJECT_USER,
		       COLOUR_ORANGE,
		       "a workstation of theirs was not heard from for too long",
		       {APPLY, COLLECT, CODE, CONFIRM, GIVE_UP}},
    [RULE_U_DIFFERS] = {"differs",
			SUBJECT_USER,
			COLOUR_PURPLE,
			"as green, with keys that differ from the rest of the group",
			{{"see what they have", "satchel user show {name}"}}},
    [RULE_U_GREEN] = {"green",
		      SUBJECT_USER,
		      COLOUR_GREEN,
		      "active, and every workstation of theirs has confirmed the latest",
		      {{NULL, NULL}}},
};
