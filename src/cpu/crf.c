// SPDX-License-Identifier: MIT
// Mean field of the fully connected CRF. The categories of a pixel lie side by side, in groups of
// n_lanes, whose messages are computed together: unary and q are (group, pixel, n_lanes), lanes
// beyond C have the probability 0. With one group an iteration is one pass over the rows, which
// adds up a row's messages, takes their softmax and hands it to both filters at once, so that q is
// never stored; with several groups these are passes of their own.
#include "base/fail.h"
#include "cpu/cpu.h"
#include "cpu/crf_gaussian.h"
#include "cpu/crf_lanes.h"
#include "cpu/crf_lattice.h"
#include "cpu/crf_softmax.h"
#include "cpu/team.h"
#include "cpu/vector_math.h"
#include "device/op_check.h"

#include <string.h>

#define RUN      128    // pixels whose logarithms are taken at a time
#define NO_LOGIT -1e30f // of lanes beyond C

struct crf_op {
    struct cpu_op base;
    struct adele_crf_desc desc;
    int n_threads;
    int n_lanes; // unless the lattice has too many corners
    size_t n_pixels, lattice_bytes;
    struct crf_gaussian gaussian;
    struct crf_lattice lattice;
};

// What the workspace holds, beside the lattice.
struct work {
    int n_lanes, n_groups;
    float *unary, *q; // (n_groups, pixel, n_lanes): log of the probabilities; with several groups
    struct crf_grid grid;
    float *lines; // (n_threads, thread_floats): those of the Gaussian, and a row of pixels
    size_t thread_floats;
};

// What a pass does with each row.
enum { TAKE_LOGS = 1, ADD_MESSAGES = 2, NORMALIZE = 4, FILTER = 8, STORE = 16 };

struct pass {
    int steps, group;
    const float *probabilities; // plain (C, H, W)
    float *dst;
};

static int count_groups(int c, int n_lanes) {
    return (c + n_lanes - 1) / n_lanes;
}

// Of 8, 16 and 24 the one that leaves the fewest lanes empty, and of several the largest.
static int choose_lanes(int c) {
    int best = c <= CRF_HALF ? CRF_HALF : LANES;
    for (int n = 2 * LANES; n <= CRF_MAX_LANES && c > LANES; n += LANES)
        if (count_groups(c, n) * n <= count_groups(c, best) * best)
            best = n;
    return best;
}

// ---- the op -------------------------------------------------------------------------------------

static void release(struct cpu_op *base) {
    crf_gaussian_deinit(&((struct crf_op *)base)->gaussian);
}

static float *place(char *base, size_t *offset, size_t n_floats) {
    size_t at = cpu_reserve(offset, n_floats * sizeof(float));
    return base != NULL ? (float *)(void *)(base + at) : NULL;
}

// What lies in the workspace behind the lattice; returns the bytes of both.
static size_t place_work(const struct crf_op *op, char *base, int n_lanes, struct work *work) {
    size_t offset = op->lattice_bytes;
    size_t row = crf_gaussian_row_floats(&op->gaussian, n_lanes);
    *work = (struct work){.n_lanes = n_lanes, .n_groups = count_groups(op->desc.c, n_lanes)};
    size_t n_values = (size_t)work->n_groups * op->n_pixels * (size_t)n_lanes;
    work->thread_floats =
        crf_gaussian_line_floats(&op->gaussian, n_lanes) + (size_t)op->desc.w * (size_t)n_lanes;
    work->unary = place(base, &offset, n_values);
    work->q = place(base, &offset, op->desc.c > LANES ? n_values : 0);
    work->grid.n_lanes = n_lanes;
    work->grid.rows = place(base, &offset, (size_t)op->desc.h * row);
    work->grid.grid = place(base, &offset, (size_t)op->gaussian.n_rows * row);
    work->grid.zeros = place(base, &offset, row);
    work->lines = place(base, &offset, (size_t)op->n_threads * work->thread_floats);
    return offset;
}

