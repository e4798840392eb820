// SPDX-License-Identifier: MIT
#include "report/flows.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAIRS ((size_t)256 * 256)

void corrections_deinit(struct corrections *corrections) {
    for (int i = 0; i < corrections->n; i++)
        memory_free(corrections->items[i].flows);
    memory_free(corrections->items);
    memory_free(corrections->total.flows);
    for (int i = 0; i < corrections->n_classes; i++)
        memory_free(corrections->classes[i]);
    memory_free(corrections->classes);
    *corrections = (struct corrections){0};
}

const char *corrections_class(const struct corrections *corrections, int category, char out[32]) {
    if (category >= 0 && category < corrections->n_classes)
        return corrections->classes[category];
    (void)snprintf(out, 32, category == 255 ? "ignored (255)" : "class %d", category);
    return out;
}

static int compare_flows(const void *left, const void *right) {
    const struct flow *a = left, *b = right;
    if (a->n_pixels != b->n_pixels)
        return a->n_pixels > b->n_pixels ? -1 : 1;
    return a->from != b->from ? a->from - b->from : a->to - b->to;
}

// ---- a file -------------------------------------------------------------------------------------

static adele_status malformed(const char *path, const char *what) {
    return FAIL(ADELE_FORMAT, "Remove the file: the report goes without it.", "%s: %s", path, what);
}

static adele_status read_flow(const char *path, const cJSON *node, struct correction *correction) {
    double from, to, n_pixels;
    if (!json_whole(node, "from", 255, &from) || !json_whole(node, "to", 255, &to) ||
        !json_whole(node, "pixels", 9007199254740992.0, &n_pixels))
        return malformed(path, "an element of \"flow\" is not {from, to, pixels} with classes from "
                               "0 to 255");
    TRY(GROW(&correction->flows, correction->n));
    correction->flows[correction->n++] =
        (struct flow){.from = (int)from, .to = (int)to, .n_pixels = n_pixels};
    correction->n_changed += n_pixels;
    return ADELE_OK;
}

static adele_status read_classes(const char *path, const cJSON *json, struct corrections *out) {
    const cJSON *classes = cJSON_GetObjectItemCaseSensitive(json, "classes");
    if (out->n_classes > 0)
        return ADELE_OK;
    for (const cJSON *node = classes != NULL ? classes->child : NULL; node != NULL;
         node = node->next) {
        if (!cJSON_IsString(node) || out->n_classes == 255)
            return malformed(path, "\"classes\" is not at most 255 names");
        TRY(GROW(&out->classes, out->n_classes));
        char *name = memory_strdup(node->valuestring);
        TRY(CHECK_MEMORY(name));
        out->classes[out->n_classes++] = name;
    }
    return ADELE_OK;
}

static adele_status read_correction(const char *path, const cJSON *json, struct corrections *out) {
    const cJSON *flow = cJSON_GetObjectItemCaseSensitive(json, "flow");
    double epoch = 0.0;
    if (!json_whole(json, "epoch", 1e9, &epoch) || !cJSON_IsArray(flow))
        return malformed(path, "no \"epoch\", or no array \"flow\"");
    TRY(GROW(&out->items, out->n));
    struct correction *correction = &out->items[out->n++];
    *correction = (struct correction){.epoch = (int)epoch};
    for (const cJSON *node = flow->child; node != NULL; node = node->next)
        TRY(read_flow(path, node, correction));
    if (correction->n > 0)
        qsort(correction->flows, (size_t)correction->n, sizeof *correction->flows, compare_flows);
    return read_classes(path, json, out);
}

static adele_status load_file(const char *path, struct corrections *out) {
    OWNED_BY(cJSON_Delete) cJSON *json = NULL;
    TRY(json_read(path, &json));
    return read_correction(path, json, out);
}

// ---- all of them --------------------------------------------------------------------------------

static adele_status add_up(struct corrections *corrections) {
    struct correction *total = &corrections->total;
    OWNED double *sums = NULL;
    TRY(ALLOCATE(&sums, PAIRS));
    for (int i = 0; i < corrections->n; i++)
        for (int k = 0; k < corrections->items[i].n; k++) {
            const struct flow *flow = &corrections->items[i].flows[k];
            sums[flow->from * 256 + flow->to] += flow->n_pixels;
            total->n_changed += flow->n_pixels;
        }
    for (int pair = 0; pair < (int)PAIRS; pair++) {
        if (sums[pair] == 0.0)
            continue;
        TRY(GROW(&total->flows, total->n));
        total->flows[total->n++] =
            (struct flow){.from = pair / 256, .to = pair % 256, .n_pixels = sums[pair]};
    }
    if (total->n > 0)
        qsort(total->flows, (size_t)total->n, sizeof *total->flows, compare_flows);
    return ADELE_OK;
}

static int compare_epochs(const void *left, const void *right) {
    const struct correction *a = left, *b = right;
    return (a->epoch > b->epoch) - (a->epoch < b->epoch);
}

static adele_status load_folder(const char *folder, struct corrections *out) {
    CLEANUP(file_list_deinit) struct file_list list = {0};
    TRY(file_list_directory(folder, &list));
    for (int i = 0; i < list.n; i++) {
        if (strncmp(list.names[i], "epoch_", 6) != 0 || !file_has_suffix(list.names[i], ".json"))
            continue;
        OWNED char *path = file_join(folder, list.names[i]);
        TRY(CHECK_MEMORY(path));
        TRY(load_file(path, out));
    }
    if (out->n > 0)
        qsort(out->items, (size_t)out->n, sizeof *out->items, compare_epochs);
    return ADELE_OK;
}

adele_status corrections_load(const struct report_run *run, struct corrections *out) {
    *out = (struct corrections){0};
    OWNED char *folder = file_join(run->path, "labels");
    TRY(CHECK_MEMORY(folder));
    if (!file_is_directory(folder))
        return ADELE_OK;
    TRY(load_folder(folder, out));
    return add_up(out);
}
