// SPDX-License-Identifier: MIT
// Lists of the ranks, put behind each other by rank: then each of them has what one process has.
// Rows travel as they are in memory, and beside them what their pointers point to: all ranks are
// the same program (rank_facts.h). Collective.
#ifndef ADELE_RANKS_GATHER_H
#define ADELE_RANKS_GATHER_H

#include "base/buffer.h"
#include "ranks/ranks.h"

// The blocks of all ranks behind each other. Free *out with memory_free.
ADELE_MUST_CHECK adele_status gather_blocks(struct ranks *ranks, const void *mine, size_t bytes,
                                            void **out, size_t *out_bytes);

// Not collective: one more of this rank's names.
ADELE_MUST_CHECK adele_status gather_add_name(struct buffer *names, const char *name);
// The names of all ranks behind each other, each with its NUL. Empties `names`; `status` is that of
// filling it.
ADELE_MUST_CHECK adele_status gather_names(struct ranks *ranks, struct buffer *names,
                                           adele_status status, char **out);
const char *gather_next_name(const char *name); // behind that one in *out
#endif
