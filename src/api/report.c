// SPDX-License-Identifier: MIT
#include "adele/report.h"

#include "base/fail.h"
#include "base/json.h"
#include "base/memory.h"
#include "output/output.h"
#include "report/class_correction.h"
#include "report/report.h"
#include "run_folder/run_folder.h"

void adele_free(void *text) {
    memory_free(text);
}

// A report needs nothing of the runs' configurations: where one cannot be read, the run's data set
// is not known and cannot be guarded.
static adele_status guard_run(const char *run, const char *data, struct output *output) {
    OWNED_BY(config_destroy) struct config *config = NULL;
    adele_status status = run_folder_load_config(run, data, &config);
    if (status != ADELE_OK)
        return status == ADELE_NO_MEMORY ? status : ADELE_OK;
    return run_folder_guard(run, config, output_guard(output));
}

adele_status adele_report(const struct adele_report_options *options, char **table) {
    OWNED_BY(output_destroy) struct output *output = NULL;
    struct report_summary *summaries = NULL;
    if (table != NULL)
        *table = NULL;
    if (options->output == NULL || options->n_runs < 1 || options->runs == NULL)
        return FAIL(ADELE_INVALID_ARGUMENT, "Name a folder for the report, and one run or more.",
                    "no %s is given", options->output == NULL ? "output" : "run");
    TRY(output_create(options->output, options->overwrite != 0, &output));
    TRY(output_guard_add_data(output_guard(output), options->data));
    for (int i = 0; i < options->n_runs; i++)
        TRY(guard_run(options->runs[i], options->data, output));
    adele_status status = report_write(options->n_runs, options->runs, output, &summaries);
    if (status == ADELE_OK && table != NULL)
        status = report_table(options->n_runs, summaries, table);
    report_summaries_destroy(options->n_runs, summaries);
    return status;
}

adele_status adele_run_corrections(const char *run,
                                   void (*on_class)(void *context,
                                                    const struct adele_class_correction *on),
                                   void *context) {
    OWNED char *path = NULL;
    cJSON *onset = NULL;
    TRY(run_folder_path(run, "onset.json", &path));
    TRY(json_read(path, &onset));
    const cJSON *categories = cJSON_GetObjectItemCaseSensitive(onset, "categories"), *node;
    cJSON_ArrayForEach(node, categories) {
        struct class_correction read;
        char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(node, "name"));
        if (name != NULL)
            text_make_plain(name);
        if (class_correction_read(onset, node, &read))
            on_class(context,
                     &(struct adele_class_correction){.name = read.name,
                                                      .onset_epoch = read.onset_epoch,
                                                      .first_epoch = read.first_epoch,
                                                      .explanation = read.explanation,
                                                      .is_not_learned = read.n_not_learned > 0});
    }
    cJSON_Delete(onset);
    return ADELE_OK;
}
