#!/bin/sh
# SPDX-License-Identifier: ISC
# The home depot was emptied, replaced by an empty directory, or lost its trust documents: everything is posted again out of the
# registry and the content store.  What the store has lost is read from the sources.
set -eu

satchel -s "$SITE" publish --refill
satchel -s "$SITE" doctor
