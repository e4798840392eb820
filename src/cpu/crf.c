// SPDX-License-Identifier: MIT
// Mean field of the fully connected CRF. Categories are filtered 8 at a time, so that the lattice
// holds 8 values a corner for any number of categories: q and all that is computed from it have the
// layout (C / 8, pixel, 8), lanes beyond C are 0. The spatial Gaussian is separable, including the
// roots of the sums, and is computed exactly up to CRF_REACH sigmas; the bilateral one is
// approximated on the lattice.
#include "base/fail.h"
#include "cpu/cpu.h"
#include "cpu/crf_lattice.h"
#include "cpu/lanes.h"
#include "cpu/team.h"
#include "cpu/vector_math.h"
#include "device/crf_spatial.h"
#include "device/lattice.h"
#include "device/op_check.h"

#include <math.h>
#include <string.h>

#define RUN      256 // pixels that a thread takes at a time
#define AT_ONCE  8   // pixels whose sums are in registers, to hide the latency of an add
#define COLUMNS  32  // pixels of a softmax that are brought side by side
#define NO_LOGIT -1e30f

struct crf_op {
    struct cpu_op base;
    struct adele_crf_desc desc;
    int n_threads, n_groups; // groups of 8 categories
    size_t n_pixels, lattice_bytes;
    size_t line_floats; // a row between zeros as wide as the spatial Gaussian reaches
    struct crf_spatial spatial;
    struct crf_lattice lattice;
};

// What the workspace holds, beside the lattice.
struct work {
    float *q, *unary;       // (n_groups, pixel, 8); log of the probabilities
    float *message, *swept; // (pixel, 8)
    float *norm;            // (pixel): 1 / root of the sums of the bilateral Gaussian
    float *lines;           // (n_threads, line_floats)
};

static void release(struct cpu_op *base) {
    crf_spatial_deinit(&((struct crf_op *)base)->spatial);
}

static void plan_lattice(struct crf_op *op) {
    struct crf_lattice *lattice = &op->lattice;
    lattice->d = 2 + op->desc.image_c;
    lattice->w = op->desc.w;
    lattice->n_threads = op->n_threads;
    lattice->n_lanes = op->desc.c <= CRF_LANES / 2 ? CRF_LANES / 2 : CRF_LANES;
    lattice->n_pixels = (int64_t)op->n_pixels;
    lattice->n_entries = lattice->n_pixels * (lattice->d + 1);
    lattice->n_slots = lattice_slots(lattice->n_entries);
    lattice->position_sigma = op->desc.bilateral_sigma;
    lattice->colour_sigma = op->desc.colour_sigma;
    op->lattice_bytes = crf_lattice_place(lattice, NULL);
}

adele_status cpu_crf_create(const struct adele_device *device, const struct adele_crf_desc *desc,
                            struct adele_op **out) {
    TRY(cpu_op_create(device, ADELE_OP_crf, sizeof(struct crf_op), out));
    struct crf_op *op = (struct crf_op *)*out;
    op->base.release = release;
    op->base.op.engine = "lattice";
    op->desc = *desc;
    op->n_threads = cpu_n_threads(device);
    op->n_groups = (desc->c + CRF_LANES - 1) / CRF_LANES;
    op->n_pixels = (size_t)desc->h * (size_t)desc->w;
    TRY(crf_spatial_init(desc, &op->spatial));
    plan_lattice(op);
    size_t whole_w = ((size_t)desc->w + AT_ONCE - 1) / AT_ONCE * AT_ONCE;
    op->line_floats = (whole_w + 2 * (size_t)op->spatial.reach) * CRF_LANES;
    size_t rows = (2 * (size_t)op->n_groups + 2) * CRF_LANES + 1;
    op->base.op.workspace_bytes =
        op->lattice_bytes +
        (rows * op->n_pixels + (size_t)op->n_threads * op->line_floats) * sizeof(float);
    return ADELE_OK;
}

