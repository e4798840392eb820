// SPDX-License-Identifier: MIT
#include "data/nnunet_json.h"

#include "base/fail.h"
#include "base/memory.h"
#include "data/label_lookup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static adele_status bad_label(const char *path, const char *name) {
    return FAIL(ADELE_DATA,
                "Give each label one whole number, from 0 (background) on; regions of several "
                "labels can be merged with data.label_map.",
                "%s: labels: \"%s\" has no value from 0 to %d", path, name, LABEL_MAX_VALUE);
}

// Values beyond the table of names can only be handled by a label_map, which names them too.
static adele_status check_large_label(const struct dataset *dataset, const char *path,
                                      const char *name, int value) {
    if (dataset->map.n > 0)
        return ADELE_OK;
    return FAIL(ADELE_DATA, "Number the labels 0, 1, 2, ... or set data.label_map.",
                "%s: labels: \"%s\" has the value %d, the largest without a label_map is %d", path,
                name, value, LABEL_MAX_VALUE);
}

// The number that a string contains; -1 for other strings.
static double number_of(const char *text) {
    char *end = NULL;
    double number = strtod(text, &end);
    return end == text || *end != '\0' ? -1.0 : number;
}

// A label as (name, value), in any of the forms {"heart": 1}, {"heart": "1"},
// {"1": "heart"}.
static adele_status read_label(const char *path, const cJSON *item, const char **name, int *value) {
    double number = -1.0;
    *name = item->string;
    if (cJSON_IsNumber(item)) {
        number = item->valuedouble;
    } else if (cJSON_IsString(item)) {
        number = number_of(item->string);
        if (number >= 0.0)
            *name = item->valuestring;
        else
            number = number_of(item->valuestring);
    }
    if (!(number >= 0.0 && number < LABEL_LARGEST) || number != (double)(int)number)
        return bad_label(path, *name);
    *value = (int)number;
    return ADELE_OK;
}

// nnU-Net's regions overlap ("whole": [1, 2], "core": [2]), categories cannot. A label_map decides
// what each value becomes.
static adele_status check_region(const struct dataset *dataset, const char *path,
                                 const cJSON *item) {
    if (dataset->map.n > 0)
        return ADELE_OK;
    return FAIL(ADELE_DATA,
                "Say which class each value becomes, for example data.label_map: "
                "[{from: 0, to: 0, name: background}, {from: [1, 2], to: 1, name: whole}].",
                "%s: labels: \"%s\" is a region, a list of %d values; regions overlap, and a pixel "
                "has one class here",
                path, item->string, cJSON_GetArraySize(item));
}

static adele_status place_label(struct dataset *dataset, const char *path, const char *name,
                                int value, const char **names, int *n) {
    if (strcmp(name, "ignore") == 0) {
        dataset->ignore_value = value;
        dataset->has_ignore_label = true;
        return ADELE_OK;
    }
    if (names[value] != NULL)
        return FAIL(ADELE_DATA, "Give each label its own value.",
                    "%s: labels: \"%s\" and \"%s\" both have the value %d", path, names[value],
                    name, value);
    if (value != 0 && strcasecmp(name, "background") == 0 && dataset->map.n == 0)
        return FAIL(ADELE_DATA,
                    "Exchange the values by data.label_map: [{from: VALUE, to: 0, name: "
                    "background}, ...], or correct dataset.json.",
                    "%s: labels: \"%s\" has the value %d; the background is 0, which scores and "
                    "correction leave out",
                    path, name, value);
    names[value] = name;
    if (value >= *n)
        *n = value + 1;
    return ADELE_OK;
}

static adele_status highest_label(const struct dataset *dataset, const char *path,
                                  const cJSON *labels, int *out) {
    const cJSON *item;
    *out = 0;
    cJSON_ArrayForEach(item, labels) {
        const char *name = NULL;
        int value = 0;
        if (cJSON_IsArray(item)) {
            TRY(check_region(dataset, path, item));
            continue;
        }
        TRY(read_label(path, item, &name, &value));
        if (value > LABEL_MAX_VALUE)
            TRY(check_large_label(dataset, path, name, value));
        else
            *out = value > *out ? value : *out;
    }
    return ADELE_OK;
}

