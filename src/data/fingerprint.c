// SPDX-License-Identifier: MIT
#include "data/fingerprint_parts.h"

#include "base/fail.h"
#include "base/memory.h"
#include "base/random.h"
#include "data/label_lookup.h"
#include "data/orientation.h"

#include <math.h>

// Sampled pixels of a channel, in all cases together; at least one of each case.
#define SAMPLE_PIXELS ((size_t)1 << 20)

adele_status fingerprint_builder_create(const struct dataset *dataset,
                                        struct fingerprint_builder **out) {
    struct fingerprint_builder *self = NULL;
    size_t n_cases = 0;
    *out = NULL;
    TRY(ALLOCATE(&self, 1));
    for (int split = 0; split < SPLIT_COUNT; split++)
        n_cases += (size_t)dataset->n_cases[split];
    self->dataset = dataset;
    self->n_per_case = SAMPLE_PIXELS / (n_cases > 0 ? n_cases : 1);
    if (self->n_per_case == 0)
        self->n_per_case = 1;
    *out = self;
    return ADELE_OK;
}

void fingerprint_builder_destroy(struct fingerprint_builder *self) {
    if (self == NULL)
        return;
    for (int channel = 0; channel < DATASET_MAX_FILES; channel++)
        memory_free(self->sample[channel]);
    memory_free(self->sizes);
    mask_values_deinit(&self->values);
    mask_values_deinit(&self->classes);
    memory_free(self);
}

// ---- adding -------------------------------------------------------------------------------------

static void count(struct fingerprint_counts *counts, const char *what) {
    if (counts->n++ == 0)
        counts->first = what;
}

void fingerprint_builder_begin_case(struct fingerprint_builder *self, enum dataset_split split,
                                    int i_case) {
    self->split = split;
    self->i_case = i_case;
    self->item = &self->dataset->cases[split][i_case];
    self->is_unreadable = false;
    self->has_size = false;
    if (self->item->image_path[0] == NULL)
        count(&self->notes.no_image, self->item->name);
    else if (split != SPLIT_TEST && dataset_label_source(self->item, split) == NULL)
        count(&self->notes.no_mask, self->item->image_path[0]);
}

void fingerprint_builder_add_unreadable(struct fingerprint_builder *self, const char *path) {
    if (!self->is_unreadable)
        count(&self->notes.unreadable, path);
    self->is_unreadable = true;
}

static adele_status add_size(struct fingerprint_builder *self, int width, int height,
                             int n_slices) {
    TRY(GROW(&self->sizes, self->n_sizes));
    struct case_size *size = &self->sizes[self->n_sizes++];
    self->has_size = true;
    *size = (struct case_size){.extents = {width, height, n_slices}};
    for (int axis = 0; self->dataset->is_volume && axis < 3; axis++)
        size->spacing[axis] = self->item->geometry.spacing[axis];
    return ADELE_OK;
}

static adele_status add_pixel(struct fingerprint_builder *self, int channel, float value) {
    if (!isfinite(value))
        return ADELE_OK;
    TRY(GROW(&self->sample[channel], self->n_sample[channel]));
    self->sample[channel][self->n_sample[channel]++] = value;
    return ADELE_OK;
}

// All pixels of a small image; of others, pixels at places that depend on the case alone. *varies
// becomes true where they are not all the same.
static adele_status sample_channel(struct fingerprint_builder *self, int channel,
                                   const float *pixels, size_t n, bool *varies) {
    struct random_stream stream;
    bool is_constant = n > 1;
    random_stream_init(&stream, 0, RANDOM_FINGERPRINT, (uint32_t)self->split,
                       (uint32_t)self->i_case);
    for (size_t i = 1; i < n && is_constant; i++)
        is_constant = pixels[i] == pixels[0];
    *varies = *varies || !is_constant;
    if (n <= self->n_per_case) {
        for (size_t i = 0; i < n; i++)
            TRY(add_pixel(self, channel, pixels[i]));
        return ADELE_OK;
    }
    for (size_t i = 0; i < self->n_per_case; i++) {
        size_t at = (size_t)(random_uniform(&stream) * (double)n);
        TRY(add_pixel(self, channel, pixels[at]));
    }
    return ADELE_OK;
}

adele_status fingerprint_builder_add_image(struct fingerprint_builder *self,
                                           const struct case_image *image) {
    size_t plane = (size_t)image->height * (size_t)image->width;
    OWNED float *pixels = NULL;
    bool varies = false;
    TRY(add_size(self, image->width, image->height, image->n_slices));
    if (!image->is_volume) {
        bool is_gray = image->is_gray_as_rgb || image->n_channels == 1;
        self->notes.n_gray += is_gray;
        self->notes.n_rgb += !is_gray;
        self->notes.n_8 += image->n_bits != 16;
        self->notes.n_16 += image->n_bits == 16;
        TRY(ALLOCATE(&pixels, plane));
    }
    for (int channel = 0; channel < image->n_channels; channel++) {
        const float *source = pixels;
        size_t n = plane;
        if (image->is_volume) {
            source = image->volumes[channel].voxels;
            n *= (size_t)image->n_slices;
        } else {
            case_image_plane(image, 0, channel, pixels);
        }
        TRY(sample_channel(self, channel, source, n, &varies));
    }
    if (!varies)
        count(&self->notes.constant, self->item->image_path[0]);
    if (image->n_channels > self->n_channels)
        self->n_channels = image->n_channels;
    return ADELE_OK;
}

