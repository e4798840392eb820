// SPDX-License-Identifier: MIT
#include "cli/print_fingerprint.h"

#include "cli/print_json.h"

#include <stdio.h>
#include <string.h>

// So many classes and values are listed; the JSON has all.
#define MAX_CLASSES 30
#define MAX_VALUES  12

// In the order of data.size; the arrays begin with the width.
static const int axis_order[3] = {1, 0, 2};

static void print_size(const double size[3], bool is_volume) {
    printf("%g x %g", size[axis_order[0]], size[axis_order[1]]);
    if (is_volume)
        printf(" x %g", size[2]);
}

static void print_images(const struct adele_fingerprint *self) {
    double low[3], high[3], common[3];
    for (int axis = 0; axis < 3; axis++) {
        low[axis] = self->extents[axis].low;
        high[axis] = self->extents[axis].high;
        common[axis] = self->common_size[axis];
    }
    int n = self->n_cases[0] + self->n_cases[1] + self->n_cases[2];
    bool is_volume = self->is_volume != 0;
    printf("  images   %d channel%s", self->n_channels, self->n_channels == 1 ? "" : "s");
    if (!is_volume)
        printf(", %d bits", self->n_bits);
    if (self->n_sizes > 0) {
        printf("; ");
        print_size(common, is_volume);
        printf(is_volume ? " (height x width x slices)" : " (height x width)");
    }
    if (self->n_sizes > 1) {
        printf(" in %d of %d; %d sizes within ", self->n_common, n, self->n_sizes);
        print_size(low, is_volume);
        printf(" and ");
        print_size(high, is_volume);
    }
    printf("\n");
}

static void print_spacing(const struct adele_fingerprint *self) {
    printf("  voxels   ");
    for (int i = 0; i < 3; i++) {
        const struct adele_range *range = &self->spacing[axis_order[i]];
        if (i > 0)
            printf(" x ");
        if (range->low == range->high)
            printf("%.4g", range->median);
        else
            printf("%.4g (%.4g to %.4g)", range->median, range->low, range->high);
    }
    printf(" mm\n");
}

static void print_intensities(const struct adele_fingerprint *self) {
    for (int channel = 0; self->intensity != NULL && channel < self->n_channels; channel++) {
        const double *values = self->intensity[channel];
        printf("  channel %d  percentiles 1, 25, 50, 75, 99: %.4g, %.4g, %.4g, %.4g, %.4g\n",
               channel, values[0], values[1], values[2], values[3], values[4]);
    }
}

static void print_values(const struct adele_fingerprint *self) {
    printf("  masks    %d; values ", self->n_masks);
    for (int i = 0; i < self->n_values && i < MAX_VALUES; i++)
        printf("%s%d", i > 0 ? ", " : "", self->values[i].value);
    if (self->n_values > MAX_VALUES)
        printf(" ... %d (%d values)", self->values[self->n_values - 1].value, self->n_values);
    if (self->ignored_share > 0.0)
        printf("; %.3g %% of the pixels are ignored", 100.0 * self->ignored_share);
    printf("\n");
}

void print_fingerprint(const char *root, const struct adele_fingerprint *self) {
    printf("%s: layout %s, %d train, %d val, %d test cases\n", root, self->layout, self->n_cases[0],
           self->n_cases[1], self->n_cases[2]);
    print_images(self);
    if (self->is_volume)
        print_spacing(self);
    print_intensities(self);
    if (self->n_masks > 0)
        print_values(self);
    for (int c = 0; c < self->n_classes && c < MAX_CLASSES && self->n_masks > 0; c++)
        printf("  class %d  %s: %.3g %% of the pixels, in %d of %d masks\n", c,
               self->classes[c].name, 100.0 * self->classes[c].share, self->classes[c].n_cases,
               self->n_masks);
    if (self->n_classes > MAX_CLASSES)
        printf("  and %d more classes\n", self->n_classes - MAX_CLASSES);
    for (int i = 0; i < self->n_odd; i++)
        printf("  odd: %s\n", self->odd[i]);
}

