// SPDX-License-Identifier: MIT
#include "sweep/table_seconds.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

#include <math.h>

struct table_seconds {
    char *path;
    cJSON *runs; // an object: seconds by the run's name
};

void table_seconds_destroy(struct table_seconds *seconds) {
    if (seconds == NULL)
        return;
    memory_free(seconds->path);
    cJSON_Delete(seconds->runs);
    memory_free(seconds);
}
OWNER(table_seconds_destroy, struct table_seconds)

adele_status table_seconds_open(const char *folder, struct table_seconds **out) {
    OWNED_BY(table_seconds_destroy) struct table_seconds *self = NULL;
    TRY(ALLOCATE(&self, 1));
    self->path = file_join(folder, "seconds.json");
    TRY(CHECK_MEMORY(self->path));
    if (file_exists(self->path)) {
        TRY(json_read(self->path, &self->runs));
        if (!cJSON_IsObject(self->runs))
            return FAIL(ADELE_FORMAT, "Delete the file; the table then lacks these seconds.",
                        "%s is not the object that adele table writes", self->path);
    } else {
        self->runs = cJSON_CreateObject();
        TRY(CHECK_MEMORY(self->runs));
    }
    *out = self;
    self = NULL;
    return ADELE_OK;
}

double table_seconds_get(const struct table_seconds *seconds, const char *run) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(seconds->runs, run);
    return cJSON_IsNumber(item) ? item->valuedouble : NAN;
}

adele_status table_seconds_set(struct table_seconds *seconds, const char *run, double value) {
    cJSON_DeleteItemFromObjectCaseSensitive(seconds->runs, run);
    if (isfinite(value))
        TRY(CHECK_MEMORY(cJSON_AddNumberToObject(seconds->runs, run, value)));
    return json_write(seconds->path, seconds->runs);
}
