// SPDX-License-Identifier: MIT
// The names of the files that label_store.c will write.
#include "output/output.h"

#include "base/fail.h"
#include "base/memory.h"
#include "output/label_store.h"

#include <string.h>

adele_status output_add_labels(struct output *output, const struct dataset *dataset,
                               enum dataset_split split) {
    for (int i = 0; i < dataset->n_cases[split]; i++) {
        OWNED char *name = label_store_name(dataset, split, &dataset->cases[split][i]);
        TRY(CHECK_MEMORY(name));
        TRY(output_add(output, "%s", name));
    }
    return output_add(output, "changes.csv");
}

adele_status output_add_predictions(struct output *output, const struct dataset *dataset,
                                    enum dataset_split split, bool has_probabilities) {
    for (int i = 0; i < dataset->n_cases[split]; i++) {
        const char *name = dataset->cases[split][i].name;
        TRY(output_add(output, "%s%s", name, dataset->file_ending));
        if (has_probabilities)
            TRY(output_add(output, "%s.safetensors", name));
    }
    return ADELE_OK;
}
