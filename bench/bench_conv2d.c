// SPDX-License-Identifier: MIT
// Convolution: its arguments, and its check. Small ones are compared with tests/reference; for
// large ones a sample of the outputs is computed in double.
#include "bench.h"

#include "base/fail.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>

#define OFFSET(member)   offsetof(struct adele_conv2d_args, member)
#define WHOLE_PRODUCTS   2e7 // up to this number of multiplications all is compared
#define N_SAMPLES        256
#define N_WEIGHT_SAMPLES 48
#define N_CHECKED_IMAGES 2 // the first and the last

// ---- a sample of the outputs --------------------------------------------------------------------

struct sample_of {
    const struct problem *problem;
    const struct adele_conv2d_desc *desc;
    const struct field *src, *weight, *bias, *d_dst;
    int h_out, w_out;
};

static const struct field *find(const struct problem *problem, size_t offset) {
    for (int i = 0; i < problem->n_fields; i++)
        if (problem->fields[i].offset == offset)
            return &problem->fields[i];
    return NULL;
}

static double tensor_at(const struct field *field, int n, int c, int y, int x) {
    size_t w = (size_t)field->shape.w, h = (size_t)field->shape.h;
    return (double)field_value(field, (size_t)n, ((size_t)c * h + (size_t)y) * w + (size_t)x);
}

static double weight_at(const struct sample_of *s, int c_out, int c_in, int ky, int kx) {
    size_t k = (size_t)s->desc->kernel;
    size_t i = (((size_t)c_out * (size_t)s->desc->c_in + (size_t)c_in) * k + (size_t)ky) * k;
    return (double)field_value(s->weight, 0, i + (size_t)kx);
}

static double dst_at(const struct sample_of *s, int n, int c, int y, int x) {
    const struct adele_conv2d_desc *d = s->desc;
    double sum = s->bias != NULL ? (double)field_value(s->bias, 0, (size_t)c) : 0.0;
    for (int ky = 0; ky < d->kernel; ky++)
        for (int kx = 0; kx < d->kernel; kx++) {
            int from_y = y * d->stride - d->pad + ky * d->dilation;
            int from_x = x * d->stride - d->pad + kx * d->dilation;
            if (from_y < 0 || from_y >= d->h_in || from_x < 0 || from_x >= d->w_in)
                continue;
            for (int ci = 0; ci < d->c_in; ci++)
                sum += weight_at(s, c, ci, ky, kx) * tensor_at(s->src, n, ci, from_y, from_x);
        }
    return sum;
}

static double d_src_at(const struct sample_of *s, int n, int c, int y, int x) {
    const struct adele_conv2d_desc *d = s->desc;
    double sum = 0.0;
    for (int ky = 0; ky < d->kernel; ky++)
        for (int kx = 0; kx < d->kernel; kx++) {
            int to_y = y + d->pad - ky * d->dilation, to_x = x + d->pad - kx * d->dilation;
            if (to_y % d->stride != 0 || to_x % d->stride != 0)
                continue;
            to_y /= d->stride;
            to_x /= d->stride;
            if (to_y < 0 || to_y >= s->h_out || to_x < 0 || to_x >= s->w_out)
                continue;
            for (int co = 0; co < d->c_out; co++)
                sum += weight_at(s, co, c, ky, kx) * tensor_at(s->d_dst, n, co, to_y, to_x);
        }
    return sum;
}

// Images repeat, so that each of the first two counts as often as it occurs.
static double d_weight_at(const struct sample_of *s, int co, int ci, int ky, int kx) {
    const struct adele_conv2d_desc *d = s->desc;
    double sum = 0.0;
    for (int n = 0; n < 2 && n < d->n; n++) {
        double image = 0.0;
        for (int y = 0; y < s->h_out; y++)
            for (int x = 0; x < s->w_out; x++) {
                int from_y = y * d->stride - d->pad + ky * d->dilation;
                int from_x = x * d->stride - d->pad + kx * d->dilation;
                if (from_y >= 0 && from_y < d->h_in && from_x >= 0 && from_x < d->w_in)
                    image +=
                        tensor_at(s->d_dst, n, co, y, x) * tensor_at(s->src, n, ci, from_y, from_x);
            }
        sum += image * ((d->n - n + 1) / 2);
    }
    return sum;
}

static size_t draw(size_t i_sample, size_t n) {
    if (i_sample < 2)
        return i_sample == 0 ? 0 : n - 1; // the corners
    uint64_t x = (i_sample + 77) * 0x9e3779b97f4a7c15ULL;
    return (size_t)((x ^ (x >> 29)) * 0xbf58476d1ce4e5b9ULL >> 16) % n;
}