static struct work place_work(const struct crf_op *op, char *workspace) {
    struct work work;
    work.q = (float *)(void *)(workspace + op->lattice_bytes);
    work.unary = work.q + (size_t)op->n_groups * op->n_pixels * CRF_LANES;
    work.message = work.unary + (size_t)op->n_groups * op->n_pixels * CRF_LANES;
    work.swept = work.message + op->n_pixels * CRF_LANES;
    work.norm = work.swept + op->n_pixels * CRF_LANES;
    work.lines = work.norm + op->n_pixels;
    return work;
}

// ---- the spatial Gaussian -----------------------------------------------------------------------

// Row y of src along x, times the root of its own row's sum. The taps are symmetric, so that two
// pixels share a product; beyond the image they are zeros of `line`.
CPU_KERNEL(static void, sweep_row,
           (const struct crf_op *op, const float *src, int y, float *line, float *dst),
           (op, src, y, line, dst)) {
    const struct crf_spatial *spatial = &op->spatial;
    int w = op->desc.w, reach = spatial->reach;
    size_t offset = (size_t)y * (size_t)w * CRF_LANES;
    float *middle = line + (size_t)reach * CRF_LANES;
    for (int x = 0; x < w; x++)
        LANES_STORE(middle + (size_t)x * CRF_LANES,
                    spatial->column[x] * LANES_AT(src + offset + (size_t)x * CRF_LANES));
    for (int x = 0; x < w; x += AT_ONCE) {
        const float *at = middle + (size_t)x * CRF_LANES;
        lanes sum[AT_ONCE];
#pragma GCC unroll 8
        for (int i = 0; i < AT_ONCE; i++)
            sum[i] = spatial->tap[0] * LANES_AT(at + i * CRF_LANES);
        for (int k = 1; k <= reach; k++)
#pragma GCC unroll 8
            for (int i = 0; i < AT_ONCE; i++)
                sum[i] += spatial->tap[k] *
                          (LANES_AT(at + (i - k) * CRF_LANES) + LANES_AT(at + (i + k) * CRF_LANES));
#pragma GCC unroll 8
        for (int i = 0; i < AT_ONCE; i++)
            if (x + i < w)
                LANES_STORE(dst + offset + (size_t)(x + i) * CRF_LANES,
                            spatial->row[y] * spatial->column[x + i] * sum[i]);
    }
}

// Row y of the message: the sum over the rows around it.
CPU_KERNEL(static void, sum_rows, (const struct crf_op *op, const float *swept, int y, float *dst),
           (op, swept, y, dst)) {
    const struct crf_spatial *spatial = &op->spatial;
    int w = op->desc.w, h = op->desc.h, reach = spatial->reach;
    size_t n = (size_t)w * CRF_LANES;
    float weight = (float)op->desc.spatial_weight * spatial->row[y];
    for (int x = 0; x < w; x += AT_ONCE) {
        int n_pixels = w - x < AT_ONCE ? w - x : AT_ONCE;
        const float *at = swept + (size_t)y * n + (size_t)x * CRF_LANES;
        float *out = dst + (size_t)y * n + (size_t)x * CRF_LANES;
        lanes sum[AT_ONCE];
        for (int i = 0; i < n_pixels; i++)
            sum[i] = spatial->tap[0] * LANES_AT(at + i * CRF_LANES);
        for (int k = 1; k <= reach; k++) {
            // Of the rows y - k and y + k those that are inside of the image.
            const float *above = at - (size_t)k * n, *below = at + (size_t)k * n;
            for (int i = 0; i < n_pixels * CRF_LANES && k <= y && y + k < h; i += CRF_LANES)
                sum[i / CRF_LANES] += spatial->tap[k] * (LANES_AT(above + i) + LANES_AT(below + i));
            const float *one = k <= y ? above : below;
            for (int i = 0; i < n_pixels * CRF_LANES && (k <= y) != (y + k < h); i += CRF_LANES)
                sum[i / CRF_LANES] += spatial->tap[k] * LANES_AT(one + i);
        }
        for (int i = 0; i < n_pixels; i++)
            LANES_STORE(out + i * CRF_LANES, weight * sum[i]);
    }
}

