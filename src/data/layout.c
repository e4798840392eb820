// SPDX-License-Identifier: MIT
#include "data/layout.h"

const struct dataset_layout_ops *layout_ops(enum dataset_layout layout) {
    static const struct dataset_layout_ops *const ops[] = {
        [LAYOUT_AUTO] = &layout_nnunet, // a plain folder (dataset_open_folder) has these names too
#define ROW(id, name) [LAYOUT_##id] = &layout_##name,
        ADELE_LAYOUTS(ROW)
#undef ROW
    };
    return ops[layout];
}

const char *dataset_layout_name(enum dataset_layout layout) {
    static const char *const names[] = {"auto",
#define ROW(id, name) #name,
                                        ADELE_LAYOUTS(ROW)
#undef ROW
    };
    return (unsigned)layout < LAYOUT_COUNT ? names[layout] : "unknown";
}

const char *dataset_label_folder(const struct dataset *dataset, enum dataset_split split,
                                 const struct dataset_case *item) {
    return layout_ops(dataset->layout)->label_folder(dataset, split, item);
}

const char *dataset_mask_suffix(const struct dataset *dataset) {
    const char *suffix = dataset->config.mask_suffix;
    return layout_ops(dataset->layout)->has_mask_suffix && suffix != NULL ? suffix : "";
}
