// SPDX-License-Identifier: MIT
#include "init/init_choices.h"

#include "base/buffer.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "data/label_lookup.h"

#include <string.h>

// Masks that were scaled or compressed have gray values at their edges: more than so many values,
// and nearly all pixels are 0 or 255.
#define EDGE_VALUES 16
#define EDGE_SHARE  0.9

void label_guess_deinit(struct label_guess *guess) {
    for (int c = 0; guess->names != NULL && c < guess->n_names; c++)
        memory_free(guess->names[c]);
    memory_free(guess->names);
    memory_free(guess->from);
    memory_free(guess->to);
    memset(guess, 0, sizeof *guess);
}

static adele_status add_pair(struct label_guess *out, int from, int to) {
    int n = out->n;
    TRY(GROW(&out->from, n));
    TRY(GROW(&out->to, n));
    out->from[n] = from;
    out->to[n] = (uint8_t)to;
    out->n++;
    return ADELE_OK;
}

// Takes `name`, which may be NULL when memory is out.
static adele_status add_name(struct label_guess *out, char *name) {
    TRY(CHECK_MEMORY(name));
    adele_status status = GROW(&out->names, out->n_names);
    if (status != ADELE_OK) {
        memory_free(name);
        return status;
    }
    out->names[out->n_names++] = name;
    return ADELE_OK;
}

// ---- the values ---------------------------------------------------------------------------------

// The whole numbers among the values, in order, without 255 where that is not a class.
struct numbers {
    int n;
    int values[MASK_VALUES_MAX];
};

static void collect(const struct mask_values *values, bool has_255, struct numbers *out) {
    out->n = 0;
    for (int i = 0; i < values->n; i++) {
        int32_t value = values->values[i].value;
        if (value != LABEL_NOT_A_VALUE && (has_255 || value != LABEL_IGNORE))
            out->values[out->n++] = value;
    }
}

static bool has(const struct mask_values *values, int32_t value) {
    return mask_values_find(values, value) != NULL;
}

static double share(const struct mask_values *values, int32_t value) {
    const struct mask_value *found = mask_values_find(values, value);
    return found != NULL && values->n_pixels > 0
               ? (double)found->n_pixels / (double)values->n_pixels
               : 0.0;
}

static adele_status fail_values(const struct dataset *dataset, const struct numbers *numbers,
                                const char *what, const char *hint) {
    CLEANUP(buffer_deinit) struct buffer text = {0};
    TRY(buffer_text(&text, ""));
    for (int i = 0; i < numbers->n && i < 8; i++)
        TRY(buffer_printf(&text, "%s%d", i > 0 ? ", " : "", numbers->values[i]));
    return FAIL(ADELE_DATA, hint, "%s: %s: %s%s", dataset->root, what, text.data,
                numbers->n > 8 ? ", ..." : "");
}

// ---- no names -----------------------------------------------------------------------------------

// Class i is the i-th value.
static adele_status rank(const struct numbers *numbers, char *const *names,
                         struct label_guess *out) {
    for (int i = 0; i < numbers->n; i++) {
        TRY(add_pair(out, numbers->values[i], i));
        if (names != NULL)
            TRY(add_name(out, memory_strdup(names[i])));
        else if (i == 0)
            TRY(add_name(out, memory_strdup("background")));
        else if (numbers->n == 2)
            TRY(add_name(out, memory_strdup("foreground")));
        else
            TRY(add_name(out, memory_printf("class_%d", i)));
    }
    return ADELE_OK;
}

static adele_status guess_edges(struct label_guess *out) {
    const struct numbers numbers = {.n = 2, .values = {0, LABEL_IGNORE}};
    TRY(rank(&numbers, NULL, out));
    out->other = LABEL_IGNORE;
    out->why = "gray values between 0 and 255, at edges, are ignored";
    return ADELE_OK;
}

// 255 beside 1 is "ignored", as everywhere; beside 0 alone, or among gray values, it is a class.
static bool is_255_a_class(const struct mask_values *values) {
    return !has(values, 1) || values->n <= 2;
}

static adele_status guess_unnamed(const struct dataset *dataset, const struct mask_values *values,
                                  struct label_guess *out) {
    OWNED struct numbers *numbers = NULL;
    TRY(ALLOCATE(&numbers, 1));
    bool has_255 = has(values, LABEL_IGNORE) && is_255_a_class(values);
    collect(values, has_255, numbers);
    if (numbers->n > EDGE_VALUES && share(values, 0) + share(values, LABEL_IGNORE) >= EDGE_SHARE) {
        TRY(guess_edges(out));
    } else if (numbers->n < 2) {
        return fail_values(dataset, numbers, "all pixels of all masks have one value",
                           "Masks need the background and at least one other class.");
    } else if (numbers->n > LABEL_MAX_CATEGORIES || values->n_other_pixels > 0) {
        return fail_values(dataset, numbers, "the masks hold too many values to be classes",
                           "A mask holds the number of a class at each pixel, at most 255 "
                           "classes: not a picture, and not the numbers of single objects.");
    } else {
        out->why = has_255                     ? "each value is a class; 255 is one too"
                   : has(values, LABEL_IGNORE) ? "each value is a class; 255 is ignored"
                   : numbers->values[0] != 0   ? "each value is a class; no mask holds 0"
                                               : "each value is a class";
        TRY(rank(numbers, NULL, out));
    }
    return ADELE_OK;
}