static void spatial_message(const struct crf_op *op, const float *src, const struct work *work) {
#pragma omp parallel for num_threads(team_size(op->n_threads)) schedule(static)
    for (int y = 0; y < op->desc.h; y++)
        sweep_row(op, src, y, work->lines + (size_t)omp_get_thread_num() * op->line_floats,
                  work->swept);
#pragma omp parallel for num_threads(team_size(op->n_threads)) schedule(static)
    for (int y = 0; y < op->desc.h; y++)
        sum_rows(op, work->swept, y, work->message);
}

// ---- mean field ---------------------------------------------------------------------------------

// unary = log p of one group: n pixels from `first` on.
CPU_KERNEL(static void, take_logs,
           (const struct crf_op *op, const float *probabilities, int group, size_t first, size_t n,
            float *unary),
           (op, probabilities, group, first, n, unary)) {
    for (int lane = 0; lane < CRF_LANES; lane++) {
        int c = group * CRF_LANES + lane;
        float line[RUN] = {0.0f};
        const float *p = probabilities + (size_t)c * op->n_pixels + first;
        for (size_t x = 0; x < n && c < op->desc.c; x++) {
            float floored = p[x] > CRF_FLOOR ? p[x] : CRF_FLOOR;
            line[x] = cpu_log(floored < 1.0f ? floored : 1.0f);
        }
        for (size_t x = 0; x < n; x++)
            unary[(first + x) * CRF_LANES + (size_t)lane] = c < op->desc.c ? line[x] : NO_LOGIT;
    }
}

CPU_KERNEL(static void, add_lanes, (const float *a, const float *b, size_t n_pixels, float *sum),
           (a, b, n_pixels, sum)) {
    for (size_t i = 0; i < n_pixels * CRF_LANES; i += CRF_LANES)
        LANES_STORE(sum + i, LANES_AT(a + i) + LANES_AT(b + i));
}

// q = softmax of itself over the categories of n pixels, at most COLUMNS. The pixels of a category
// come side by side, so that nothing is summed across a vector.
CPU_KERNEL(static void, softmax_columns, (int n_categories, size_t group_floats, int n, float *q),
           (n_categories, group_floats, n, q)) {
    float line[256][COLUMNS], highest[COLUMNS], total[COLUMNS] = {0.0f};
    for (int c = 0; c < n_categories; c++) {
        const float *z = q + (size_t)(c / CRF_LANES) * group_floats + c % CRF_LANES;
        for (int x = 0; x < n; x++)
            line[c][x] = z[x * CRF_LANES];
        for (int x = n; x < COLUMNS; x++)
            line[c][x] = 0.0f;
    }
    for (int x = 0; x < COLUMNS; x++)
        highest[x] = -INFINITY;
    for (int c = 0; c < n_categories; c++)
        for (int x = 0; x < COLUMNS; x++)
            highest[x] = line[c][x] > highest[x] ? line[c][x] : highest[x];
    for (int c = 0; c < n_categories; c++)
        for (int x = 0; x < COLUMNS; x++) {
            line[c][x] = cpu_exp(line[c][x] - highest[x]);
            total[x] += line[c][x];
        }
    for (int c = 0; c < n_categories; c++)
        for (int x = 0; x < COLUMNS; x++)
            line[c][x] /= total[x];
    for (int c = 0; c < n_categories; c++) {
        float *z = q + (size_t)(c / CRF_LANES) * group_floats + c % CRF_LANES;
        for (int x = 0; x < n; x++)
            z[x * CRF_LANES] = line[c][x];
    }
    for (int c = n_categories; c % CRF_LANES != 0; c++)
        for (int x = 0; x < n; x++)
            q[(size_t)(c / CRF_LANES) * group_floats + (size_t)(x * CRF_LANES + c % CRF_LANES)] =
                0.0f;
}

static size_t length_of(size_t first, size_t n) {
    return n - first < RUN ? n - first : RUN;
}