adele_status cpu_crf_create(const struct adele_device *device, const struct adele_crf_desc *desc,
                            struct adele_op **out) {
    TRY(cpu_op_create(device, ADELE_OP_crf, sizeof(struct crf_op), out));
    struct crf_op *op = (struct crf_op *)*out;
    op->base.release = release;
    op->base.op.engine = "lattice";
    op->desc = *desc;
    op->n_threads = cpu_n_threads(device);
    op->n_lanes = choose_lanes(desc->c);
    op->n_pixels = (size_t)desc->h * (size_t)desc->w;
    TRY(crf_gaussian_init(desc, &op->gaussian));
    crf_lattice_plan(&op->lattice, desc, op->n_threads);
    op->lattice_bytes = crf_lattice_place(&op->lattice, NULL);
    struct work work;
    op->base.op.workspace_bytes = place_work(op, NULL, op->n_lanes, &work);
    return ADELE_OK;
}

// ---- rows ---------------------------------------------------------------------------------------

// unary = log p of the row's categories of one group.
CPU_KERNEL(static void, take_logs,
           (const float *probabilities, size_t plane, int n_categories, int n_lanes, size_t n,
            float *unary),
           (probabilities, plane, n_categories, n_lanes, n, unary)) {
    for (size_t first = 0; first < n; first += RUN) {
        size_t n_run = n - first < RUN ? n - first : RUN;
        for (int lane = 0; lane < n_lanes; lane++) {
            float line[RUN], *to = unary + first * (size_t)n_lanes + (size_t)lane;
            const float *p = probabilities + (size_t)lane * plane + first;
            for (size_t x = 0; x < n_run && lane < n_categories; x++) {
                float floored = p[x] > CRF_FLOOR ? p[x] : CRF_FLOOR;
                line[x] = cpu_log(floored < 1.0f ? floored : 1.0f);
            }
            for (size_t x = 0; x < n_run; x++)
                to[x * (size_t)n_lanes] = lane < n_categories ? line[x] : NO_LOGIT;
        }
    }
}

static void store_row(const struct crf_op *op, const float *q, int group, int n_lanes, int y,
                      float *dst) {
    size_t w = (size_t)op->desc.w;
    for (int lane = 0; lane < n_lanes && group * n_lanes + lane < op->desc.c; lane++) {
        size_t c = (size_t)(group * n_lanes + lane);
        float *to = dst + c * op->n_pixels + (size_t)y * w;
        for (size_t x = 0; x < w; x++)
            to[x] = q[x * (size_t)n_lanes + (size_t)lane];
    }
}

// ---- passes -------------------------------------------------------------------------------------

static void take_row(const struct crf_op *op, const struct work *work, const struct pass *pass,
                     int y, float *q, size_t group_floats) {
    size_t n = (size_t)op->desc.w * (size_t)work->n_lanes;
    for (int g = 0; g < work->n_groups; g++) {
        int first = g * work->n_lanes;
        float *unary =
            work->unary + (size_t)g * op->n_pixels * (size_t)work->n_lanes + (size_t)y * n;
        take_logs(pass->probabilities + (size_t)first * op->n_pixels +
                      (size_t)y * (size_t)op->desc.w,
                  op->n_pixels, op->desc.c - first, work->n_lanes, (size_t)op->desc.w, unary);
        memcpy(q + (size_t)g * group_floats, unary, n * sizeof *q);
    }
}

static void run_row(const struct crf_op *op, const struct work *work, const struct pass *pass,
                    int y, float *lines) {
    int n_lanes = work->n_lanes;
    size_t n = (size_t)op->desc.w * (size_t)n_lanes;
    size_t group_floats = op->n_pixels * (size_t)n_lanes;
    size_t at = (size_t)pass->group * group_floats + (size_t)y * n;
    float *q = work->n_groups > 1 ? work->q + at : lines + work->thread_floats - n;
    if (pass->steps & TAKE_LOGS)
        take_row(op, work, pass, y, q, group_floats);
    if (pass->steps & ADD_MESSAGES) {
        crf_gaussian_spread(&op->gaussian, &work->grid, y, (float)op->desc.spatial_weight,
                            work->unary + at, lines, q);
        crf_lattice_blend(&op->lattice, y, q, n_lanes);
    }
    if (pass->steps & NORMALIZE)
        crf_softmax(q, work->n_groups, group_floats, n_lanes, (size_t)op->desc.w);
    for (int g = 0; g < work->n_groups && pass->steps & STORE; g++)
        store_row(op, q + (size_t)g * group_floats, g, n_lanes, y, pass->dst);
    if (pass->steps & FILTER) {
        crf_lattice_split(&op->lattice, y, q, n_lanes);
        crf_gaussian_gather(&op->gaussian, &work->grid, q, y, lines);
    }
}

