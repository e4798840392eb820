// SPDX-License-Identifier: MIT
#include "audit/fold_ranks.h"

#include "base/fail.h"
#include "config/config.h"
#include "run/rank_check.h"

static adele_status compare_configurations(struct ranks *ranks,
                                           const struct fold_training *training) {
    OWNED_BY(config_destroy) struct config *config = NULL;
    TRY(ranks_agree(ranks,
                    config_load(training->config, training->n_sets, training->sets, &config)));
    const struct trainer_options options = {
        .config = config, .run_folder = training->output, .resume = true, .ranks = ranks};
    return rank_check_start(&options);
}

static adele_status find_provenance(const char *name, struct provenance *out) {
    struct adele_device *device = NULL;
    TRY(adele_device_open(name, ADELE_PRECISION_FP32, &device));
    provenance_of(device, out);
    adele_device_close(device);
    return ADELE_OK;
}

adele_status fold_ranks_compare(struct ranks *ranks, const struct fold_training *training) {
    struct provenance made_by;
    if (ranks_count(ranks) == 1)
        return ADELE_OK;
    TRY(compare_configurations(ranks, training));
    TRY(ranks_agree(ranks, find_provenance(training->device, &made_by)));
    return rank_check_provenance(ranks, &made_by);
}
