// SPDX-License-Identifier: MIT
// The guided filter. A thread takes whole planes, whose sums (cpu/window_sums.h) have one order
// whatever the number of threads.
#include "base/fail.h"
#include "base/half.h"
#include "base/memory.h"
#include "cpu/cpu.h"
#include "cpu/resample.h"
#include "cpu/team.h"
#include "cpu/vector_math.h"
#include "cpu/window_sums.h"
#include "device/guided_rule.h"
#include "device/op_check.h"

#include <math.h>
#include <omp.h>
#include <string.h>

struct guided_filter_op {
    struct cpu_op base;
    struct adele_guided_filter_desc desc;
    int n_threads, radius_y, radius_x; // the radius, no larger than the image
    size_t n_pixels, thread_doubles;
    struct resample_axis rows, columns;
    double *tables; // (W): 1 / columns of a window; then for each thread 2 rows of maps
};

// What the guide of one image contributes; planes (H, W).
struct guide {
    double *value;   // I
    double *mean;    // <I>
    double *inverse; // 1 / (variance + eps)
};

// The memory of one thread.
struct scratch {
    double *a, *b; // planes (H, W)
    struct window_sums sums;
};

static void release(struct cpu_op *base) {
    struct guided_filter_op *op = (struct guided_filter_op *)base;
    resample_axis_deinit(&op->rows);
    resample_axis_deinit(&op->columns);
    memory_free(op->tables);
}

adele_status cpu_guided_filter_create(const struct adele_device *device,
                                      const struct adele_guided_filter_desc *desc,
                                      struct adele_op **out) {
    TRY(cpu_op_create(device, ADELE_OP_guided_filter, sizeof(struct guided_filter_op), out));
    struct guided_filter_op *op = (struct guided_filter_op *)*out;
    op->base.release = release;
    op->desc = *desc;
    op->n_threads = cpu_n_threads(device);
    op->radius_y = desc->radius < desc->h ? desc->radius : desc->h;
    op->radius_x = desc->radius < desc->w ? desc->radius : desc->w;
    op->n_pixels = (size_t)desc->h * (size_t)desc->w;
    op->thread_doubles = 2 * op->n_pixels + 4 * (size_t)desc->w;
    if (desc->radius > 0)
        op->base.op.workspace_bytes =
            (3 * (size_t)desc->n * op->n_pixels + (size_t)op->n_threads * op->thread_doubles) *
            sizeof(double);
    TRY(resample_axis_init(&op->rows, desc->h_maps, desc->h));
    TRY(resample_axis_init(&op->columns, desc->w_maps, desc->w));
    op->tables = memory_aligned(
        ((size_t)desc->w + 2 * (size_t)op->n_threads * (size_t)desc->w_maps) * sizeof(double));
    TRY(CHECK_MEMORY(op->tables));
    for (int x = 0; x < desc->w; x++)
        op->tables[x] = 1.0 / guided_extent(x, op->radius_x, desc->w);
    return ADELE_OK;
}

static struct guide guide_of(const struct guided_filter_op *op, void *workspace, int n) {
    double *at = (double *)workspace + 3 * (size_t)n * op->n_pixels;
    return (struct guide){at, at + op->n_pixels, at + 2 * op->n_pixels};
}

static struct scratch scratch_of(const struct guided_filter_op *op, void *workspace) {
    const struct adele_guided_filter_desc *desc = &op->desc;
    size_t w = (size_t)desc->w;
    double *at = (double *)workspace + 3 * (size_t)desc->n * op->n_pixels +
                 (size_t)omp_get_thread_num() * op->thread_doubles;
    double *lines = at + 2 * op->n_pixels;
    return (struct scratch){.a = at,
                            .b = at + op->n_pixels,
                            .sums = {.h = desc->h,
                                     .w = desc->w,
                                     .radius_y = op->radius_y,
                                     .radius_x = op->radius_x,
                                     .inverse_columns = op->tables,
                                     .column = {lines, lines + w},
                                     .means = {lines + 2 * w, lines + 3 * w}}};
}

// ---- the guide ----------------------------------------------------------------------------------

