// SPDX-License-Identifier: MIT
// The file of `adele onset`, through the public function that reads it.
#include "adele/onset.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    struct adele_onset_list *list = NULL;
    adele_status status = adele_onset_read(fuzz_file(0, data, n_bytes), &list);
    fuzz_check_status(status);
    FUZZ_REQUIRE((status == ADELE_OK) == (list != NULL));
    adele_onset_list_destroy(list);
    return 0;
}