static void run_pass(const struct crf_op *op, const struct work *work, const struct pass *pass) {
#pragma omp parallel for num_threads(team_size(op->n_threads)) schedule(dynamic)
    for (int band = 0; band < op->lattice.n_bands; band++) {
        int y = band * CRF_BAND, end = y + CRF_BAND < op->desc.h ? y + CRF_BAND : op->desc.h;
        if (pass->steps & FILTER)
            crf_lattice_clear(&op->lattice, band, work->n_lanes);
        for (; y < end; y++)
            run_row(op, work, pass, y,
                    work->lines + (size_t)omp_get_thread_num() * work->thread_floats);
    }
}

// The messages of what was handed to the filters.
static void filter(struct crf_op *op, const struct work *work) {
    crf_lattice_blur(&op->lattice, (float)op->desc.bilateral_weight, work->n_lanes);
    crf_gaussian_sum(&op->gaussian, &work->grid, op->n_threads);
}

// ---- mean field ---------------------------------------------------------------------------------

static void iterate_group(struct crf_op *op, const struct work *work, struct pass *pass) {
    pass->steps = TAKE_LOGS | NORMALIZE | FILTER;
    run_pass(op, work, pass);
    for (int i = 0; i < op->desc.iterations; i++) {
        filter(op, work);
        pass->steps = ADD_MESSAGES | NORMALIZE | (i + 1 < op->desc.iterations ? FILTER : STORE);
        run_pass(op, work, pass);
    }
}

static void iterate_groups(struct crf_op *op, const struct work *work, struct pass *pass) {
    pass->steps = TAKE_LOGS | NORMALIZE;
    run_pass(op, work, pass);
    for (int i = 0; i < op->desc.iterations; i++) {
        for (pass->group = 0; pass->group < work->n_groups; pass->group++) {
            pass->steps = FILTER;
            run_pass(op, work, pass);
            filter(op, work);
            pass->steps = ADD_MESSAGES;
            run_pass(op, work, pass);
        }
        pass->group = 0;
        pass->steps = i + 1 < op->desc.iterations ? NORMALIZE : NORMALIZE | STORE;
        run_pass(op, work, pass);
    }
}

static void infer(struct crf_op *op, char *workspace, const uint8_t *image, struct pass *pass) {
    struct work work;
    crf_lattice_build(&op->lattice, image);
    (void)place_work(op, workspace,
                     crf_lattice_fits(&op->lattice, op->n_lanes) ? op->n_lanes : LANES, &work);
    memset(work.lines, 0, (size_t)op->n_threads * work.thread_floats * sizeof(float));
    memset(work.grid.zeros, 0,
           crf_gaussian_row_floats(&op->gaussian, work.n_lanes) * sizeof(float));
    if (work.n_groups == 1)
        iterate_group(op, &work, pass);
    else
        iterate_groups(op, &work, pass);
}

adele_status cpu_crf_forward(struct adele_op *base, const struct adele_crf_args *args) {
    struct crf_op *op = (struct crf_op *)base;
    TRY(op_check_crf_args(args));
    (void)crf_lattice_place(&op->lattice, args->workspace);
    for (int i = 0; i < op->desc.n; i++) {
        int i_image = args->sample_ids != NULL ? args->sample_ids[i] : i;
        if (i_image < 0)
            continue;
        size_t row = (size_t)i * (size_t)op->desc.c * op->n_pixels;
        struct pass pass = {.probabilities = args->probabilities + row, .dst = args->dst + row};
        infer(op, args->workspace,
              args->images + (size_t)i_image * (size_t)op->desc.image_c * op->n_pixels, &pass);
    }
    return ADELE_OK;
}