static void make_guide(const struct guided_filter_op *op,
                       const struct adele_guided_filter_args *args, int n, double *value) {
    const struct adele_guided_filter_desc *desc = &op->desc;
    const void *images = args->batch_images != NULL ? args->batch_images : args->images;
    int id = args->batch_images == NULL && args->sample_ids != NULL ? args->sample_ids[n] : n;
    double low = (double)args->low, high = (double)args->high;
    memset(value, 0, op->n_pixels * sizeof *value);
    for (int c = 0; c < desc->image_c; c++) {
        size_t first = ((size_t)id * (size_t)desc->image_c + (size_t)c) * op->n_pixels;
        for (size_t i = 0; i < op->n_pixels; i++)
            value[i] += desc->pixel == ADELE_PIXEL_U8
                            ? (double)((const uint8_t *)images)[first + i]
                            : (double)half_to_float(((const uint16_t *)images)[first + i]);
    }
    for (size_t i = 0; i < op->n_pixels; i++)
        value[i] /= desc->image_c;
    if (low == high) {
        low = (double)INFINITY;
        high = -(double)INFINITY;
        for (size_t i = 0; i < op->n_pixels; i++) {
            bool is_finite = isfinite(value[i]);
            low = is_finite && value[i] < low ? value[i] : low;
            high = is_finite && value[i] > high ? value[i] : high;
        }
    }
    for (size_t i = 0; i < op->n_pixels; i++)
        value[i] = high > low ? guided_clamp((value[i] - low) / (high - low)) : 0.0;
}

CPU_KERNEL(static void, invert_variances,
           (const double *restrict means, const double *restrict squares, double eps, int n,
            double *restrict mean, double *restrict inverse),
           (means, squares, eps, n, mean, inverse)) {
    for (int x = 0; x < n; x++) {
        mean[x] = means[x];
        inverse[x] = 1.0 / (squares[x] - means[x] * means[x] + eps);
    }
}

static void prepare_guide(const struct guided_filter_op *op,
                          const struct adele_guided_filter_args *args, int n,
                          const struct scratch *scratch) {
    struct guide guide = guide_of(op, args->workspace, n);
    make_guide(op, args, n, guide.value);
    const struct window_pair pair = {.v = guide.value};
    for (int y = 0; y < op->desc.h; y++) {
        size_t at = (size_t)y * (size_t)op->desc.w;
        window_means(&scratch->sums, &pair, y);
        invert_variances(scratch->sums.means[0], scratch->sums.means[1], op->desc.eps, op->desc.w,
                         guide.mean + at, guide.inverse + at);
    }
}

// ---- one class of one image ---------------------------------------------------------------------

CPU_KERNEL(static void, decode_row, (const uint16_t *restrict map, int n, double *restrict row),
           (map, n, row)) {
    for (int x = 0; x < n; x++)
        row[x] = guided_value(half_to_float(map[x]));
}

CPU_KERNEL(static void, blend_row,
           (const double *restrict upper, const double *restrict lower,
            const struct resample_axis *columns, float t, float scale, float *restrict q),
           (upper, lower, columns, t, scale, q)) {
    for (int x = 0; x < columns->n_out; x++) {
        int left = columns->low[x], right = columns->high[x];
        const double corners[] = {upper[left], upper[right], lower[left], lower[right]};
        q[x] = guided_blend(corners, t, columns->t[x], scale);
    }
}

static void make_q(const struct guided_filter_op *op, const uint16_t *map, float scale, float *q) {
    const struct resample_axis *rows = &op->rows;
    int w_maps = op->desc.w_maps, row[2] = {-1, -1};
    double *lines[2];
    lines[0] = op->tables + op->desc.w + 2 * (size_t)omp_get_thread_num() * (size_t)w_maps;
    lines[1] = lines[0] + w_maps;
    for (int y = 0; y < op->desc.h; y++) {
        const int wanted[] = {rows->low[y], rows->high[y]};
        for (int i = 0; i < 2; i++)
            if (row[i] != wanted[i]) {
                row[i] = wanted[i];
                decode_row(map + (size_t)row[i] * (size_t)w_maps, w_maps, lines[i]);
            }
        blend_row(lines[0], lines[1], &op->columns, rows->t[y], scale,
                  q + (size_t)y * (size_t)op->desc.w);
    }
}