static adele_status read_labels(struct dataset *dataset, const char *path, const cJSON *labels) {
    int highest = 0, n = 0;
    TRY(highest_label(dataset, path, labels, &highest));
    OWNED const char **names = NULL;
    TRY(ALLOCATE(&names, (size_t)highest + 1));
    const cJSON *item;
    cJSON_ArrayForEach(item, labels) {
        const char *name = NULL;
        int value = 0;
        if (cJSON_IsArray(item))
            continue;
        TRY(read_label(path, item, &name, &value));
        if (value <= LABEL_MAX_VALUE)
            TRY(place_label(dataset, path, name, value, names, &n));
    }
    for (int value = 0; value < n; value++) {
        // Atlases have gaps between their values; a label_map closes them.
        if (names[value] == NULL && dataset->map.n > 0)
            names[value] = "unnamed";
        if (names[value] == NULL)
            return FAIL(ADELE_DATA, "Number the labels 0, 1, 2, ... or set data.label_map.",
                        "%s: labels: no label has the value %d", path, value);
    }
    return label_names_set(dataset, n, names);
}

static adele_status read_ending(struct dataset *dataset, const char *path, const cJSON *json) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, "file_ending");
    const char *ending = cJSON_IsString(item) ? item->valuestring : ".nii.gz";
    static const char *const pictures[] = {".png", ".tif", ".tiff", ".bmp"};
    bool is_picture = false;
    dataset->is_volume = strcmp(ending, ".nii.gz") == 0 || strcmp(ending, ".nii") == 0;
    for (size_t i = 0; i < sizeof pictures / sizeof pictures[0]; i++)
        is_picture = is_picture || strcasecmp(ending, pictures[i]) == 0;
    if (!dataset->is_volume && !is_picture)
        return FAIL(ADELE_UNSUPPORTED, "Convert the files to PNG or NIfTI.",
                    "%s: file_ending \"%.32s\" is none of .png, .tif, .tiff, .bmp, .nii, .nii.gz",
                    path, ending);
    (void)snprintf(dataset->input_ending, sizeof dataset->input_ending, "%s", ending);
    (void)snprintf(dataset->file_ending, sizeof dataset->file_ending, "%s",
                   is_picture ? ".png" : ending);
    return ADELE_OK;
}

// nnU-Net supports explicit lists of files. They are not supported here, and ignoring them silently
// would be wrong.
static adele_status check_file_lists(const char *path, const cJSON *json) {
    const cJSON *lists = cJSON_GetObjectItemCaseSensitive(json, "dataset");
    if (cJSON_GetArraySize(lists) == 0)
        return ADELE_OK;
    return FAIL(ADELE_UNSUPPORTED,
                "Put the files, or links to them with data.follow_links: true, into imagesTr and "
                "labelsTr under nnU-Net's names, and take \"dataset\" out of the file.",
                "%s: \"dataset\" lists the files of %d cases (the first is \"%.64s\"); such lists "
                "are not read",
                path, cJSON_GetArraySize(lists),
                lists->child->string != NULL ? lists->child->string : "0");
}

adele_status nnunet_json_describe(struct dataset *dataset, const char *path, const cJSON *json) {
    const cJSON *channels = cJSON_GetObjectItemCaseSensitive(json, "channel_names");
    if (channels == NULL)
        channels = cJSON_GetObjectItemCaseSensitive(json, "modality");
    const cJSON *labels = cJSON_GetObjectItemCaseSensitive(json, "labels");
    int n_channels = cJSON_GetArraySize(channels);
    if ((!cJSON_IsObject(channels) && !cJSON_IsArray(channels)) || n_channels < 1 ||
        n_channels > DATASET_MAX_FILES)
        return FAIL(ADELE_DATA, "Write \"channel_names\": {\"0\": \"CT\"}, one entry a channel.",
                    "%s: channel_names has %d entries; between 1 and %d are needed", path,
                    n_channels, DATASET_MAX_FILES);
    if (!cJSON_IsObject(labels))
        return FAIL(ADELE_DATA, "Write \"labels\": {\"background\": 0, \"heart\": 1}.",
                    "%s: no object \"labels\"", path);
    dataset->n_channels = n_channels;
    TRY(check_file_lists(path, json));
    TRY(read_ending(dataset, path, json));
    return read_labels(dataset, path, labels);
}
