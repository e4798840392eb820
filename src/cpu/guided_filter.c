// SPDX-License-Identifier: MIT
// The guided filter. Sums over windows run along: from row to row the sums of all columns gain one
// row and lose one, and along a row a window gains one column and loses one, so that the radius
// costs nothing. A thread takes whole planes, whose sums have one order whatever the number of
// threads.
#include "base/fail.h"
#include "base/half.h"
#include "base/memory.h"
#include "cpu/cpu.h"
#include "cpu/resample.h"
#include "cpu/team.h"
#include "cpu/vector_math.h"
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
};

// What the guide of one image contributes; planes (H, W).
struct guide {
    double *value;   // I
    double *mean;    // <I>
    double *inverse; // 1 / (variance + eps)
};

// The memory of one thread.
struct scratch {
    double *a, *b;           // planes (H, W)
    double *column[2];       // (W): sums over the rows of the window
    double *window_means[2]; // (W): of one row
};

static void release(struct cpu_op *base) {
    struct guided_filter_op *op = (struct guided_filter_op *)base;
    resample_axis_deinit(&op->rows);
    resample_axis_deinit(&op->columns);
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
    return resample_axis_init(&op->columns, desc->w_maps, desc->w);
}

static struct guide guide_of(const struct guided_filter_op *op, void *workspace, int n) {
    double *at = (double *)workspace + 3 * (size_t)n * op->n_pixels;
    return (struct guide){at, at + op->n_pixels, at + 2 * op->n_pixels};
}

static struct scratch scratch_of(const struct guided_filter_op *op, void *workspace) {
    size_t w = (size_t)op->desc.w;
    double *at = (double *)workspace + 3 * (size_t)op->desc.n * op->n_pixels +
                 (size_t)omp_get_thread_num() * op->thread_doubles;
    double *lines = at + 2 * op->n_pixels;
    return (struct scratch){
        at, at + op->n_pixels, {lines, lines + w}, {lines + 2 * w, lines + 3 * w}};
}

// ---- windows ------------------------------------------------------------------------------------

// Two planes whose windows are summed together: v and v times `factor` where that is given, v and w
// otherwise; q is v where it is not NULL.
struct pair {
    const float *q;
    const double *v, *w, *factor;
};

// sums += sign times one row of the pair.
CPU_KERNEL(static void, add_row,
           (const struct pair *pair, size_t at, int n, double sign, double *restrict first,
            double *restrict second),
           (pair, at, n, sign, first, second)) {
    for (int x = 0; x < n && pair->q == NULL; x++)
        first[x] += sign * pair->v[at + (size_t)x];
    for (int x = 0; x < n && pair->q == NULL; x++)
        second[x] +=
            sign * (pair->factor != NULL ? pair->v[at + (size_t)x] * pair->factor[at + (size_t)x]
                                         : pair->w[at + (size_t)x]);
    for (int x = 0; x < n && pair->q != NULL; x++)
        first[x] += sign * (double)pair->q[at + (size_t)x];
    for (int x = 0; x < n && pair->q != NULL; x++)
        second[x] += sign * ((double)pair->q[at + (size_t)x] * pair->factor[at + (size_t)x]);
}

// The columns' sums for the window around row y, from those of row y - 1.
static void move_down(const struct guided_filter_op *op, const struct pair *pair, int y,
                      const struct scratch *scratch) {
    int w = op->desc.w, radius = op->radius_y;
    double *first = scratch->column[0], *second = scratch->column[1];
    if (y == 0) {
        memset(first, 0, (size_t)w * sizeof *first);
        memset(second, 0, (size_t)w * sizeof *second);
        for (int row = 0; row < radius && row < op->desc.h; row++)
            add_row(pair, (size_t)row * (size_t)w, w, 1.0, first, second);
    }
    if (y + radius < op->desc.h)
        add_row(pair, (size_t)(y + radius) * (size_t)w, w, 1.0, first, second);
    if (y > radius)
        add_row(pair, (size_t)(y - radius - 1) * (size_t)w, w, -1.0, first, second);
}

