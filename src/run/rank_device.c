// SPDX-License-Identifier: MIT
#include "run/rank_device.h"

#include "base/fail.h"
#include "base/hash.h"
#include "base/memory.h"
#include "device/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The GPUs that a rank may see: srun gives each task a set of its own with --gpus-per-task.
static adele_status find_place(struct ranks *ranks, int *out) {
    const char *visible = getenv("CUDA_VISIBLE_DEVICES");
    uint64_t mine = visible != NULL ? hash_xxh3(visible, strlen(visible)) : 0;
    OWNED uint64_t *all = NULL;
    int me = ranks_index(ranks);
    TRY(ALLOCATE(&all, ranks_count(ranks)));
    TRY(ranks_gather(ranks, &mine, sizeof mine, all));
    *out = 0;
    for (int r = 0; r < me; r++)
        *out += all[r] == mine && strcmp(ranks_host(ranks, r), ranks_host(ranks, me)) == 0;
    return ADELE_OK;
}

adele_status rank_device_name(const char *name, int place, int n_gpus,
                              char out[RANK_DEVICE_BYTES]) {
    bool is_auto = strcmp(name, "auto") == 0;
    bool is_any_gpu = is_auto || strcmp(name, "cuda") == 0 || strncmp(name, "cuda/", 5) == 0;
    (void)snprintf(out, RANK_DEVICE_BYTES, "%s", name);
    if (!is_any_gpu || n_gpus == 0)
        return ADELE_OK; // without a GPU, opening the device fails and names what is missing
    if (place >= n_gpus)
        return FAIL(ADELE_DEVICE,
                    "Start as many ranks on each host as it has GPUs, or let several use one with "
                    "--device cuda:N.",
                    "there is no GPU number %d for this rank: its host has %d", place, n_gpus);
    (void)snprintf(out, RANK_DEVICE_BYTES, "cuda:%d%s", place, is_auto ? "" : name + 4);
    return ADELE_OK;
}

adele_status rank_device_choose(struct ranks *ranks, const char *name,
                                char out[RANK_DEVICE_BYTES]) {
    int place = 0;
    (void)snprintf(out, RANK_DEVICE_BYTES, "%s", name);
    if (ranks_count(ranks) == 1)
        return ADELE_OK;
    TRY(find_place(ranks, &place));
    return rank_device_name(name, place, adele_device_gpu_count(), out);
}
