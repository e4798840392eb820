// SPDX-License-Identifier: MIT
// A model that several processes open together.
#include "api/model.h"
#include "api/ranks.h"
#include "base/fail.h"
#include "base/hash.h"
#include "ranks/rank_facts.h"
#include "run/rank_check.h"
#include "run/rank_device.h"

#include <stdio.h>

static adele_status describe_checkpoint(const struct model *model, struct rank_fact *out) {
    char text[RANK_FACT_BYTES], xxh3[HASH_HEX_BYTES];
    int64_t bytes;
    TRY(hash_file_hex(model->path, xxh3, &bytes));
    (void)snprintf(text, sizeof text, "that of epoch %d with XXH3 %s", model->epoch, xxh3);
    rank_fact_set(out, "checkpoint", text);
    return ADELE_OK;
}

// On what the bytes of predictions depend.
static adele_status compare(struct ranks *ranks, const struct model *model) {
    struct provenance made_by;
    struct rank_fact checkpoint;
    TRY(ranks_agree(ranks, describe_checkpoint(model, &checkpoint)));
    provenance_of(model->device, &made_by);
    TRY(rank_check_provenance(ranks, &made_by));
    return rank_facts_compare(ranks, 1, &checkpoint);
}

adele_status adele_model_open_together(struct adele_ranks *together, const char *path,
                                       const char *checkpoint, const char *device,
                                       struct adele_model **out) {
    char name[RANK_DEVICE_BYTES];
    struct ranks *ranks = ranks_of(together);
    *out = NULL;
    if (ranks == NULL)
        return adele_model_open(path, checkpoint, device, out);
    TRY(ranks_check_usable(ranks));
    adele_status status = rank_device_choose(ranks, device != NULL ? device : "auto", name);
    if (status == ADELE_OK)
        status = adele_model_open(path, checkpoint, name, out);
    status = ranks_agree(ranks, status);
    if (status == ADELE_OK)
        status = compare(ranks, &(*out)->model);
    if (status != ADELE_OK) {
        adele_model_close(*out);
        *out = NULL;
        return status;
    }
    (*out)->ranks = ranks;
    ranks_log_cores(ranks);
    return ADELE_OK;
}
