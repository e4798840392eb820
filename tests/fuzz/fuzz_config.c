// SPDX-License-Identifier: MIT
// A configuration, or, behind a first '=', the text of one --set.
#include "base/memory.h"
#include "config/config.h"
#include "fuzz.h"

#include <string.h>

static adele_status parse(const uint8_t *data, size_t n_bytes, struct config **out) {
    static const char base[] = "data: {root: x}\n";
    if (n_bytes == 0 || data[0] != '=')
        return config_parse("fuzz.yaml", (const char *)data, n_bytes, 0, NULL, out);
    char set[512];
    size_t n = n_bytes - 1 < sizeof set - 1 ? n_bytes - 1 : sizeof set - 1;
    memcpy(set, data + 1, n);
    set[n] = '\0';
    return config_parse("fuzz.yaml", base, sizeof base - 1, 1, (const char *const[]){set}, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    struct config *config = NULL, *again = NULL;
    char *text = NULL, *text_again = NULL;
    adele_status status = parse(data, n_bytes, &config);
    fuzz_check_status(status);
    if (status != ADELE_OK) {
        FUZZ_REQUIRE(config == NULL);
        return 0;
    }
    // The resolved file of a run says the same.
    FUZZ_REQUIRE(config_to_yaml(config, &text) == ADELE_OK);
    FUZZ_REQUIRE(config_parse("resolved.yaml", text, strlen(text), 0, NULL, &again) == ADELE_OK);
    FUZZ_REQUIRE(config_to_yaml(again, &text_again) == ADELE_OK);
    FUZZ_REQUIRE(strcmp(text, text_again) == 0);
    struct dataset_config view;
    config_dataset(config, &view);
    memory_free(text);
    memory_free(text_again);
    config_destroy(config);
    config_destroy(again);
    return 0;
}
