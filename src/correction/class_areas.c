// SPDX-License-Identifier: MIT
// Counted on the host, image by image, as the gate counts: once a correction, in whole numbers,
// which have the same sum on any device and number of ranks.
#include "correction/class_areas.h"

#include "base/fail.h"
#include "base/half.h"
#include "base/log.h"
#include "base/memory.h"
#include "correction/gate.h"

#include <math.h>
#include <string.h>

struct measuring {
    const struct ensemble *ensemble;
    int h, w;                // of labels
    uint8_t *labels;         // (h, w) of an image
    uint16_t *probabilities; // (C, h_maps, w_maps) of an image
    int32_t *counts; // (h_maps, w_maps): pixels with a label that lie in an element of the maps
    int64_t sums[2][256]; // pixels of each class; probabilities, in GATE_UNIT
};

static void measuring_deinit(struct measuring *self) {
    memory_free(self->labels);
    memory_free(self->probabilities);
    memory_free(self->counts);
}

static adele_status measuring_init(struct measuring *out, const struct ensemble *ensemble) {
    const struct adele_sample_set *set = &ensemble->data->resident[SPLIT_TRAIN].set;
    size_t n_elements = (size_t)ensemble->logits.h * (size_t)ensemble->logits.w;
    *out = (struct measuring){.ensemble = ensemble, .h = set->h, .w = set->w};
    TRY(ALLOCATE(&out->labels, (size_t)set->h * (size_t)set->w));
    TRY(ALLOCATE(&out->probabilities, (size_t)ensemble->logits.c * n_elements));
    return ALLOCATE(&out->counts, n_elements);
}

static void count_labels(struct measuring *self) {
    const struct adele_shape *maps = &self->ensemble->logits;
    memset(self->counts, 0, (size_t)maps->h * (size_t)maps->w * sizeof *self->counts);
    for (int y = 0; y < self->h; y++) {
        const uint8_t *row = self->labels + (size_t)y * (size_t)self->w;
        int32_t *counts = self->counts + (int64_t)y * maps->h / self->h * maps->w;
        for (int x = 0; x < self->w; x++) {
            if (row[x] == ADELE_IGNORE)
                continue;
            self->sums[0][row[x]]++;
            counts[(int64_t)x * maps->w / self->w]++;
        }
    }
}

static void add_probabilities(struct measuring *self, float scale) {
    const struct adele_shape *maps = &self->ensemble->logits;
    size_t n_elements = (size_t)maps->h * (size_t)maps->w;
    for (int c = 0; c < maps->c; c++) {
        const uint16_t *map = self->probabilities + (size_t)c * n_elements;
        for (size_t i = 0; i < n_elements; i++)
            self->sums[1][c] += gate_mass(half_to_float(map[i]) * scale) * self->counts[i];
    }
}

static adele_status count_share(struct measuring *self, float scale) {
    const struct ensemble *ensemble = self->ensemble;
    for (int i = ensemble->share.first; i < ensemble->share.end; i++) {
        TRY(ensemble_download(ensemble, i, self->labels, self->probabilities));
        count_labels(self);
        add_probabilities(self, scale);
    }
    return ADELE_OK;
}

static void divide(const struct measuring *self, int epoch, float *out) {
    const struct run_data *data = self->ensemble->data;
    for (int c = 0; c < data->n_categories; c++) {
        double labelled = (double)self->sums[0][c], probable = (double)self->sums[1][c] / GATE_UNIT;
        double factor = labelled > 0.0 && probable > 0.0 ? sqrt(labelled / probable) : 1.0;
        out[c] = (float)fmin(fmax(factor, 1.0 / CLASS_AREA_LIMIT), CLASS_AREA_LIMIT);
        log_line(LOG_INFO,
                 "epoch %d: %s: %.0f pixels in the labels, %.0f by the ensemble's probabilities: "
                 "areas times %.3f (correction.calibrate)",
                 epoch, data->dataset->category_names[c], labelled, probable, (double)out[c]);
    }
}

static adele_status measure(struct measuring *self, int epoch, float *out) {
    const struct ensemble *ensemble = self->ensemble;
    TRY(count_share(self, ensemble_scale(ensemble, epoch)));
    TRY(ranks_sum(ensemble->data->ranks, &self->sums[0][0], sizeof self->sums / sizeof(int64_t)));
    divide(self, epoch, out);
    return ADELE_OK;
}

adele_status class_areas_apply(struct ensemble *ensemble, int epoch) {
    const struct config *config = ensemble->data->config;
    const struct adele_device *device = ensemble->data->device;
    CLEANUP(measuring_deinit) struct measuring measuring = {0};
    float factors[256];
    if (!config->correction.calibrate || config->correction.decision != ADELE_AREA_THRESHOLDS)
        return ADELE_OK;
    TRY(measuring_init(&measuring, ensemble));
    TRY(measure(&measuring, epoch, factors));
    ensemble->is_calibrated = true;
    return device->iface->upload(device, ensemble->area_factors, factors,
                                 (size_t)ensemble->logits.c * sizeof *factors);
}
