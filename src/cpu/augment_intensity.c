// SPDX-License-Identifier: MIT
// Brightness, contrast, gamma, noise and blur of a batch (training_ops.h). A thread owns a plane
// (image n, channel c) and brings it into a buffer of its own, so that all sums of a plane have one
// order. The arithmetic of a value is in device/intensity_rule.h.
#include "base/fail.h"
#include "base/random.h"
#include "cpu/cpu.h"
#include "cpu/team.h"
#include "cpu/values.h"
#include "device/intensity_rule.h"
#include "device/op_check.h"

struct augment_intensity {
    struct cpu_op base;
    struct adele_augment_intensity_desc desc;
    int block, n_threads;
    bool is_bf16; // of the images
};

static size_t plane_size(const struct augment_intensity *op) {
    return (size_t)op->desc.h * (size_t)op->desc.w;
}

// Of a thread: a plane, the same before the blur, and a row of it.
static size_t scratch_floats(const struct augment_intensity *op) {
    return 2 * plane_size(op) + (size_t)op->desc.w;
}

adele_status cpu_augment_intensity_create(const struct adele_device *device,
                                          const struct adele_augment_intensity_desc *desc,
                                          struct adele_op **out) {
    TRY(cpu_op_create(device, ADELE_OP_augment_intensity, sizeof(struct augment_intensity), out));
    struct augment_intensity *op = (struct augment_intensity *)*out;
    op->desc = *desc;
    op->block = cpu_block(device);
    op->is_bf16 = cpu_is_bf16(device);
    op->n_threads = cpu_n_threads(device);
    op->base.op.workspace_bytes = (size_t)op->n_threads * scratch_floats(op) * sizeof(float);
    return ADELE_OK;
}

static struct intensity_change draw(const struct augment_intensity *op, uint32_t epoch, int id,
                                    int i_channel) {
    double image[INTENSITY_IMAGE_DRAWS], channel[INTENSITY_CHANNEL_DRAWS] = {0.0};
    struct random_stream stream;
    struct intensity_change change;
    random_stream_init(&stream, op->desc.seed, RANDOM_INTENSITY, epoch, (uint32_t)id);
    for (int i = 0; i < INTENSITY_IMAGE_DRAWS; i++)
        image[i] = random_uniform(&stream);
    for (int c = 0; c <= i_channel; c++)
        for (int i = 0; i < INTENSITY_CHANNEL_DRAWS; i++)
            channel[i] = random_uniform(&stream);
    intensity_draw(&op->desc.intensity, image, channel, &change);
    return change;
}

static void add_noise(const struct augment_intensity *op, uint32_t epoch, int id, int c,
                      float deviation, float *plane) {
    const uint32_t key[2] = {(uint32_t)op->desc.seed, (uint32_t)(op->desc.seed >> 32)};
    size_t n = plane_size(op), first = (size_t)c * n;
    uint32_t counter[4] = {0, (uint32_t)id, epoch, RANDOM_PIXEL_NOISE}, words[4];
    for (size_t i = 0; i < n; i++) {
        size_t half = (first + i) % 2;
        if (i == 0 || half == 0) {
            counter[0] = (uint32_t)((first + i) / 2);
            random_philox(counter, key, words);
        }
        if (plane[i] != 0.0f)
            plane[i] += deviation * intensity_normal(words[2 * half], words[2 * half + 1]);
    }
}

static int clamped(int i, int n) {
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

// The sum over `length` values, `step` apart, of which `at` is the middle one.
static float blurred(const float *weights, const float *from, int at, int length, size_t step) {
    float sum = weights[0] * from[(size_t)at * step];
    for (int i = 1; i <= INTENSITY_RADIUS; i++)
        sum += weights[i] * (from[(size_t)clamped(at - i, length) * step] +
                             from[(size_t)clamped(at + i, length) * step]);
    return sum;
}

// from -> to, along columns and then along rows. row: (W).
static void blur(const struct augment_intensity *op, const float *weights, const float *from,
                 float *row, float *to) {
    int h = op->desc.h, w = op->desc.w;
    for (int y = 0; y < h; y++) {
        size_t first = (size_t)y * (size_t)w;
        for (int x = 0; x < w; x++)
            row[x] = blurred(weights, from + x, y, h, (size_t)w);
        for (int x = 0; x < w; x++)
            to[first + (size_t)x] =
                from[first + (size_t)x] == 0.0f ? 0.0f : blurred(weights, row, x, w, 1);
    }
}

static void change_tone(const struct intensity_change *change, float *plane, size_t n) {
    struct intensity_sums sums;
    struct intensity_tone tone;
    intensity_sums_clear(&sums);
    for (size_t i = 0; i < n; i++)
        intensity_sums_add(&sums, plane[i]);
    intensity_tone_start(change, &sums, &tone);
    if (change->gamma != 1.0f) {
        intensity_sums_clear(&sums);
        for (size_t i = 0; i < n; i++)
            intensity_sums_add_gamma(&sums, change, &tone, plane[i]);
        intensity_tone_finish(&sums, &tone);
    }
    for (size_t i = 0; i < n; i++)
        plane[i] = intensity_apply(change, &tone, plane[i]);
}

// scratch: scratch_floats.
static void change_plane(const struct augment_intensity *op,
                         const struct adele_augment_intensity_args *args, int n, int c,
                         float *scratch) {
    const struct adele_augment_intensity_desc *desc = &op->desc;
    const struct adele_shape shape = {desc->n, desc->c, desc->h, desc->w};
    size_t count = plane_size(op), block = (size_t)op->block;
    int id = args->sample_ids[n];
    if (id < 0)
        return;
    struct intensity_change change = draw(op, args->epoch, id, c);
    bool has_blur = intensity_has_blur(&change), has_tone = intensity_has_tone(&change);
    if (change.noise == 0.0f && !has_blur && !has_tone)
        return;
    size_t first = cpu_tensor_index(shape, op->block, n, c, 0, 0);
    float *plane = scratch, *before = has_blur ? scratch + count : plane;
    for (size_t i = 0; i < count; i++)
        before[i] = value_at(args->images, first + i * block, op->is_bf16);
    if (change.noise > 0.0f)
        add_noise(op, args->epoch, id, c, change.noise, before);
    if (has_blur)
        blur(op, change.weights, before, scratch + 2 * count, plane);
    if (has_tone)
        change_tone(&change, plane, count);
    for (size_t i = 0; i < count; i++)
        value_store(args->images, first + i * block, plane[i], op->is_bf16);
}

adele_status cpu_augment_intensity_forward(struct adele_op *base,
                                           const struct adele_augment_intensity_args *args) {
    const struct augment_intensity *op = (const struct augment_intensity *)base;
    TRY(op_check_augment_intensity_args(args));
    int n_planes = op->desc.n * op->desc.c;
#pragma omp parallel for num_threads(team_size(op->n_threads)) schedule(dynamic)
    for (int i = 0; i < n_planes; i++)
        change_plane(op, args, i / op->desc.c, i % op->desc.c,
                     (float *)args->workspace + (size_t)omp_get_thread_num() * scratch_floats(op));
    return ADELE_OK;
}
