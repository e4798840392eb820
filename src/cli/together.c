// SPDX-License-Identifier: MIT
#include "cli/together.h"

#include "cli/cli.h"

#include <stdio.h>

static adele_status work_with_progress(struct progress *progress, struct adele_ranks *ranks,
                                       adele_status (*work)(struct adele_ranks *, void *),
                                       void *context) {
    progress_init(progress);
    if (ranks != NULL)
        progress_join_ranks(progress, adele_ranks_index(ranks) > 0);
    adele_status status = work(ranks, context);
    progress_deinit(progress);
    return status;
}

// Whatever this process has to say is said before it leaves, because a launcher may end all when
// the first process ends with an error.
int together_run(struct progress *progress, adele_status (*work)(struct adele_ranks *, void *),
                 void (*say)(adele_status, void *), void *context) {
    struct adele_ranks *ranks = NULL;
    adele_status status = adele_ranks_join(&ranks);
    if (status == ADELE_OK)
        status = work_with_progress(progress, ranks, work, context);
    bool tells = status == ADELE_OK ? adele_ranks_index(ranks) == 0
                                    : adele_ranks_should_report(ranks, status);
    if (tells && status != ADELE_OK)
        (void)cli_report_failure(status);
    if (tells && say != NULL)
        say(status, context);
    (void)fflush(stdout);
    adele_ranks_leave(ranks, status);
    return status == ADELE_OK ? CLI_OK : status == ADELE_INTERRUPTED ? CLI_INTERRUPTED : CLI_FAILED;
}
