// SPDX-License-Identifier: MIT
// Text files of names: the list of a split, and the names of the categories.
#include "data/dataset.h"
#include "data/finder.h"
#include "data/name_list.h"
#include "fuzz.h"

#include <string.h>

static void open_voc(const char *list) {
    struct dataset_config config = {.root = fuzz_folder(), .split = {list}};
    struct dataset *dataset = NULL;
    adele_status status = dataset_open(&config, &dataset);
    fuzz_check_status(status);
    FUZZ_REQUIRE((status == ADELE_OK) == (dataset != NULL));
    dataset_close(dataset);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    static int is_ready;
    if (!is_ready) {
        fuzz_store("JPEGImages/a.jpg", "", 0);
        fuzz_store("JPEGImages/b c.png", "", 0);
        fuzz_store("SegmentationClass/a.png", "", 0);
        fuzz_store("SegmentationClass/b c.png", "", 0);
        is_ready = 1;
    }
    struct file_list names;
    adele_status status = name_list_read(fuzz_file(0, data, n_bytes), &names);
    fuzz_check_status(status);
    for (int i = 0; status == ADELE_OK && i < names.n; i++) {
        bool is_picture, is_volume;
        FUZZ_REQUIRE(names.names[i][0] != '\0');
        FUZZ_REQUIRE(strchr(names.names[i], '\n') == NULL);
        adele_status checked = name_check(names.names[i], "list");
        fuzz_check_status(checked);
        FUZZ_REQUIRE(checked != ADELE_OK || strchr(names.names[i], '/') == NULL);
        FUZZ_REQUIRE(name_stem_bytes(names.names[i], &is_picture, &is_volume) > 0);
    }
    file_list_deinit(&names);
    fuzz_store("ImageSets/Segmentation/train.txt", data, n_bytes);
    fuzz_store("class_names.txt", "background\none\n", 15);
    open_voc(NULL);
    open_voc("ImageSets/Segmentation/train.txt");
    fuzz_store("class_names.txt", data, n_bytes);
    fuzz_store("ImageSets/Segmentation/train.txt", "a\n", 2);
    open_voc(NULL);
    return 0;
}
