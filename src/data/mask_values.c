// SPDX-License-Identifier: MIT
#include "data/mask_values.h"

#include "base/fail.h"
#include "base/memory.h"

#include <string.h>

void mask_values_deinit(struct mask_values *values) {
    memory_free(values->values);
    memset(values, 0, sizeof *values);
}

// The position of the value, or where it belongs.
static int position(const struct mask_values *values, int32_t value) {
    int low = 0, high = values->n;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (values->values[middle].value < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct mask_value *mask_values_find(const struct mask_values *values, int32_t value) {
    int i = position(values, value);
    return i < values->n && values->values[i].value == value ? &values->values[i] : NULL;
}

static adele_status insert(struct mask_values *values, int i, int32_t value) {
    TRY(GROW(&values->values, values->n));
    memmove(values->values + i + 1, values->values + i,
            (size_t)(values->n - i) * sizeof *values->values);
    values->values[i] = (struct mask_value){.value = value, .last_case = -1};
    values->n++;
    return ADELE_OK;
}

static adele_status add_run(struct mask_values *values, int32_t value, int64_t n_pixels) {
    int i = position(values, value);
    bool is_new = i == values->n || values->values[i].value != value;
    values->n_pixels += n_pixels;
    if (is_new && values->n == MASK_VALUES_MAX) {
        values->n_other_pixels += n_pixels;
        return ADELE_OK;
    }
    if (is_new)
        TRY(insert(values, i, value));
    struct mask_value *item = &values->values[i];
    item->n_pixels += n_pixels;
    item->n_cases += item->last_case != values->n_masks;
    item->last_case = values->n_masks;
    return ADELE_OK;
}

// Runs of equal values are long in masks, so looking up each run is fast.
adele_status mask_values_add(struct mask_values *values, const struct case_labels *labels) {
    size_t n = (size_t)labels->n_slices * (size_t)labels->height * (size_t)labels->width;
    for (size_t i = 0, start = 0; i < n; start = i) {
        while (i < n && labels->values[i] == labels->values[start])
            i++;
        TRY(add_run(values, labels->values[start], (int64_t)(i - start)));
    }
    values->n_masks++;
    return ADELE_OK;
}
