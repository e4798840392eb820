// SPDX-License-Identifier: MIT
// dataset.json of an nnU-Net folder, without and with a label map.
#include "data/dataset.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    static int is_ready;
    static const int from[] = {1, 2};
    static const uint8_t to[] = {1, 1};
    if (!is_ready) {
        fuzz_store("imagesTr/a_0000.png", "", 0);
        fuzz_store("labelsTr/a.png", "", 0);
        is_ready = 1;
    }
    fuzz_store("dataset.json", data, n_bytes);
    for (int is_mapped = 0; is_mapped < 2; is_mapped++) {
        struct dataset_config config = {.root = fuzz_folder(), .map = {.other = 0}};
        struct dataset *dataset = NULL;
        if (is_mapped)
            config.map = (struct label_map){.n = 2, .from = from, .to = to, .other = 0};
        adele_status status = dataset_open(&config, &dataset);
        fuzz_check_status(status);
        FUZZ_REQUIRE((status == ADELE_OK) == (dataset != NULL));
        for (int c = 0; dataset != NULL && c < dataset->n_categories; c++)
            FUZZ_REQUIRE(dataset->category_names[c] != NULL);
        dataset_close(dataset);
    }
    return 0;
}
