// SPDX-License-Identifier: MIT
#include "support/config_texts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct config *parse_ok(const char *text, int n_sets, const char *const *sets) {
    struct config *config = NULL;
    if (config_parse("run.yaml", text, strlen(text), n_sets, sets, &config) != ADELE_OK)
        fail_msg("%s (%s)", adele_error_message(), adele_error_hint());
    return config;
}

static void assert_message(adele_status status, const char *text, const char *set,
                           const char *message) {
    if (status != ADELE_CONFIG || strstr(adele_error_message(), message) == NULL)
        fail_msg("%s with --set %s: %s, \"%s\" lacks \"%s\"", text, set != NULL ? set : "nothing",
                 adele_status_text(status), adele_error_message(), message);
}

void assert_refused(const char *text, const char *set, const char *message) {
    struct config *config = NULL;
    adele_status status = config_parse("run.yaml", text, strlen(text), set != NULL, &set, &config);
    assert_message(status, text, set, message);
    assert_null(config);
}

void assert_refused_when_new(const char *text, const char *set, const char *message) {
    struct config *config = parse_ok(text, set != NULL, &set);
    assert_message(config_check_new(config), text, set, message);
    config_destroy(config);
}
