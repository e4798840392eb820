// SPDX-License-Identifier: MIT
// Mean field of the fully connected CRF. Categories are filtered 8 at a time, so that the lattice
// holds 8 values a corner for any number of categories: q and all that is computed from it have the
// layout (C / 8, pixel, 8), lanes beyond C are 0. The spatial Gaussian is separable, including the
// roots of the sums, and is computed exactly up to CRF_REACH sigmas; the bilateral one is
// approximated on the lattice.
#include "base/fail.h"
#include "cpu/cpu.h"
#include "cpu/crf_lattice.h"
#include "cpu/team.h"
#include "cpu/vector_math.h"
#include "device/crf_spatial.h"
#include "device/lattice.h"
#include "device/op_check.h"

#include <math.h>
#include <string.h>

#define RUN      256 // pixels that a thread takes at a time
#define NO_LOGIT -1e30f

struct crf_op {
    struct cpu_op base;
    struct adele_crf_desc desc;
    int n_threads, n_groups; // groups of 8 categories
    size_t n_pixels, lattice_bytes;
    struct crf_spatial spatial;
    struct crf_lattice lattice;
};

// What the workspace holds, beside the lattice.
struct work {
    float *q;               // (n_groups, pixel, 8)
    float *message, *swept; // (pixel, 8)
    float *norm;            // (pixel): 1 / root of the sums of the bilateral Gaussian
};

static void release(struct cpu_op *base) {
    crf_spatial_deinit(&((struct crf_op *)base)->spatial);
}

static void plan_lattice(struct crf_op *op) {
    struct crf_lattice *lattice = &op->lattice;
    lattice->d = 2 + op->desc.image_c;
    lattice->w = op->desc.w;
    lattice->n_threads = op->n_threads;
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
    size_t rows = ((size_t)op->n_groups + 2) * CRF_LANES + 1;
    op->base.op.workspace_bytes = op->lattice_bytes + rows * op->n_pixels * sizeof(float);
    return ADELE_OK;
}

static struct work place_work(const struct crf_op *op, char *workspace) {
    struct work work;
    work.q = (float *)(void *)(workspace + op->lattice_bytes);
    work.message = work.q + (size_t)op->n_groups * op->n_pixels * CRF_LANES;
    work.swept = work.message + op->n_pixels * CRF_LANES;
    work.norm = work.swept + op->n_pixels * CRF_LANES;
    return work;
}

// ---- the spatial Gaussian -----------------------------------------------------------------------

// Row y of src along x.
CPU_KERNEL(static void, sweep_row, (const struct crf_op *op, const float *src, int y, float *dst),
           (op, src, y, dst)) {
    const struct crf_spatial *spatial = &op->spatial;
    int w = op->desc.w, reach = spatial->reach;
    size_t offset = (size_t)y * (size_t)w * CRF_LANES;
    for (int x = 0; x < w; x++) {
        float sum[CRF_LANES] = {0.0f};
        for (int i = x > reach ? x - reach : 0; i < w && i <= x + reach; i++) {
            float weight = spatial->tap[i > x ? i - x : x - i] * spatial->column[i];
            for (int lane = 0; lane < CRF_LANES; lane++)
                sum[lane] += weight * src[offset + (size_t)i * CRF_LANES + (size_t)lane];
        }
        for (int lane = 0; lane < CRF_LANES; lane++)
            dst[offset + (size_t)x * CRF_LANES + (size_t)lane] = spatial->column[x] * sum[lane];
    }
}

// Row y of the message: the sum over the rows around it.
CPU_KERNEL(static void, sum_rows, (const struct crf_op *op, const float *swept, int y, float *dst),
           (op, swept, y, dst)) {
    const struct crf_spatial *spatial = &op->spatial;
    int reach = spatial->reach;
    size_t n = (size_t)op->desc.w * CRF_LANES;
    float *out = dst + (size_t)y * n;
    memset(out, 0, n * sizeof *out);
    for (int i = y > reach ? y - reach : 0; i < op->desc.h && i <= y + reach; i++) {
        float weight = (float)op->desc.spatial_weight * spatial->row[y] * spatial->row[i] *
                       spatial->tap[i > y ? i - y : y - i];
        const float *from = swept + (size_t)i * n;
        for (size_t x = 0; x < n; x++)
            out[x] += weight * from[x];
    }
}

