/* SPDX-License-Identifier: ISC */
/*
 * Parsing in a process that may do nothing else: libyaml reads there what others wrote, and a tree
 * in a fixed layout comes back, which is checked here against the schema.  One process serves many
 * documents, and is started again when it dies.
 */
#ifndef SATCHEL_CORE_FORMAT_YAML_YAML_CHILD_H
#define SATCHEL_CORE_FORMAT_YAML_YAML_CHILD_H

#include "core/format/yaml/yaml.h"
#include "core/os/child.h"

struct yaml_child {
	struct child child; /* owned; none until it is needed */
	unsigned deaths;    /* of all processes so far */
	uint64_t answered;  /* documents, by the process that runs */
};

#define YAML_CHILD_INIT          \
	{                        \
		CHILD_INIT, 0, 0 \
	}

/**
 * yaml_child_start(c, err): start the process, or find it running.  It is a copy of this one
 * without what lies in secret memory: start it before much else is in memory.  Forks: only while
 * the process has one thread.
 * yaml_child_end(c): kill it; fine on an empty one.
 */
int yaml_child_start(struct yaml_child *c, struct err *err);
void yaml_child_end(struct yaml_child *c);
/**
 * yaml_child_decode(c, in, max, type, ret, why, err): yaml_decode of a document of ${type}
 * ("receipt/1"), parsed there; starts the process when none runs.  1: ${*ret} is the caller's.
 * 0: it is refused, ${why} says with which code and sentence.  Negative: no process can be had, or
 * too many have died.
 * A document that takes the process over decides what is said of those that come after it.  Whoever
 * must not let that happen compares what came back with ${in}, or asks again when
 * ${c->answered} is above 1, after yaml_child_end.
 */
int yaml_child_decode(struct yaml_child *c, struct bytes in, size_t max, const char *type,
		      struct yaml **ret, struct err *why, struct err *err);

#endif
