// SPDX-License-Identifier: MIT
#include "ranks/agreement.h"

#include "base/fail.h"
#include "base/memory.h"

#include <string.h>

adele_status agreement_reach(struct ranks *ranks, bool *stop, int *n_skipped) {
    int64_t values[] = {*stop, *n_skipped};
    TRY(ranks_max(ranks, values, 2));
    *stop = values[0] != 0;
    *n_skipped = (int)values[1];
    return ADELE_OK;
}

adele_status agreement_first_text(struct ranks *ranks, char **text) {
    int n_ranks = ranks_count(ranks);
    OWNED size_t *starts = NULL;
    OWNED char *all = NULL;
    if (n_ranks == 1)
        return ADELE_OK;
    TRY(ALLOCATE(&starts, (size_t)n_ranks + 1));
    adele_status status =
        ranks_gather_sized(ranks, *text, *text ? strlen(*text) + 1 : 0, (void **)&all, starts);
    memory_free(*text);
    *text = NULL;
    TRY(status);
    if (starts[n_ranks] == 0)
        return ADELE_OK;
    // Texts follow each other without gaps, so that the first one begins all of them.
    *text = memory_printf("%s", all);
    return CHECK_MEMORY(*text);
}