static void spatial_message(const struct crf_op *op, const float *src, const struct work *work) {
#pragma omp parallel for num_threads(team_size(op->n_threads)) schedule(static)
    for (int y = 0; y < op->desc.h; y++)
        sweep_row(op, src, y, work->swept);
#pragma omp parallel for num_threads(team_size(op->n_threads)) schedule(static)
    for (int y = 0; y < op->desc.h; y++)
        sum_rows(op, work->swept, y, work->message);
}

// ---- mean field ---------------------------------------------------------------------------------

// q of one group = log p + message: n pixels from `first` on.
CPU_KERNEL(static void, add_unary,
           (const struct crf_op *op, const float *probabilities, int group, size_t first, size_t n,
            const float *message, float *q),
           (op, probabilities, group, first, n, message, q)) {
    for (int lane = 0; lane < CRF_LANES; lane++) {
        int c = group * CRF_LANES + lane;
        float line[RUN];
        if (c >= op->desc.c) {
            for (size_t x = first; x < first + n; x++)
                q[x * CRF_LANES + (size_t)lane] = NO_LOGIT;
            continue;
        }
        const float *p = probabilities + (size_t)c * op->n_pixels + first;
        for (size_t x = 0; x < n; x++) {
            float floored = p[x] > CRF_FLOOR ? p[x] : CRF_FLOOR;
            line[x] = cpu_log(floored < 1.0f ? floored : 1.0f);
        }
        for (size_t x = 0; x < n; x++) {
            size_t at = (first + x) * CRF_LANES + (size_t)lane;
            q[at] = line[x] + message[at];
        }
    }
}

// q = softmax of itself over the categories of one pixel.
CPU_KERNEL(static void, softmax_run, (const struct crf_op *op, size_t first, size_t n, float *q),
           (op, first, n, q)) {
    size_t group = op->n_pixels * CRF_LANES, all = (size_t)op->n_groups * group;
    for (float *z = q + first * CRF_LANES; z < q + (first + n) * CRF_LANES; z += CRF_LANES) {
        float best[CRF_LANES], sum[CRF_LANES] = {0.0f}, highest = NO_LOGIT, total = 0.0f;
        memcpy(best, z, sizeof best);
        for (size_t i = group; i < all; i += group)
            for (int lane = 0; lane < CRF_LANES; lane++)
                best[lane] = z[i + (size_t)lane] > best[lane] ? z[i + (size_t)lane] : best[lane];
        for (int lane = 0; lane < CRF_LANES; lane++)
            highest = best[lane] > highest ? best[lane] : highest;
        for (size_t i = 0; i < all; i += group)
            for (int lane = 0; lane < CRF_LANES; lane++) {
                z[i + (size_t)lane] = cpu_exp(z[i + (size_t)lane] - highest);
                sum[lane] += z[i + (size_t)lane];
            }
        for (int lane = 0; lane < CRF_LANES; lane++)
            total += sum[lane];
        for (size_t i = 0; i < all; i += group)
            for (int lane = 0; lane < CRF_LANES; lane++)
                z[i + (size_t)lane] /= total;
    }
}

static size_t length_of(size_t first, size_t n) {
    return n - first < RUN ? n - first : RUN;
}

static void update(const struct crf_op *op, const float *probabilities, int group,
                   const struct work *work) {
    float *q = work->q + (size_t)group * op->n_pixels * CRF_LANES;
#pragma omp parallel for num_threads(team_size(op->n_threads)) schedule(static)
    for (size_t first = 0; first < op->n_pixels; first += RUN)
        add_unary(op, probabilities, group, first, length_of(first, op->n_pixels), work->message,
                  q);
}

static void normalize(const struct crf_op *op, const struct work *work) {
#pragma omp parallel for num_threads(team_size(op->n_threads)) schedule(static)
    for (size_t first = 0; first < op->n_pixels; first += RUN)
        softmax_run(op, first, length_of(first, op->n_pixels), work->q);
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
    memset(work->message, 0, op->n_pixels * CRF_LANES * sizeof(float));
    for (int group = 0; group < op->n_groups; group++)
        update(op, probabilities, group, work);
    normalize(op, work);
    for (int i = 0; i < op->desc.iterations; i++) {
        for (int group = 0; group < op->n_groups; group++) {
            const float *q = work->q + (size_t)group * op->n_pixels * CRF_LANES;
            spatial_message(op, q, work);
            crf_lattice_filter(&op->lattice, q, work->norm, (float)op->desc.bilateral_weight,
                               work->message);
            update(op, probabilities, group, work);
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