static void make_unary(const struct crf_op *op, const float *probabilities,
                       const struct work *work) {
    for (int group = 0; group < op->n_groups; group++) {
        float *unary = work->unary + (size_t)group * op->n_pixels * CRF_LANES;
#pragma omp parallel for num_threads(team_size(op->n_threads)) schedule(static)
        for (size_t first = 0; first < op->n_pixels; first += RUN)
            take_logs(op, probabilities, group, first, length_of(first, op->n_pixels), unary);
    }
}

// q of one group = log p + message.
static void update(const struct crf_op *op, int group, const struct work *work) {
    size_t at = (size_t)group * op->n_pixels * CRF_LANES;
#pragma omp parallel for num_threads(team_size(op->n_threads)) schedule(static)
    for (size_t first = 0; first < op->n_pixels; first += RUN)
        add_lanes(work->unary + at + first * CRF_LANES, work->message + first * CRF_LANES,
                  length_of(first, op->n_pixels), work->q + at + first * CRF_LANES);
}

static void normalize(const struct crf_op *op, const struct work *work) {
#pragma omp parallel for num_threads(team_size(op->n_threads)) schedule(static)
    for (size_t first = 0; first < op->n_pixels; first += COLUMNS)
        softmax_columns(op->desc.c, op->n_pixels * CRF_LANES,
                        op->n_pixels - first < COLUMNS ? (int)(op->n_pixels - first) : COLUMNS,
                        work->q + first * CRF_LANES);
}

static void make_norm(struct crf_op *op, const struct work *work) {
    memset(work->message, 0, op->n_pixels * CRF_LANES * sizeof(float));
    crf_lattice_filter(&op->lattice, NULL, NULL, 1.0f, work->message);
    for (size_t i = 0; i < op->n_pixels; i++)
        work->norm[i] = 1.0f / sqrtf(work->message[i * CRF_LANES] + 1e-20f);
}

static void store(const struct crf_op *op, const struct work *work, float *dst) {
#pragma omp parallel for num_threads(team_size(op->n_threads)) schedule(static)
    for (int c = 0; c < op->desc.c; c++) {
        const float *q = work->q + (size_t)(c / CRF_LANES) * op->n_pixels * CRF_LANES;
        for (size_t i = 0; i < op->n_pixels; i++)
            dst[(size_t)c * op->n_pixels + i] = q[i * CRF_LANES + (size_t)(c % CRF_LANES)];
    }
}

static void infer(struct crf_op *op, const float *probabilities, const uint8_t *image,
                  const struct work *work, float *dst) {
    crf_lattice_build(&op->lattice, image);
    make_norm(op, work);
    memset(work->lines, 0, (size_t)op->n_threads * op->line_floats * sizeof(float));
    make_unary(op, probabilities, work);
    memcpy(work->q, work->unary, (size_t)op->n_groups * op->n_pixels * CRF_LANES * sizeof(float));
    normalize(op, work);
    for (int i = 0; i < op->desc.iterations; i++) {
        for (int group = 0; group < op->n_groups; group++) {
            const float *q = work->q + (size_t)group * op->n_pixels * CRF_LANES;
            spatial_message(op, q, work);
            crf_lattice_filter(&op->lattice, q, work->norm, (float)op->desc.bilateral_weight,
                               work->message);
            update(op, group, work);
        }
        normalize(op, work);
    }
    store(op, work, dst);
}

adele_status cpu_crf_forward(struct adele_op *base, const struct adele_crf_args *args) {
    struct crf_op *op = (struct crf_op *)base;
    TRY(op_check_crf_args(args));
    (void)crf_lattice_place(&op->lattice, args->workspace);
    struct work work = place_work(op, args->workspace);
    for (int i = 0; i < op->desc.n; i++) {
        int i_image = args->sample_ids != NULL ? args->sample_ids[i] : i;
        if (i_image < 0)
            continue;
        size_t row = (size_t)i * (size_t)op->desc.c * op->n_pixels;
        infer(op, args->probabilities + row,
              args->images + (size_t)i_image * (size_t)op->desc.image_c * op->n_pixels, &work,
              args->dst + row);
    }
    return ADELE_OK;
}
