// SPDX-License-Identifier: MIT
#include "predict/model_output.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "run_folder/run_folder.h"

#include <string.h>

adele_status model_guard_inputs(const struct model *model, const struct model_options *options,
                                struct output_guard *guard) {
    if (options->data)
        TRY(output_guard_add(guard, options->data,
                             options->is_folder ? "the input folder" : "the data set"));
    if (options->data && !options->is_folder)
        TRY(output_guard_add_data(guard, options->data));
    return model->run_folder ? run_folder_guard(model->run_folder, model->config, guard) : ADELE_OK;
}

// Masks among checkpoints/ and log.txt would be mistaken for files of the training.
static adele_status check_not_the_run(struct output *output) {
    const char *folder = output_folder(output);
    if (!output_guard_is_run(output_guard(output), folder))
        return ADELE_OK;
    return FAIL(ADELE_INVALID_ARGUMENT, "Choose a folder of its own, in the run or elsewhere.",
                "the masks would fall among the files of the run %s", folder);
}

adele_status model_plan_masks(const struct model *model, const struct model_options *options,
                              const struct dataset *dataset, enum dataset_split split,
                              struct output **out) {
    OWNED_BY(output_destroy) struct output *output = NULL;
    *out = NULL;
    if (!options->masks_folder)
        return ADELE_OK;
    TRY(output_create(options->masks_folder, options->is_overwriting, &output));
    TRY(model_guard_inputs(model, options, output_guard(output)));
    TRY(output_guard_add_dataset(output_guard(output), dataset));
    TRY(check_not_the_run(output));
    TRY(output_add_predictions(output, dataset, split, options->probabilities));
    TRY(output_check(output));
    *out = output;
    output = NULL;
    return ADELE_OK;
}

adele_status model_plan_file(const struct model *model, const struct model_options *options,
                             const char *path, struct output **out) {
    OWNED_BY(output_destroy) struct output *output = NULL;
    *out = NULL;
    if (!path)
        return ADELE_OK;
    OWNED char *folder = path_folder(path);
    TRY(CHECK_MEMORY(folder));
    TRY(output_create(folder, options->is_overwriting, &output));
    output_set_named(output);
    TRY(model_guard_inputs(model, options, output_guard(output)));
    TRY(output_add(output, "%s", file_base_name(path)));
    TRY(output_check(output));
    *out = output;
    output = NULL;
    return ADELE_OK;
}