static adele_status compare(const char *what, size_t i, double got, double want, double n_terms,
                            const struct instance *instance, bool is_tensor) {
    double allowed = 1e-5 + 1e-6 * n_terms;
    if (is_tensor && bench_is_bf16(instance->device))
        allowed += fabs(want) / 256.0;
    // A sum of products of values from [-1, 1] is 0.33 sqrt(n_terms) in the root mean square, and
    // is rounded by up to 2^-9 of it.
    if (bench_rounds_sums(instance))
        allowed += sqrt(n_terms) / 128.0;
    if (fabs(got - want) <= allowed)
        return ADELE_OK;
    return FAIL(ADELE_NUMERIC, "", "%s is wrong: element %zu is %g and should be %g", what, i, got,
                want);
}

// Samples of one image of dst or d_src, that lies on the device.
static adele_status check_image(const struct sample_of *s, const struct instance *instance,
                                const struct field *field, int n, bool is_gradient) {
    const struct adele_device *device = instance->device;
    struct adele_shape one = field->shape;
    one.n = 1;
    size_t count = (size_t)one.c * (size_t)one.h * (size_t)one.w, plane = (size_t)(one.h * one.w);
    float *image = memory_calloc(count, sizeof *image);
    TRY(CHECK_MEMORY(image));
    const char *from = instance_pointer(instance, field->offset);
    adele_status status;
    TRY_GOTO(device->iface->tensor_download(
                 device, image, from + (size_t)n * device->iface->tensor_bytes(device, one), one),
             done);
    double taps = (double)s->desc->kernel * s->desc->kernel;
    double n_terms = taps * (is_gradient ? s->desc->c_out : s->desc->c_in);
    for (size_t j = 0; j < N_SAMPLES / N_CHECKED_IMAGES; j++) {
        size_t i = draw(j, count);
        int c = (int)(i / plane), y = (int)(i % plane / (size_t)one.w),
            x = (int)(i % (size_t)one.w);
        double want = is_gradient ? d_src_at(s, n, c, y, x) : dst_at(s, n, c, y, x);
        TRY_GOTO(compare(field->name, i, (double)image[i], want, n_terms, instance, true), done);
    }
done:
    memory_free(image);
    return status;
}

static adele_status check_weights(const struct sample_of *s, const struct instance *instance,
                                  const struct field *field) {
    const struct adele_device *device = instance->device;
    float *got = memory_calloc(field->count, sizeof *got);
    TRY(CHECK_MEMORY(got));
    adele_status status;
    TRY_GOTO(device->iface->download(device, got, instance_pointer(instance, field->offset),
                                     field->count * sizeof *got),
             done);
    int k = s->desc->kernel;
    double n_pixels = (double)s->desc->n * s->h_out * s->w_out;
    for (size_t j = 0; j < N_WEIGHT_SAMPLES; j++) {
        size_t i = draw(j, field->count);
        int tap = (int)(i % (size_t)(k * k)), pair = (int)(i / (size_t)(k * k));
        double want = d_weight_at(s, pair / s->desc->c_in, pair % s->desc->c_in, tap / k, tap % k);
        TRY_GOTO(compare("d_weight", i, (double)got[i], want, n_pixels, instance, false), done);
    }
done:
    memory_free(got);
    return status;
}

static adele_status check_sampled(const struct sample_of *s, struct instance *instance) {
    const struct problem *problem = s->problem;
    TRY(instance_run(instance, false));
    if (s->desc->is_training)
        TRY(instance_run(instance, true));
    TRY(instance->device->iface->synchronize(instance->device));
    for (int i = 0; i < N_CHECKED_IMAGES; i++) {
        int n = i == 0 ? 0 : s->desc->n - 1;
        TRY(check_image(s, instance, find(problem, OFFSET(dst)), n, false));
        if (s->desc->is_training && s->desc->needs_d_src)
            TRY(check_image(s, instance, find(problem, OFFSET(d_src)), n, true));
    }
    return s->desc->is_training ? check_weights(s, instance, find(problem, OFFSET(d_weight)))
                                : ADELE_OK;
}

adele_status check_conv2d(struct instance *instance, const struct problem *full, char text[48]) {
    const struct adele_conv2d_desc *desc = &full->desc.conv2d;
    const struct field *dst = find(full, OFFSET(dst));
    struct sample_of s = {.problem = full,
                          .desc = desc,
                          .src = find(full, OFFSET(src)),
                          .weight = find(full, OFFSET(weight)),
                          .bias = find(full, OFFSET(bias)),
                          .d_dst = find(full, OFFSET(d_dst)),
                          .h_out = dst->shape.h,
                          .w_out = dst->shape.w};
    double products = (double)desc->kernel * desc->kernel * desc->c_in * desc->c_out * desc->n *
                      dst->shape.h * dst->shape.w;
    if (products <= WHOLE_PRODUCTS) {
        snprintf(text, 48, "reference, whole");
        return problem_check(instance->device, full);
    }
    snprintf(text, 48, "%d sampled outputs", N_SAMPLES);
    return check_sampled(&s, instance);
}
