// SPDX-License-Identifier: MIT
// splits_final.json of an nnU-Net folder.
#include "data/dataset.h"
#include "fuzz.h"

#include <string.h>

static void prepare(void) {
    static const char json[] = "{\"channel_names\": {\"0\": \"x\"}, \"file_ending\": \".png\", "
                               "\"labels\": {\"background\": 0, \"one\": 1}}";
    static const char *const files[] = {"imagesTr/a_0000.png", "imagesTr/b_0000.png",
                                        "labelsTr/a.png", "labelsTr/b.png"};
    fuzz_store("dataset.json", json, sizeof json - 1);
    for (int i = 0; i < 4; i++)
        fuzz_store(files[i], "", 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    static int is_ready;
    static const char *const folds[] = {NULL, "fold1", "fold9999"};
    if (!is_ready)
        prepare();
    is_ready = 1;
    fuzz_store("splits_final.json", data, n_bytes);
    for (int i = 0; i < 3; i++) {
        struct dataset_config config = {.root = fuzz_folder(), .split = {folds[i]}};
        struct dataset *dataset = NULL;
        adele_status status = dataset_open(&config, &dataset);
        fuzz_check_status(status);
        FUZZ_REQUIRE((status == ADELE_OK) == (dataset != NULL));
        for (int k = 0; dataset != NULL && k < dataset->n_cases[SPLIT_TRAIN]; k++)
            FUZZ_REQUIRE(strchr(dataset->cases[SPLIT_TRAIN][k].name, '/') == NULL);
        dataset_close(dataset);
    }
    return 0;
}