// ---- JSON ---------------------------------------------------------------------------------------

static bool add_number(cJSON *object, const char *name, double value) {
    return cJSON_AddNumberToObject(object, name, value) != NULL;
}

static bool add_numbers(cJSON *object, const char *name, const double *values, int n) {
    cJSON *array = cJSON_CreateDoubleArray(values, n);
    if (array != NULL && cJSON_AddItemToObject(object, name, array))
        return true;
    cJSON_Delete(array);
    return false;
}

static bool add_ranges(cJSON *object, const char *name, const struct adele_range range[3]) {
    cJSON *ranges = cJSON_AddObjectToObject(object, name);
    double low[3], median[3], high[3];
    for (int axis = 0; axis < 3; axis++) {
        low[axis] = range[axis].low;
        median[axis] = range[axis].median;
        high[axis] = range[axis].high;
    }
    return ranges != NULL && add_numbers(ranges, "low", low, 3) &&
           add_numbers(ranges, "median", median, 3) && add_numbers(ranges, "high", high, 3);
}

static bool add_intensities(cJSON *object, const struct adele_fingerprint *self) {
    cJSON *channels = cJSON_AddArrayToObject(object, "intensity_percentiles");
    bool is_fine = channels != NULL;
    for (int i = 0; is_fine && self->intensity != NULL && i < self->n_channels; i++)
        is_fine = print_json_append(
            channels, cJSON_CreateDoubleArray(self->intensity[i], ADELE_N_PERCENTILES));
    return is_fine;
}

static bool add_masks(cJSON *object, const struct adele_fingerprint *self) {
    cJSON *classes = cJSON_AddArrayToObject(object, "classes");
    bool is_fine = classes != NULL;
    for (int c = 0; is_fine && c < self->n_classes; c++) {
        cJSON *item = print_json_object(classes);
        is_fine = cJSON_AddStringToObject(item, "name", self->classes[c].name) != NULL &&
                  add_number(item, "share", self->classes[c].share) &&
                  add_number(item, "cases", self->classes[c].n_cases);
    }
    cJSON *values = is_fine ? cJSON_AddArrayToObject(object, "values") : NULL;
    is_fine = values != NULL;
    for (int i = 0; is_fine && i < self->n_values; i++) {
        cJSON *item = print_json_object(values);
        is_fine = add_number(item, "value", self->values[i].value) &&
                  add_number(item, "share", self->values[i].share) &&
                  add_number(item, "cases", self->values[i].n_cases);
    }
    return is_fine;
}

bool print_fingerprint_add_json(cJSON *json, const struct adele_fingerprint *self) {
    static const char *const splits[] = {"train", "val", "test"};
    cJSON *object = cJSON_AddObjectToObject(json, "fingerprint");
    if (object == NULL || cJSON_AddStringToObject(object, "layout", self->layout) == NULL)
        return false;
    cJSON *cases = cJSON_AddObjectToObject(object, "cases");
    bool is_fine = cases != NULL;
    for (int split = 0; is_fine && split < 3; split++)
        is_fine = add_number(cases, splits[split], self->n_cases[split]);
    is_fine = is_fine && add_number(object, "masks", self->n_masks) &&
              add_number(object, "channels", self->n_channels) &&
              add_number(object, "sizes", self->n_sizes) &&
              add_ranges(object, "extents", self->extents) &&
              add_ranges(object, "spacing", self->spacing) && add_intensities(object, self) &&
              add_masks(object, self) && add_number(object, "ignored_share", self->ignored_share);
    cJSON *odd = is_fine ? cJSON_AddArrayToObject(object, "odd") : NULL;
    is_fine = odd != NULL;
    for (int i = 0; is_fine && i < self->n_odd; i++)
        is_fine = print_json_append(odd, cJSON_CreateString(self->odd[i]));
    return is_fine;
}
