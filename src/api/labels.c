// SPDX-License-Identifier: MIT
#include "adele/data.h"

#include "api/model.h"
#include "base/fail.h"
#include "run_folder/label_export.h"

adele_status adele_labels(const struct adele_labels_options *options) {
    if (options->run_folder == NULL || options->output == NULL)
        return FAIL(ADELE_INVALID_ARGUMENT, "Name both folders.", "no %s is given",
                    options->run_folder == NULL ? "run_folder" : "output");
    TRY(checkpoint_name_check(options->checkpoint));
    return label_export_write(
        &(struct label_export){.run_folder = options->run_folder,
                               .folder = options->output,
                               .data = options->data,
                               .epoch = options->epoch > 0 ? options->epoch : -1,
                               .checkpoint = options->checkpoint,
                               .is_overwriting = options->overwrite != 0,
                               .out_changed = options->n_changed});
}

adele_status adele_export_labels(const char *run_folder, int epoch, const char *output) {
    return adele_labels(
        &(struct adele_labels_options){.run_folder = run_folder, .output = output, .epoch = epoch});
}
