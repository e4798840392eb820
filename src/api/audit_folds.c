// SPDX-License-Identifier: MIT
#include "adele/audit.h"

#include "api/audit.h"
#include "api/data_options.h"
#include "api/ranks.h"
#include "audit/audit_folds.h"
#include "base/fail.h"
#include "run/rank_device.h"

#include <string.h>

static adele_status read_options(const struct adele_audit_options *options,
                                 struct audit_options *out) {
    TRY(audit_options_read(options, out));
    out->model.ranks = ranks_of(options->ranks);
    if (options->output == NULL || options->data != NULL || options->labels != NULL)
        return FAIL(ADELE_INVALID_ARGUMENT, "Describe the data set in struct adele_data.",
                    options->output == NULL ? "no output is given"
                                            : "data and labels are of a model's audit");
    return ADELE_OK;
}

static adele_status resolve(const struct adele_data *data, struct config **config,
                            struct dataset_config *out) {
    TRY(data_options_resolve(data, config, out));
    if (*config != NULL && (*config)->data.noise.kind != NOISE_NONE)
        return FAIL(ADELE_CONFIG, "Write the noisy labels with `adele noise`, and name them.",
                    "%s: with data.noise the labels are in no file that could be audited",
                    data->config);
    out->split[SPLIT_VAL] = out->split[SPLIT_TEST] = "none";
    return ADELE_OK;
}

adele_status adele_audit_folds(const struct adele_data *data, int n_folds, const char *device,
                               const struct adele_audit_options *options,
                               struct adele_audit_summary *out) {
    struct ranks *ranks = ranks_of(options->ranks);
    char name[RANK_DEVICE_BYTES];
    struct audit_options wanted;
    struct config *config = NULL;
    struct dataset_config dataset;
    struct audit_result result;
    int n_classes = 0;
    memset(out, 0, sizeof *out);
    TRY(ranks_check_usable(ranks));
    adele_status status = rank_device_choose(ranks, device != NULL ? device : "auto", name);
    if (status == ADELE_OK)
        status = read_options(options, &wanted);
    if (status == ADELE_OK)
        status = resolve(data, &config, &dataset);
    status = ranks_agree(ranks, status);
    if (status == ADELE_OK)
        status = audit_folds_run(&(struct audit_folds){.data = data,
                                                       .config = config,
                                                       .dataset = &dataset,
                                                       .options = &wanted,
                                                       .device = name,
                                                       .n_folds = n_folds},
                                 &result, &n_classes);
    if (status == ADELE_OK)
        audit_summary_fill(&result, n_classes, out);
    config_destroy(config);
    return status;
}
