// SPDX-License-Identifier: MIT
#include "audit/audit_mask.h"

#include "base/fail.h"
#include "base/log.h"
#include "data/label_lookup.h"

// The value must not be that of a class: 255 is one where data.label_map says so. One that the
// files do not hold may become that of ignored pixels where no other is.
adele_status audit_mask_choose(const struct dataset *dataset, int value, bool *out_is_new) {
    struct label_lookup *lookup = dataset->lookup;
    bool has_own = lookup->value[LABEL_IGNORE] != LABEL_NOT_A_VALUE;
    *out_is_new = false;
    if (value < 0)
        return ADELE_OK;
    int category = label_lookup_category(lookup, value);
    if (category == LABEL_IGNORE || (category < 0 && !has_own && value <= UINT8_MAX)) {
        lookup->value[LABEL_IGNORE] = value;
        *out_is_new = category != LABEL_IGNORE;
        return ADELE_OK;
    }
    if (category < 0 && !has_own)
        return FAIL(ADELE_INVALID_ARGUMENT, "Use a value up to 255.",
                    "%s: value %d does not fit into masks of 8 bits", dataset->root, value);
    if (!has_own)
        return FAIL(ADELE_INVALID_ARGUMENT, "Use a value that no class has, such as 254.",
                    "%s: pixels of value %d in its label files are of class %s, not ignored",
                    dataset->root, value, dataset->category_names[category]);
    return FAIL(ADELE_INVALID_ARGUMENT, "Use the value that the data set ignores.",
                "%s: its label files ignore pixels of value %d, not of %d", dataset->root,
                (int)lookup->value[LABEL_IGNORE], value);
}

// A value that the data set does not ignore is an error in a training, until its map has it.
void audit_mask_log(const struct dataset *dataset, enum dataset_split split, int value, bool is_new,
                    const char *folder) {
    if (value < 0 || dataset->n_cases[split] == 0)
        return;
    const struct dataset_case *first = &dataset->cases[split][0];
    log_line(LOG_INFO, "masks with value %d in the doubtful regions: %s/%s", value, folder,
             dataset_label_folder(dataset, split, first));
    if (is_new)
        log_line(LOG_INFO, "a training on them needs {from: %d, to: 255} in data.label_map%s",
                 value, dataset->map.n > 0 ? "" : ", beside an entry for each other value");
}
