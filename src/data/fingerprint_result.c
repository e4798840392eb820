// SPDX-License-Identifier: MIT
// From what was added to a fingerprint to the public result.
#include "base/fail.h"
#include "base/memory.h"
#include "data/fingerprint_parts.h"
#include "data/label_lookup.h"

#include <stdlib.h>
#include <string.h>

// The public result comes first, so that its address is that of the whole.
struct result {
    struct adele_fingerprint fingerprint;
    double (*intensity)[ADELE_N_PERCENTILES];
    struct adele_class_share *classes;
    struct adele_value_share *values;
    char **names; // (n_classes) of the classes
};

static int compare_doubles(const void *left, const void *right) {
    const double *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

static int compare_floats(const void *left, const void *right) {
    const float *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

static int compare_sizes(const void *left, const void *right) {
    const struct case_size *a = left, *b = right;
    for (int axis = 0; axis < 3; axis++)
        if (a->extents[axis] != b->extents[axis])
            return a->extents[axis] < b->extents[axis] ? -1 : 1;
    return 0;
}

// The median of an even number of values is the lower one of the two in the middle.
static struct adele_range range_of(double *values, int n) {
    if (n == 0)
        return (struct adele_range){0};
    qsort(values, (size_t)n, sizeof *values, compare_doubles);
    return (struct adele_range){values[0], values[(n - 1) / 2], values[n - 1]};
}

static adele_status summarize_sizes(struct fingerprint_builder *self,
                                    struct adele_fingerprint *out) {
    double *values = NULL;
    TRY(ALLOCATE(&values, (size_t)self->n_sizes + 1));
    for (int axis = 0; axis < 3; axis++) {
        for (int i = 0; i < self->n_sizes; i++)
            values[i] = self->sizes[i].extents[axis];
        out->extents[axis] = range_of(values, self->n_sizes);
        for (int i = 0; i < self->n_sizes; i++)
            values[i] = self->sizes[i].spacing[axis];
        out->spacing[axis] = range_of(values, self->n_sizes);
    }
    memory_free(values);
    if (self->n_sizes > 0)
        qsort(self->sizes, (size_t)self->n_sizes, sizeof *self->sizes, compare_sizes);
    for (int first = 0, next; first < self->n_sizes; first = next) {
        for (next = first + 1; next < self->n_sizes; next++)
            if (compare_sizes(&self->sizes[first], &self->sizes[next]) != 0)
                break;
        out->n_sizes++;
        if (next - first > out->n_common) {
            out->n_common = next - first;
            memcpy(out->common_size, self->sizes[first].extents, sizeof out->common_size);
        }
    }
    return ADELE_OK;
}

// Between the two nearest values, as numpy.percentile does.
static double percentile(const float *sorted, int n, double percent) {
    double place = percent / 100.0 * (n - 1);
    int low = (int)place;
    double rest = place - low;
    return low + 1 < n ? sorted[low] * (1.0 - rest) + sorted[low + 1] * rest : sorted[low];
}

static adele_status summarize_intensities(struct fingerprint_builder *self, struct result *out) {
    static const double percents[ADELE_N_PERCENTILES] = {1.0, 25.0, 50.0, 75.0, 99.0};
    // Planes of 16 bits are on the scale of those of 8 bits.
    double scale = out->fingerprint.n_bits == 16 ? 257.0 : 1.0;
    if (self->n_channels == 0 || self->n_sample[0] == 0)
        return ADELE_OK;
    TRY(ALLOCATE(&out->intensity, self->n_channels));
    out->fingerprint.intensity = (const double(*)[ADELE_N_PERCENTILES])out->intensity;
    for (int channel = 0; channel < self->n_channels; channel++) {
        float *sample = self->sample[channel];
        int n = self->n_sample[channel];
        if (n == 0)
            continue;
        qsort(sample, (size_t)n, sizeof *sample, compare_floats);
        for (int k = 0; k < ADELE_N_PERCENTILES; k++)
            out->intensity[channel][k] = scale * percentile(sample, n, percents[k]);
    }
    return ADELE_OK;
}

static double share_of(int64_t part, int64_t whole) {
    return whole > 0 ? (double)part / (double)whole : 0.0;
}

static adele_status summarize_classes(const struct fingerprint_builder *self, struct result *out) {
    const struct dataset *dataset = self->dataset;
    const struct mask_value *ignored = mask_values_find(&self->classes, LABEL_IGNORE);
    int64_t n_ignored = ignored != NULL ? ignored->n_pixels : 0;
    int n = dataset->n_categories;
    TRY(ALLOCATE(&out->classes, (size_t)n + 1));
    TRY(ALLOCATE(&out->names, (size_t)n + 1));
    out->fingerprint.classes = out->classes;
    for (int c = 0; c < n; c++) {
        const struct mask_value *found = mask_values_find(&self->classes, c);
        out->names[c] = memory_strdup(dataset->category_names[c]);
        TRY(CHECK_MEMORY(out->names[c]));
        out->classes[c].name = out->names[c];
        out->fingerprint.n_classes++;
        if (found == NULL)
            continue;
        out->classes[c].share = share_of(found->n_pixels, self->classes.n_pixels - n_ignored);
        out->classes[c].n_cases = found->n_cases;
    }
    out->fingerprint.ignored_share = share_of(n_ignored, self->classes.n_pixels);
    return ADELE_OK;
}

static adele_status summarize_values(const struct fingerprint_builder *self, struct result *out) {
    TRY(ALLOCATE(&out->values, (size_t)self->values.n + 1));
    out->fingerprint.values = out->values;
    for (int i = 0; i < self->values.n; i++) {
        const struct mask_value *found = &self->values.values[i];
        if (found->value == LABEL_NOT_A_VALUE)
            continue;
        out->values[out->fingerprint.n_values++] = (struct adele_value_share){
            found->value, share_of(found->n_pixels, self->values.n_pixels), found->n_cases};
    }
    return ADELE_OK;
}

static adele_status fill(struct fingerprint_builder *self, struct result *out) {
    struct adele_fingerprint *fingerprint = &out->fingerprint;
    fingerprint->layout = dataset_layout_name(self->dataset->layout);
    fingerprint->is_volume = self->dataset->is_volume;
    memcpy(fingerprint->n_cases, self->dataset->n_cases, sizeof fingerprint->n_cases);
    fingerprint->n_channels = self->dataset->n_channels;
    fingerprint->n_masks = self->values.n_masks;
    if (!self->dataset->is_volume)
        fingerprint->n_bits = self->notes.n_16 > 0 && self->notes.n_8 == 0 ? 16 : 8;
    TRY(summarize_sizes(self, fingerprint));
    TRY(summarize_intensities(self, out));
    TRY(summarize_classes(self, out));
    TRY(summarize_values(self, out));
    return fingerprint_find_odd(&self->notes, self->dataset, fingerprint);
}

adele_status fingerprint_builder_finish(struct fingerprint_builder *self,
                                        struct adele_fingerprint **out) {
    struct result *result = NULL;
    *out = NULL;
    TRY(ALLOCATE(&result, 1));
    adele_status status = fill(self, result);
    if (status == ADELE_OK)
        *out = &result->fingerprint;
    else
        fingerprint_destroy(&result->fingerprint);
    return status;
}

void fingerprint_destroy(struct adele_fingerprint *fingerprint) {
    struct result *result = (struct result *)fingerprint;
    if (result == NULL)
        return;
    for (int c = 0; result->names != NULL && c < fingerprint->n_classes; c++)
        memory_free(result->names[c]);
    for (int i = 0; i < fingerprint->n_odd; i++)
        memory_free((char *)fingerprint->odd[i]);
    memory_free((void *)fingerprint->odd);
    memory_free(result->names);
    memory_free(result->classes);
    memory_free(result->values);
    memory_free(result->intensity);
    memory_free(result);
}