adele_status fingerprint_builder_add_mask(struct fingerprint_builder *self, const char *path,
                                          const struct case_labels *labels) {
    struct case_labels classes = *labels;
    size_t n = (size_t)labels->n_slices * (size_t)labels->height * (size_t)labels->width;
    bool has_foreground = false;
    classes.values = NULL;
    TRY(mask_values_add(&self->values, labels));
    TRY(ALLOCATE(&classes.values, n));
    for (size_t i = 0; i < n; i++) {
        int category = label_lookup_category(self->dataset->lookup, labels->values[i]);
        classes.values[i] = category;
        has_foreground = has_foreground || (category > 0 && category != LABEL_IGNORE);
    }
    adele_status status = mask_values_add(&self->classes, &classes);
    memory_free(classes.values);
    if (!has_foreground)
        count(&self->notes.empty_mask, path);
    // A volume's mask may be stored in another order, so its extents say nothing. An image that
    // cannot be read has no size.
    const struct case_size *size =
        self->has_size && !labels->is_volume ? &self->sizes[self->n_sizes - 1] : NULL;
    if (size != NULL && (size->extents[0] != labels->width || size->extents[1] != labels->height))
        count(&self->notes.other_size, path);
    return status;
}

// ---- a whole data set ---------------------------------------------------------------------------

// Only a lack of memory is a failure: `adele check` reports the files one by one.
static adele_status add_failure(struct fingerprint_builder *self, const char *path,
                                adele_status status) {
    if (status != ADELE_OK && status != ADELE_NO_MEMORY) {
        fingerprint_builder_add_unreadable(self, path);
        return ADELE_OK;
    }
    return status;
}

static adele_status read_image(struct fingerprint_builder *self, bool has_pixels) {
    const struct dataset_case *item = self->item;
    int width = 0, height = 0;
    if (has_pixels) {
        CLEANUP(case_image_deinit) struct case_image image = {0};
        adele_status status = case_image_load(self->dataset, item, NULL, &image);
        return status == ADELE_OK ? fingerprint_builder_add_image(self, &image)
                                  : add_failure(self, item->image_path[0], status);
    }
    if (self->dataset->is_volume && item->geometry.n[0] > 0) {
        struct nifti_order order = orientation_of_image(self->dataset, &item->geometry);
        int n[3];
        nifti_order_extents(&order, item->geometry.n, n);
        return add_size(self, n[0], n[1], n[2]);
    }
    adele_status status = image_probe(item->image_path[0], &width, &height);
    return status == ADELE_OK ? add_size(self, width, height, 1)
                              : add_failure(self, item->image_path[0], status);
}

static adele_status read_case(struct fingerprint_builder *self, bool has_pixels) {
    const char *path = dataset_label_source(self->item, self->split);
    if (self->item->image_path[0] != NULL)
        TRY(read_image(self, has_pixels));
    if (path == NULL)
        return ADELE_OK;
    CLEANUP(case_labels_deinit) struct case_labels labels = {0};
    adele_status status = case_labels_load(self->dataset, path, &labels);
    return status == ADELE_OK ? fingerprint_builder_add_mask(self, path, &labels)
                              : add_failure(self, path, status);
}

adele_status fingerprint_dataset(const struct dataset *dataset, struct adele_fingerprint **out) {
    OWNED_BY(fingerprint_builder_destroy) struct fingerprint_builder *self = NULL;
    int64_t n_cases = 0, i_case = 0;
    *out = NULL;
    TRY(fingerprint_builder_create(dataset, &self));
    for (int split = 0; split < SPLIT_COUNT; split++)
        n_cases += dataset->n_cases[split];
    for (int split = 0; split < SPLIT_COUNT; split++)
        for (int i = 0; i < dataset->n_cases[split]; i++, i_case++) {
            // So that FINGERPRINT_IMAGES of the cases, evenly spread, have it.
            bool has_pixels =
                n_cases <= FINGERPRINT_IMAGES || i_case * FINGERPRINT_IMAGES / n_cases !=
                                                     (i_case + 1) * FINGERPRINT_IMAGES / n_cases;
            fingerprint_builder_begin_case(self, split, i);
            TRY(read_case(self, has_pixels));
        }
    return fingerprint_builder_finish(self, out);
}
