// SPDX-License-Identifier: MIT
#include "ranks/gather.h"

#include "base/fail.h"
#include "base/memory.h"

#include <string.h>

adele_status gather_blocks(struct ranks *ranks, const void *mine, size_t bytes, void **out,
                           size_t *out_bytes) {
    OWNED size_t *starts = NULL;
    *out = NULL;
    *out_bytes = 0;
    TRY(ALLOCATE(&starts, ranks_count(ranks) + 1));
    TRY(ranks_gather_sized(ranks, mine, bytes, out, starts));
    *out_bytes = starts[ranks_count(ranks)];
    return ADELE_OK;
}

adele_status gather_add_name(struct buffer *names, const char *name) {
    return buffer_add(names, name, strlen(name) + 1);
}

adele_status gather_names(struct ranks *ranks, struct buffer *names, adele_status status,
                          char **out) {
    size_t bytes;
    *out = NULL;
    if (status == ADELE_OK)
        status = gather_blocks(ranks, names->data, names->n_bytes, (void **)out, &bytes);
    buffer_deinit(names);
    return status;
}

const char *gather_next_name(const char *name) {
    return name + strlen(name) + 1;
}