// The means of row y's windows from the columns' sums.
static void sweep_row(const struct guided_filter_op *op, int y, const double *columns,
                      double *means) {
    int w = op->desc.w, radius = op->radius_x;
    int n_rows = guided_extent(y, op->radius_y, op->desc.h);
    double sum = 0.0;
    for (int x = 0; x < radius && x < w; x++)
        sum += columns[x];
    for (int x = 0; x < w; x++) {
        sum += (x + radius < w ? columns[x + radius] : 0.0) -
               (x > radius ? columns[x - radius - 1] : 0.0);
        means[x] = sum / (double)(n_rows * guided_extent(x, radius, w));
    }
}

static void window_means(const struct guided_filter_op *op, const struct pair *pair, int y,
                         const struct scratch *scratch) {
    move_down(op, pair, y, scratch);
    sweep_row(op, y, scratch->column[0], scratch->window_means[0]);
    sweep_row(op, y, scratch->column[1], scratch->window_means[1]);
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

static void prepare_guide(const struct guided_filter_op *op,
                          const struct adele_guided_filter_args *args, int n,
                          const struct scratch *scratch) {
    struct guide guide = guide_of(op, args->workspace, n);
    make_guide(op, args, n, guide.value);
    const struct pair pair = {.v = guide.value, .factor = guide.value};
    for (int y = 0; y < op->desc.h; y++) {
        size_t at = (size_t)y * (size_t)op->desc.w;
        window_means(op, &pair, y, scratch);
        for (int x = 0; x < op->desc.w; x++) {
            double mean = scratch->window_means[0][x];
            guide.mean[at + (size_t)x] = mean;
            guide.inverse[at + (size_t)x] =
                1.0 / (scratch->window_means[1][x] - mean * mean + op->desc.eps);
        }
    }
}

// ---- one class of one image ---------------------------------------------------------------------

static void make_q(const struct guided_filter_op *op, const uint16_t *map, float scale, float *q) {
    const struct resample_axis *rows = &op->rows, *columns = &op->columns;
    size_t w_maps = (size_t)op->desc.w_maps;
    for (int y = 0; y < op->desc.h; y++) {
        const uint16_t *upper = map + (size_t)rows->low[y] * w_maps;
        const uint16_t *lower = map + (size_t)rows->high[y] * w_maps;
        for (int x = 0; x < op->desc.w; x++) {
            int left = columns->low[x], right = columns->high[x];
            const double corners[] = {guided_value(half_to_float(upper[left])),
                                      guided_value(half_to_float(upper[right])),
                                      guided_value(half_to_float(lower[left])),
                                      guided_value(half_to_float(lower[right]))};
            *q++ = guided_blend(corners, rows->t[y], columns->t[x], scale);
        }
    }
}

// dst holds q, and then the result.
static void filter(const struct guided_filter_op *op, const struct guide *guide, float *dst,
                   const struct scratch *scratch) {
    const struct pair of_q = {.q = dst, .factor = guide->value};
    const struct pair of_ab = {.v = scratch->a, .w = scratch->b};
    int w = op->desc.w;
    for (int y = 0; y < op->desc.h; y++) {
        window_means(op, &of_q, y, scratch);
        for (int x = 0; x < w; x++) {
            size_t i = (size_t)y * (size_t)w + (size_t)x;
            double mean = scratch->window_means[0][x];
            double covariance = scratch->window_means[1][x] - guide->mean[i] * mean;
            scratch->a[i] = covariance * guide->inverse[i];
            scratch->b[i] = mean - scratch->a[i] * guide->mean[i];
        }
    }
    for (int y = 0; y < op->desc.h; y++) {
        window_means(op, &of_ab, y, scratch);
        for (int x = 0; x < w; x++) {
            size_t i = (size_t)y * (size_t)w + (size_t)x;
            dst[i] = (float)guided_clamp(scratch->window_means[0][x] * guide->value[i] +
                                         scratch->window_means[1][x]);
        }
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
