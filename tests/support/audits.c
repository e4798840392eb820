// SPDX-License-Identifier: MIT
#include "support/audits.h"

#include "base/file.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

struct adele_model *audit_open(void *const *state, const char *name) {
    struct adele_model *model = NULL;
    assert_int_equal(adele_model_open(scratch_path(state, name), NULL, "cpu", &model), ADELE_OK);
    return model;
}

struct adele_audit_options audit_into(void *const *state, const char *folder) {
    struct adele_audit_options options;
    adele_audit_options_init(&options);
    options.output = scratch_path(state, folder);
    return options;
}

struct adele_audit_summary audit_run(struct adele_model *model,
                                     const struct adele_audit_options *options) {
    struct adele_audit_summary summary;
    if (adele_model_audit(model, options, &summary) != ADELE_OK)
        fail_msg("%s", adele_error_message());
    return summary;
}

char *audit_text(void *const *state, const char *folder, const char *name) {
    char path[4096], *text = NULL;
    size_t n;
    (void)snprintf(path, sizeof path, "%s/%s", scratch_path(state, folder), name);
    if (file_read(path, 0, &text, &n) != ADELE_OK)
        fail_msg("%s", adele_error_message());
    return text;
}