CPU_KERNEL(static void, find_coefficients,
           (const double *restrict of_q, const double *restrict of_product,
            const double *restrict mean, const double *restrict inverse, int n, double *restrict a,
            double *restrict b),
           (of_q, of_product, mean, inverse, n, a, b)) {
    for (int x = 0; x < n; x++) {
        a[x] = (of_product[x] - mean[x] * of_q[x]) * inverse[x];
        b[x] = of_q[x] - a[x] * mean[x];
    }
}

CPU_KERNEL(static void, apply,
           (const double *restrict a, const double *restrict b, const double *restrict guide, int n,
            float *restrict dst),
           (a, b, guide, n, dst)) {
    for (int x = 0; x < n; x++)
        dst[x] = (float)guided_clamp(a[x] * guide[x] + b[x]);
}

// dst holds q, and then the result.
static void filter(const struct guided_filter_op *op, const struct guide *guide, float *dst,
                   const struct scratch *scratch) {
    const struct window_pair of_q = {.q = dst, .v = guide->value};
    const struct window_pair of_ab = {.v = scratch->a, .w = scratch->b};
    int w = op->desc.w;
    for (int y = 0; y < op->desc.h; y++) {
        size_t at = (size_t)y * (size_t)w;
        window_means(&scratch->sums, &of_q, y);
        find_coefficients(scratch->sums.means[0], scratch->sums.means[1], guide->mean + at,
                          guide->inverse + at, w, scratch->a + at, scratch->b + at);
    }
    for (int y = 0; y < op->desc.h; y++) {
        size_t at = (size_t)y * (size_t)w;
        window_means(&scratch->sums, &of_ab, y);
        apply(scratch->sums.means[0], scratch->sums.means[1], guide->value + at, w, dst + at);
    }
}

// ---- the op -------------------------------------------------------------------------------------

// The map of row n; -1: the row is skipped.
static int map_of(const struct adele_guided_filter_args *args, int n) {
    if (args->sample_ids != NULL && args->sample_ids[n] < 0)
        return -1;
    return args->map_ids != NULL ? args->map_ids[n] : n;
}

static void filter_plane(const struct guided_filter_op *op,
                         const struct adele_guided_filter_args *args, int n, int c) {
    const struct adele_guided_filter_desc *desc = &op->desc;
    int i_map = map_of(args, n);
    if (i_map < 0)
        return;
    size_t map_pixels = (size_t)desc->h_maps * (size_t)desc->w_maps;
    float *dst = args->dst + ((size_t)n * (size_t)desc->c + (size_t)c) * op->n_pixels;
    make_q(op, args->maps + ((size_t)i_map * (size_t)desc->c + (size_t)c) * map_pixels, args->scale,
           dst);
    if (desc->radius > 0) {
        struct guide guide = guide_of(op, args->workspace, n);
        struct scratch scratch = scratch_of(op, args->workspace);
        filter(op, &guide, dst, &scratch);
    }
}

adele_status cpu_guided_filter_forward(struct adele_op *base,
                                       const struct adele_guided_filter_args *args) {
    const struct guided_filter_op *op = (const struct guided_filter_op *)base;
    const struct adele_guided_filter_desc *desc = &op->desc;
    TRY(op_check_guided_filter_args(desc, args));
#pragma omp parallel num_threads(team_size(op->n_threads))
    {
#pragma omp for schedule(dynamic)
        for (int n = 0; n < desc->n; n++)
            if (desc->radius > 0 && map_of(args, n) >= 0) {
                struct scratch scratch = scratch_of(op, args->workspace);
                prepare_guide(op, args, n, &scratch);
            }
#pragma omp for schedule(dynamic)
        for (int i = 0; i < desc->n * desc->c; i++)
            filter_plane(op, args, i / desc->c, i % desc->c);
    }
    return ADELE_OK;
}
