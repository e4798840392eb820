// SPDX-License-Identifier: MIT
#include "adele/data.h"

#include "base/fail.h"
#include "init/init.h"

#include <string.h>

adele_status adele_init(const struct adele_data *data, const struct adele_init_options *options,
                        struct adele_init_report **out) {
    *out = NULL;
    if (data->root == NULL)
        return FAIL(ADELE_INVALID_ARGUMENT, "Name its folder.", "no data set is given");
    if (options->output == NULL)
        return FAIL(ADELE_INVALID_ARGUMENT, "Name a YAML file.", "no output is given");
    if (options->method != NULL && strcmp(options->method, "adele") != 0 &&
        strcmp(options->method, "ensemble") != 0)
        return FAIL(ADELE_INVALID_ARGUMENT, "Write adele or ensemble.",
                    "the method of the correction is \"%s\"", options->method);
    return init_write(data, options, out);
}

void adele_init_report_destroy(struct adele_init_report *report) {
    init_report_destroy(report);
}
