// SPDX-License-Identifier: MIT
// Maps are counted on the host, image by image: it is done once a correction, integers have the
// same sum on any device and number of ranks, and it takes the memory of three maps.
#include "correction/ensemble_gate.h"

#include "base/fail.h"
#include "base/half.h"
#include "base/log.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>

void ensemble_gate_init(struct ensemble_gate *out, struct ensemble *ensemble, uint8_t *plain) {
    *out = (struct ensemble_gate){0};
    if (ensemble->data->config->correction.gate != GATE_NONE) {
        out->ensemble = ensemble;
        out->plain = plain;
    }
}

// ---- counting -----------------------------------------------------------------------------------

struct areas {
    int32_t labelled, plain; // pixels of a class in one image
};

struct counting {
    const struct ensemble_gate *gate;
    int n_classes;
    size_t n_pixels;                   // of an image
    uint8_t *labels, *plain, *decided; // host: (H, W) of an image
    uint16_t *probabilities;           // host: (C, h, w) of an image
    struct areas *areas;               // (images of the share, C)
    struct gate_counts total[256];
};

static void counting_deinit(struct counting *counting) {
    memory_free(counting->labels);
    memory_free(counting->plain);
    memory_free(counting->decided);
    memory_free(counting->probabilities);
    memory_free(counting->areas);
}

static adele_status counting_init(struct counting *out, const struct ensemble_gate *gate) {
    const struct ensemble *ensemble = gate->ensemble;
    const struct adele_sample_set *set = &ensemble->data->resident[SPLIT_TRAIN].set;
    const struct adele_shape *maps = &ensemble->logits;
    int n_images = ensemble->share.end - ensemble->share.first;
    *out = (struct counting){.gate = gate,
                             .n_classes = ensemble->data->n_categories,
                             .n_pixels = (size_t)set->h * (size_t)set->w};
    TRY(ALLOCATE(&out->labels, out->n_pixels));
    TRY(ALLOCATE(&out->plain, out->n_pixels));
    TRY(ALLOCATE(&out->decided, out->n_pixels));
    TRY(ALLOCATE(&out->probabilities, (size_t)maps->c * (size_t)maps->h * (size_t)maps->w));
    return ALLOCATE(&out->areas, (size_t)(n_images > 0 ? n_images : 1) * (size_t)out->n_classes);
}

static adele_status download_image(struct counting *counting, int i_image) {
    const struct ensemble *ensemble = counting->gate->ensemble;
    const struct adele_device *device = ensemble->data->device;
    size_t n = counting->n_pixels, offset = (size_t)i_image * n;
    TRY(device->iface->download(device, counting->plain, counting->gate->plain + offset, n));
    TRY(device->iface->download(device, counting->decided, ensemble->decided + offset, n));
    return ensemble_download(ensemble, i_image, counting->labels, counting->probabilities);
}

static void count_image(struct counting *counting, struct areas *areas) {
    struct gate_counts image[256] = {0};
    for (size_t i = 0; i < counting->n_pixels; i++) {
        int label = counting->labels[i], plain = counting->plain[i];
        if (label == ADELE_IGNORE)
            continue;
        image[label].labelled++;
        image[plain].plain++;
        image[counting->decided[i]].decided++;
        image[plain].plain_labelled += plain == label;
        image[plain].plain_decided += plain == counting->decided[i];
    }
    for (int c = 0; c < counting->n_classes; c++) {
        struct gate_counts *total = &counting->total[c];
        if (image[c].labelled == 0)
            continue;
        total->labelled += image[c].labelled;
        total->plain += image[c].plain;
        total->decided += image[c].decided;
        total->plain_labelled += image[c].plain_labelled;
        total->plain_decided += image[c].plain_decided;
        areas[c] = (struct areas){(int32_t)image[c].labelled, (int32_t)image[c].plain};
    }
}

// Of the classes that the image's labels contain.
static void add_probabilities(struct counting *counting, const struct areas *areas, float scale) {
    const struct adele_shape *maps = &counting->gate->ensemble->logits;
    size_t n = (size_t)maps->h * (size_t)maps->w;
    for (int c = 0; c < counting->n_classes; c++) {
        const uint16_t *map = counting->probabilities + (size_t)c * n;
        struct gate_counts *total = &counting->total[c];
        for (size_t i = 0; areas[c].labelled > 0 && i < n; i++) {
            float q = half_to_float(map[i]) * scale;
            int64_t mass = gate_mass(q);
            total->mass += mass;
            total->sure_mass += q > 0.5f ? mass : 0;
        }
    }
}