// ---- names of the layout ------------------------------------------------------------------------

static bool is_named(const struct dataset *dataset, int32_t value) {
    return value >= 0 && value < dataset->own_names.n &&
           strcmp(dataset->own_names.names[value], "unnamed") != 0;
}

// Each named value is a class; other values are ignored.
static adele_status guess_named(const struct dataset *dataset, const struct mask_values *values,
                                struct label_guess *out) {
    int n = 0;
    for (int value = 0; value < dataset->own_names.n; value++) {
        if (!is_named(dataset, value))
            continue;
        TRY(add_pair(out, value, n++));
        TRY(add_name(out, memory_strdup(dataset->own_names.names[value])));
    }
    for (int i = 0; i < values->n; i++) {
        int32_t value = values->values[i].value;
        if (value != LABEL_NOT_A_VALUE && value != dataset->ignore_value && value != LABEL_IGNORE &&
            !is_named(dataset, value)) {
            out->other = LABEL_IGNORE;
            out->why = "values without a name in the data set are ignored";
        }
    }
    if (out->why == NULL)
        out->why = "the values have gaps, classes cannot";
    return ADELE_OK;
}

static adele_status guess_with_names(const struct dataset *dataset,
                                     const struct mask_values *values, struct label_guess *out) {
    OWNED struct numbers *numbers = NULL;
    TRY(ALLOCATE(&numbers, 1));
    collect(values, !dataset->has_ignore_label, numbers);
    bool has_foreground = false, has_unknown = false, has_gap = false;
    for (int i = 0; i < numbers->n; i++) {
        int value = numbers->values[i];
        has_foreground = has_foreground || (value > 0 && is_named(dataset, value));
        has_unknown = has_unknown || (value != dataset->ignore_value && value != LABEL_IGNORE &&
                                      !is_named(dataset, value));
    }
    for (int value = 0; value < dataset->own_names.n; value++)
        has_gap = has_gap || !is_named(dataset, value);
    if (!has_foreground && !has_gap && numbers->n == dataset->own_names.n) {
        out->why = "the masks hold these values in the place of 0, 1, 2, ...";
        TRY(rank(numbers, dataset->own_names.names, out)); // 0 and 255 for two names
    } else if (!has_foreground) {
        TRY(guess_unnamed(dataset, values, out)); // the names are of other values
    } else if (has_unknown || has_gap) {
        TRY(guess_named(dataset, values, out));
    }
    return ADELE_OK;
}

// ---- nnU-Net's regions --------------------------------------------------------------------------

// Regions overlap ("whole": [1, 2, 3], "core": [2, 3]). As nnU-Net writes them, a pixel belongs to
// the last region that holds its value, and so its class is that one.
static const cJSON *last_region(const cJSON *labels, int value) {
    const cJSON *item, *part, *found = NULL;
    cJSON_ArrayForEach(item, labels) {
        if (!cJSON_IsArray(item) && cJSON_IsNumber(item) && item->valueint == value)
            found = item;
        cJSON_ArrayForEach(part, item) {
            if (cJSON_IsNumber(part) && part->valueint == value)
                found = item;
        }
    }
    return found;
}

static bool has_regions(const cJSON *labels) {
    const cJSON *item;
    cJSON_ArrayForEach(item, labels) {
        if (cJSON_IsArray(item))
            return true;
    }
    return false;
}

// The class of each region that has a value of its own, in the order of the file.
static adele_status guess_regions(const cJSON *labels, struct label_guess *out) {
    const cJSON *background = last_region(labels, 0), *item;
    out->why = "a pixel is of the last of the regions that hold its value";
    if (background != NULL) {
        TRY(add_pair(out, 0, 0));
        TRY(add_name(out, memory_strdup(background->string)));
    }
    cJSON_ArrayForEach(item, labels) {
        int before = out->n;
        for (int value = 1; value < LABEL_IGNORE && strcmp(item->string, "ignore") != 0; value++)
            if (last_region(labels, value) == item && item != background)
                TRY(add_pair(out, value, out->n_names));
        if (out->n > before)
            TRY(add_name(out, memory_strdup(item->string)));
    }
    return ADELE_OK;
}

static adele_status read_regions(const struct dataset *dataset, struct label_guess *out) {
    OWNED_BY(cJSON_Delete) cJSON *json = NULL;
    OWNED char *path = file_join(dataset->root, "dataset.json");
    TRY(CHECK_MEMORY(path));
    TRY(json_read(path, &json));
    const cJSON *labels = cJSON_GetObjectItemCaseSensitive(json, "labels");
    return has_regions(labels) ? guess_regions(labels, out) : ADELE_OK;
}

adele_status label_guess(const struct dataset *dataset, const struct mask_values *values,
                         struct label_guess *out) {
    *out = (struct label_guess){.other = -1};
    adele_status status =
        dataset->layout == LAYOUT_NNUNET ? read_regions(dataset, out) : (adele_status)ADELE_OK;
    if (status == ADELE_OK && out->n == 0)
        status = dataset->own_names.n > 0 ? guess_with_names(dataset, values, out)
                                          : guess_unnamed(dataset, values, out);
    if (status != ADELE_OK)
        label_guess_deinit(out);
    return status;
}
