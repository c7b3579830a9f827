/* SPDX-License-Identifier: ISC */
/*
 * Every count, length and depth that an outsider chooses has its ceiling here, with the reason.
 */
#ifndef SATCHEL_CORE_BASE_LIMITS_H
#define SATCHEL_CORE_BASE_LIMITS_H

/* A path below a channel's target, in bytes as the file system stores it: PATH_MAX of Linux. */
#define LIMIT_PATH 4096
/* One component of it: NAME_MAX of every Linux file system in use. */
#define LIMIT_NAME 255
/* Directories above an entry.  Deeper trees exist only in attacks; bounds recursion and fds. */
#define LIMIT_DEPTH 256
/* Entries of one channel's tree. */
#define LIMIT_ENTRIES 100000000u
/* A symbolic link's target: PATH_MAX again. */
#define LIMIT_LINK 4096

/*
 * The newest formats of documents that this program reads, as one number that receipts name.  2:
 * trust/2 and head/2.  3: sealed channels, manifest/2.  4: the ceiling of a subscription.
 */
#define FORMAT_NEWEST  4
#define FORMAT_SEALED  3
#define FORMAT_CEILING 4

/* A signed document as it lies in a depot: a shard of 400 workstations takes 60 KiB. */
#define LIMIT_DOCUMENT (1u << 20)
/* A beat: 256 shards of 71 bytes, some hundred knocks, and what later formats add.  Junk under a
 * beat's name costs no more than this to read. */
#define LIMIT_BEAT 65536u
/* A request from somebody we do not know. */
#define LIMIT_REQUEST 8192u
/* A receipt: some hundred channels and the events of a bad week. */
#define LIMIT_RECEIPT 65536u
/*
 * Files that carry takes into an inbox in one run: of one workstation, which keeps its last 8
 * receipts there; and requests of machines that the site does not list.  Anybody can write into an
 * inbox, and must not fill every stick and the server's depot that way.
 */
#define LIMIT_CARRY_OWN       64u
#define LIMIT_CARRY_STRANGERS 1000u
/* A bundle's manifest: fixed fields only. */
#define LIMIT_MANIFEST 16384u
/* Nesting of a document; the deepest schema has 6. */
#define LIMIT_YAML_DEPTH 12
/* Values in a document: bounds the memory of the parsed tree (64 bytes each). */
#define LIMIT_YAML_NODES 200000u
/* One scalar of a document. */
#define LIMIT_YAML_SCALAR 65536u
/* Numbers in documents stay exact in every reader of YAML and JSON: 2^53-1. */
#define LIMIT_NUMBER 9007199254740991ull

/* Signatures around one trust document. */
#define LIMIT_LAYERS 8
/* Keys in a trust document. */
#define LIMIT_KEYS 64
/* Rotations that one catch-up walks through: a new trust document each week for twenty years. */
#define LIMIT_TRUST_CHAIN 1024

/* Payload of a bundle, and the block that is verified at a time. */
#define LIMIT_PAYLOAD (1ull << 40)
#define BLOCK_BYTES   (1u << 20)
#define LIMIT_BLOCKS  (1u << 20)
/* Input of one zstd frame; also the window, so that a reader's memory is known beforehand. */
#define LIMIT_FRAME_LOG 23
#define LIMIT_FRAME     (1u << LIMIT_FRAME_LOG)
/* The list of changes, unpacked: a hundred million entries of 160 bytes. */
#define LIMIT_CHANGES (16ull << 30)
/* One line of it: path and source path, every byte encoded as three, plus the fixed fields. */
#define LIMIT_CHANGE_LINE (6u * LIMIT_PATH + 1024u)
/* Bundles that one head may list. */
#define LIMIT_HEAD_BUNDLES 256u

/* Files looked at in one directory of a depot, so that a flood cannot hold a sync for ever. */
#define LIMIT_DEPOT_FILES 2000000u
/* Seconds that a depot may stay without progress before it is given up. */
#define LIMIT_DEPOT_SILENCE 60
/*
 * What one depot may cost a run in all, since one that answers a little at a time is never silent.
 * Seconds that are waited for it: the listings and documents of an honest depot of ten thousand
 * workstations take a minute or two on a slow share.
 */
#define LIMIT_DEPOT_SECONDS 300
/* Bytes a second of content that proves good, which wins that time back: the slowest line that a
 * share is mounted over.  A bundle of any size may come, at half a megabit at least. */
#define LIMIT_DEPOT_RATE (64u << 10)
/* Milliseconds that one good document wins back besides: four answers of a share far away, or two
 * flushes of a slow stick. */
#define LIMIT_DEPOT_FILE_MS 250
/* Entries listed: two directories that are flooded up to their own limit.  A large site has some
 * hundred thousand files. */
#define LIMIT_DEPOT_ENTRIES 4000000u
/* Bytes read that have not proved good: a hundred thousand receipts of the largest size. */
#define LIMIT_DEPOT_BYTES (8ull << 30)

#endif