static adele_status count_share(struct counting *counting, float scale) {
    const struct ensemble *ensemble = counting->gate->ensemble;
    for (int i = ensemble->share.first; i < ensemble->share.end; i++) {
        struct areas *areas =
            counting->areas + (size_t)(i - ensemble->share.first) * (size_t)counting->n_classes;
        TRY(download_image(counting, i));
        count_image(counting, areas);
        add_probabilities(counting, areas, scale);
    }
    return ADELE_OK;
}

_Static_assert(sizeof(struct gate_counts) % sizeof(int64_t) == 0, "summed as integers");

static adele_status sum_counts(struct counting *counting) {
    return ranks_sum(counting->gate->ensemble->data->ranks, (int64_t *)(void *)counting->total,
                     sizeof counting->total / (sizeof(int64_t)));
}

// Needs the areas of all images, and so comes after a first sum over the ranks.
static adele_status sum_deviations(struct counting *counting) {
    const struct ensemble *ensemble = counting->gate->ensemble;
    int64_t sums[256] = {0};
    int n_images = ensemble->share.end - ensemble->share.first;
    for (int i = 0; i < n_images; i++)
        for (int c = 0; c < counting->n_classes; c++) {
            const struct areas *areas =
                &counting->areas[(size_t)i * (size_t)counting->n_classes + (size_t)c];
            if (areas->labelled > 0)
                sums[c] += gate_deviation(&counting->total[c], areas->labelled, areas->plain);
        }
    TRY(ranks_sum(ensemble->data->ranks, sums, 256));
    for (int c = 0; c < 256; c++)
        counting->total[c].deviation = sums[c];
    return ADELE_OK;
}

static adele_status count(struct counting *counting, int epoch) {
    struct ensemble *ensemble = counting->gate->ensemble;
    TRY(ensemble_decide(ensemble, epoch, true, counting->gate->plain));
    TRY(count_share(counting, ensemble_scale(ensemble, epoch)));
    TRY(sum_counts(counting));
    return sum_deviations(counting);
}

// ---- the decision -------------------------------------------------------------------------------

static void log_result(const struct ensemble_gate *gate, int epoch, int c,
                       const struct gate_result *result) {
    char why[GATE_TEXT];
    gate_explain(result, why, sizeof why);
    log_line(LOG_INFO, "epoch %d: %s: labels %s: %s", epoch,
             gate->ensemble->data->dataset->category_names[c],
             result->corrects ? "corrected" : "kept (correction.gate)", why);
}

static void decide(struct ensemble_gate *gate, const struct counting *counting, int epoch,
                   struct schedule_decision *decision) {
    const struct config *config = gate->ensemble->data->config;
    const bool takes_learned = config->correction.gate == GATE_LEARNED;
    bool any = false;
    for (int c = 1; c < counting->n_classes; c++) {
        struct gate_result result;
        if (!decision->correct[c])
            continue;
        gate_decide(&counting->total[c], takes_learned, &result);
        log_result(gate, epoch, c, &result);
        gate->records[c] = (struct gate_record){.epoch = epoch,
                                                .known = result.known,
                                                .deviation = result.deviation,
                                                .one_sided = result.one_sided,
                                                .with_decided = result.with_decided,
                                                .with_labels = result.with_labels,
                                                .corrects = result.corrects};
        decision->correct[c] = result.corrects;
        any = any || result.corrects;
    }
    decision->any = any;
    decision->correct[0] = any;
}

adele_status ensemble_gate_apply(struct ensemble_gate *gate, int epoch,
                                 struct schedule_decision *decision) {
    CLEANUP(counting_deinit) struct counting counting = {0};
    if (!gate->ensemble || !decision->any)
        return ADELE_OK;
    TRY(counting_init(&counting, gate));
    TRY(count(&counting, epoch));
    decide(gate, &counting, epoch, decision);
    return ADELE_OK;
}
