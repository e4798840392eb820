// SPDX-License-Identifier: MIT
#include "run_folder/metric_values.h"

#include "base/fail.h"
#include "base/json.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>

adele_status metric_values_read(const struct metrics *metrics, const char *name, size_t n,
                                double **out) {
    size_t n_bytes = 0;
    TRY(ALLOCATE(out, n));
    double *values = *out;
    for (size_t i = 0; i < n; i++)
        values[i] = NAN;
    const char *line = metrics_text(metrics, &n_bytes), *end = line + n_bytes;
    while (line < end) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        cJSON *record = next ? cJSON_ParseWithLength(line, (size_t)(next - line)) : NULL;
        const cJSON *epoch = cJSON_GetObjectItemCaseSensitive(record, "epoch");
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(record, name);
        if (cJSON_IsNumber(epoch) && cJSON_IsNumber(value) && epoch->valuedouble >= 0 &&
            epoch->valuedouble < (double)n)
            values[(size_t)epoch->valuedouble] = value->valuedouble;
        cJSON_Delete(record);
        line = next ? next + 1 : end;
    }
    return ADELE_OK;
}
