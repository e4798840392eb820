// SPDX-License-Identifier: MIT
#include "predict/shared_output.h"

#include "base/clock.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "output/output_manifest.h"

#include <string.h>
#include <time.h>

// A network file system may show a new file late, after 30 seconds where it keeps its settings; but
// no rank looks for it for a large part of the time limit.
#define LATE_SECONDS 35.0
#define LATE_SHARE   0.05

// *is_there: whether the file is there and has that hash.
static adele_status has_file(const char *path, const char *hash, bool *is_there) {
    char own[HASH_HEX_BYTES];
    int64_t bytes;
    *is_there = false;
    if (!file_exists(path))
        return ADELE_OK;
    TRY(hash_file_hex(path, own, &bytes));
    *is_there = strcmp(own, hash) == 0;
    return ADELE_OK;
}

static adele_status wait_for(struct ranks *ranks, const char *path, const char *hash) {
    const struct timespec pause = {0, 100000000};
    const double share = LATE_SHARE * ranks_time_limit(ranks);
    const double until = clock_seconds() + (share < LATE_SECONDS ? share : LATE_SECONDS);
    bool is_there;
    TRY(has_file(path, hash, &is_there));
    while (!is_there && clock_seconds() < until) {
        ranks_tell_alive(ranks);
        (void)nanosleep(&pause, NULL);
        TRY(has_file(path, hash, &is_there));
    }
    if (is_there)
        return ADELE_OK;
    return FAIL(ADELE_INVALID_ARGUMENT,
                "Choose a folder that all hosts see under the same path, or one process.",
                "%s is not what rank 0 on %s has just written: the two do not share the folder",
                path, ranks_host(ranks, 0));
}

adele_status shared_output_wait(struct ranks *ranks, const char *path) {
    char hash[HASH_HEX_BYTES] = "";
    int64_t bytes;
    adele_status status = ADELE_OK;
    if (ranks_count(ranks) == 1)
        return ADELE_OK;
    if (ranks_index(ranks) == 0)
        status = hash_file_hex(path, hash, &bytes);
    TRY(ranks_agree(ranks, status));
    TRY(ranks_broadcast(ranks, hash, sizeof hash));
    return ranks_agree(ranks, ranks_index(ranks) == 0 ? ADELE_OK : wait_for(ranks, path, hash));
}

adele_status shared_output_check(struct ranks *ranks, const struct output *output) {
    if (ranks_count(ranks) == 1)
        return ADELE_OK;
    OWNED char *path = file_join(output_folder(output), OUTPUT_MANIFEST_NAME);
    TRY(ranks_agree(ranks, CHECK_MEMORY(path)));
    return shared_output_wait(ranks, path);
}
