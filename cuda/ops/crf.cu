// SPDX-License-Identifier: MIT
// Mean field of the fully connected CRF (METHOD section 3), as device/label_ops.h defines it:
//     q = softmax(log p + w_s K_s q + w_b K_b q)
// p, q, dst: plain (N, C, H, W); images plain (set, image_c, H, W). Images are computed one after
// the other, and the categories of an image too: with Potts potentials the message to a category
// depends on the q of that category alone.
// K_s is separable and computed directly; K_b is computed on the permutohedral lattice of
// device/lattice.h.
//
// A pixel has d + 1 entries, one for each corner of its simplex, and a corner's number is the
// lowest entry that refers to it. Which thread takes a slot of the hash table varies from run to
// run; the corner's number, and so the place of its values, does not. What pixels add to a corner
// is summed in integers (FIXED_POINT), where the order does not matter. Everything else is computed
// by one thread: the same bits in every run.
#include "runtime/common.cuh"

#include "device/crf_spatial.h"
#include "device/lattice.h"
#include "device/op_check.h"

#include <math.h>

namespace adele_cuda {

#define N_THREADS 256
// A share is at most 1, divided by a root of at least 1/20 (the sum includes the pixel itself):
// 2^27 pixels' shares stay below 2^32, and 2^31 steps a unit below 2^63.
#define FIXED_POINT 2147483648.0

struct crf_op {
    struct cuda_op base;
    struct adele_crf_desc desc;
    int d, reach;
    int64_t n_pixels, n_entries;
    uint32_t n_slots;
    float *tables; // device memory: taps, row roots, column roots
};

// Parameters of all kernels.
struct crf_task {
    int row, c, d, h, w, reach; // row: which of the N
    uint32_t n_slots;
    int64_t n_pixels, n_entries;
    double position_sigma, colour_sigma;
    float spatial_weight, bilateral_weight;
    const uint8_t *images;
    const int32_t *sample_ids;         // NULL: row i of image i
    const float *p;                    // (C, n_pixels) of this row
    const float *tap, *roots, *column; // (reach + 1), (h), (w)
    int32_t *slots;                    // (n_slots): an entry, or -1
    int32_t *keys;                     // (n_entries, d)
    int32_t *corner;                   // (n_entries): the lowest entry of the same corner
    int32_t *next, *back;              // (d + 1, n_entries): neighbours, -1 where there is none
    unsigned long long *sums;          // (n_entries), in FIXED_POINT
    float *weight;                     // (n_entries)
    float *q;                          // (C, n_pixels)
    float *swept, *norm;               // (n_pixels)
};

static __device__ bool is_empty_row(const struct crf_task *task) {
    return task->sample_ids != NULL && task->sample_ids[task->row] < 0;
}

// ---- the lattice --------------------------------------------------------------------------------

static __global__ void clear_slots(struct crf_task task) {
    int64_t i = thread_index();
    if (i < (int64_t)task.n_slots)
        task.slots[i] = -1;
}

// A thread owns one pixel.
static __global__ void embed(struct crf_task task) {
    int64_t i = thread_index();
    if (i >= task.n_pixels || is_empty_row(&task))
        return;
    int64_t i_image = task.sample_ids != NULL ? task.sample_ids[task.row] : task.row;
    const uint8_t *image = task.images + i_image * (task.d - 2) * task.n_pixels;
    double feature[LATTICE_MAX_D];
    struct lattice_simplex simplex;
    lattice_feature(task.d, image, task.n_pixels, i, task.w, task.position_sigma, task.colour_sigma,
                    feature);
    lattice_embed(task.d, feature, &simplex);
    for (int k = 0; k <= task.d; k++) {
        int64_t entry = i * (task.d + 1) + k;
        task.weight[entry] = simplex.weight[k];
        for (int j = 0; j < task.d; j++)
            task.keys[entry * task.d + j] = simplex.key[k][j];
    }
}

// A thread owns one entry: finds its key's slot, which then holds the lowest entry of that key.
static __global__ void insert(struct crf_task task) {
    int64_t i = thread_index();
    if (i >= task.n_entries || is_empty_row(&task))
        return;
    const int32_t *key = task.keys + i * task.d;
    uint32_t slot = lattice_hash(task.d, key) & (task.n_slots - 1);
    for (;;) {
        int32_t found = atomicCAS(&task.slots[slot], -1, (int32_t)i);
        if (found < 0 || lattice_is_key(task.d, key, task.keys + (int64_t)found * task.d))
            break;
        slot = (slot + 1) & (task.n_slots - 1);
    }
    atomicMin(&task.slots[slot], (int32_t)i);
    task.corner[i] = (int32_t)slot;
}

static __global__ void name_corner(struct crf_task task) {
    int64_t i = thread_index();
    if (i < task.n_entries && !is_empty_row(&task))
        task.corner[i] = task.slots[(uint32_t)task.corner[i]];
}

static __device__ int32_t find(const struct crf_task *task, const int32_t *key) {
    uint32_t slot = lattice_hash(task->d, key) & (task->n_slots - 1);
    while (task->slots[slot] >= 0 &&
           !lattice_is_key(task->d, key, task->keys + (int64_t)task->slots[slot] * task->d))
        slot = (slot + 1) & (task->n_slots - 1);
    return task->slots[slot];
}

// A thread owns one corner, as in all kernels with is_corner.
static __device__ bool is_corner(const struct crf_task *task, int64_t i) {
    return i < task->n_entries && !is_empty_row(task) && task->corner[i] == (int32_t)i;
}

static __global__ void find_neighbours(struct crf_task task) {
    int64_t i = thread_index();
    if (!is_corner(&task, i))
        return;
    for (int axis = 0; axis <= task.d; axis++) {
        int32_t key[LATTICE_MAX_D];
        lattice_step(task.d, task.keys + i * task.d, axis, 1, key);
        task.next[axis * task.n_entries + i] = find(&task, key);
        lattice_step(task.d, task.keys + i * task.d, axis, -1, key);
        task.back[axis * task.n_entries + i] = find(&task, key);
    }
}

// ---- the filter ---------------------------------------------------------------------------------

static __global__ void clear_sums(struct crf_task task) {
    int64_t i = thread_index();
    if (i < task.n_entries)
        task.sums[i] = 0;
}

// A thread owns one entry. src (n_pixels); without it, values and norms are 1.
static __global__ void split(struct crf_task task, const float *src) {
    int64_t i = thread_index();
    if (i >= task.n_entries || is_empty_row(&task))
        return;
    int64_t pixel = i / (task.d + 1);
    float share = task.weight[i] * (src != NULL ? task.norm[pixel] * src[pixel] : 1.0f);
    atomicAdd(&task.sums[task.corner[i]], (unsigned long long)((double)share * FIXED_POINT + 0.5));
}

static __global__ void read_sums(struct crf_task task, float *values) {
    int64_t i = thread_index();
    if (is_corner(&task, i))
        values[i] = (float)((double)task.sums[i] / FIXED_POINT);
}

static __global__ void blur(struct crf_task task, int axis, const float *values, float *blurred) {
    int64_t i = thread_index();
    if (!is_corner(&task, i))
        return;
    int32_t next = task.next[axis * task.n_entries + i];
    int32_t back = task.back[axis * task.n_entries + i];
    float sum = (next >= 0 ? values[next] : 0.0f) + (back >= 0 ? values[back] : 0.0f);
    blurred[i] = 0.5f * values[i] + 0.25f * sum;
}

static __device__ float blend(const struct crf_task *task, const float *values, int64_t pixel) {
    float sum = 0.0f;
    for (int k = 0; k <= task->d; k++) {
        int64_t entry = pixel * (task->d + 1) + k;
        sum += task->weight[entry] * values[task->corner[entry]];
    }
    return sum;
}

static __global__ void make_norm(struct crf_task task, const float *values) {
    int64_t i = thread_index();
    if (i < task.n_pixels && !is_empty_row(&task))
        task.norm[i] = 1.0f / sqrtf(blend(&task, values, i) + 1e-20f);
}

// ---- mean field: a thread owns one pixel --------------------------------------------------------

static __global__ void sweep(struct crf_task task, const float *src) {
    int64_t i = thread_index();
    if (i >= task.n_pixels || is_empty_row(&task))
        return;
    int x = (int)(i % task.w), low = max(x - task.reach, 0), high = min(x + task.reach, task.w - 1);
    float sum = 0.0f;
    for (int j = low; j <= high; j++)
        sum += task.tap[abs(j - x)] * task.column[j] * src[i - x + j];
    task.swept[i] = task.column[x] * sum;
}

// q of category c = log p + message; values NULL: log p alone.
static __global__ void update(struct crf_task task, int c, const float *values) {
    int64_t i = thread_index();
    if (i >= task.n_pixels || is_empty_row(&task))
        return;
    float p = task.p[c * task.n_pixels + i];
    p = p > CRF_FLOOR ? p : CRF_FLOOR;
    float z = logf(p < 1.0f ? p : 1.0f);
    if (values != NULL) {
        int y = (int)(i / task.w), x = (int)(i % task.w);
        int low = max(y - task.reach, 0), high = min(y + task.reach, task.h - 1);
        float sum = 0.0f;
        for (int j = low; j <= high; j++)
            sum += task.tap[abs(j - y)] * task.roots[j] * task.swept[(int64_t)j * task.w + x];
        z += task.spatial_weight * task.roots[y] * sum;
        z += task.bilateral_weight * task.norm[i] * blend(&task, values, i);
    }
    task.q[c * task.n_pixels + i] = z;
}

static __global__ void normalize(struct crf_task task, float *dst) {
    int64_t i = thread_index();
    if (i >= task.n_pixels || is_empty_row(&task))
        return;
    float best = task.q[i], sum = 0.0f;
    for (int c = 1; c < task.c; c++)
        best = fmaxf(best, task.q[c * task.n_pixels + i]);
    for (int c = 0; c < task.c; c++)
        sum += expf(task.q[c * task.n_pixels + i] - best);
    for (int c = 0; c < task.c; c++)
        dst[c * task.n_pixels + i] = expf(task.q[c * task.n_pixels + i] - best) / sum;
}

// ---- the op -------------------------------------------------------------------------------------

// values[2]: two arrays (n_entries) that a blur goes back and forth between.
static size_t place_work(const struct crf_op *op, char *base, struct crf_task *task,
                         float *values[2]) {
    size_t end = 0, entries = (size_t)op->n_entries, plane = (size_t)op->n_pixels * 4;
    auto take = [&](size_t bytes) -> void * {
        size_t at = workspace_place(&end, bytes);
        return base != NULL ? base + at : NULL; // NULL: only the bytes are counted
    };
    task->slots = (int32_t *)take((size_t)op->n_slots * 4);
    task->keys = (int32_t *)take(entries * (size_t)op->d * 4);
    task->corner = (int32_t *)take(entries * 4);
    task->next = (int32_t *)take(entries * (size_t)(op->d + 1) * 4);
    task->back = (int32_t *)take(entries * (size_t)(op->d + 1) * 4);
    task->sums = (unsigned long long *)take(entries * 8);
    task->weight = (float *)take(entries * 4);
    values[0] = (float *)take(entries * 4);
    values[1] = (float *)take(entries * 4);
    task->q = (float *)take((size_t)op->desc.c * plane);
    task->swept = (float *)take(plane);
    task->norm = (float *)take(plane);
    return end;
}

adele_status cuda_crf_create(const struct adele_device *device, const struct adele_crf_desc *desc,
                             struct adele_op **out) {
    struct crf_op *op = NULL;
    TRY(op_create(device, ADELE_OP_crf, &op, out));
    op->base.op.engine = "plain";
    op->desc = *desc;
    op->d = 2 + desc->image_c;
    op->n_pixels = (int64_t)desc->h * desc->w;
    op->n_entries = op->n_pixels * (op->d + 1);
    op->n_slots = lattice_slots(op->n_entries);
    struct crf_spatial spatial = {};
    adele_status status = crf_spatial_init(desc, &spatial);
    op->reach = spatial.reach;
    if (status == ADELE_OK)
        status = table_create(&op->base, spatial.tap, spatial.n_floats, &op->tables);
    crf_spatial_deinit(&spatial);
    TRY(status);
    struct crf_task task = {};
    float *values[2];
    op->base.op.workspace_bytes = place_work(op, NULL, &task, values);
    return ADELE_OK;
}

static adele_status build(const struct cuda_context *context, const struct crf_task *task) {
    int entries = blocks_for(task->n_entries, N_THREADS),
        pixels = blocks_for(task->n_pixels, N_THREADS);
    TRY(LAUNCH(context, clear_slots, blocks_for(task->n_slots, N_THREADS), N_THREADS, 0, *task));
    TRY(LAUNCH(context, embed, pixels, N_THREADS, 0, *task));
    TRY(LAUNCH(context, insert, entries, N_THREADS, 0, *task));
    TRY(LAUNCH(context, name_corner, entries, N_THREADS, 0, *task));
    return LAUNCH(context, find_neighbours, entries, N_THREADS, 0, *task);
}

// *out: the blurred values of src's corners, one of the two arrays.
static adele_status filter(const struct cuda_context *context, const struct crf_task *task,
                           const float *src, float *const values[2], const float **out) {
    int entries = blocks_for(task->n_entries, N_THREADS);
    TRY(LAUNCH(context, clear_sums, entries, N_THREADS, 0, *task));
    TRY(LAUNCH(context, split, entries, N_THREADS, 0, *task, src));
    TRY(LAUNCH(context, read_sums, entries, N_THREADS, 0, *task, values[0]));
    for (int axis = 0; axis <= task->d; axis++)
        TRY(LAUNCH(context, blur, entries, N_THREADS, 0, *task, axis,
                   (const float *)values[axis % 2], values[(axis + 1) % 2]));
    *out = values[(task->d + 1) % 2];
    return ADELE_OK;
}

static adele_status infer(const struct cuda_context *context, const struct crf_task *task,
                          int iterations, float *const values[2], float *dst) {
    int pixels = blocks_for(task->n_pixels, N_THREADS);
    const float *none = NULL, *message = NULL;
    TRY(build(context, task));
    TRY(filter(context, task, none, values, &message));
    TRY(LAUNCH(context, make_norm, pixels, N_THREADS, 0, *task, message));
    for (int c = 0; c < task->c; c++)
        TRY(LAUNCH(context, update, pixels, N_THREADS, 0, *task, c, none));
    for (int i = 0; i < iterations; i++) {
        TRY(LAUNCH(context, normalize, pixels, N_THREADS, 0, *task, task->q));
        for (int c = 0; c < task->c; c++) {
            const float *q = task->q + c * task->n_pixels;
            TRY(LAUNCH(context, sweep, pixels, N_THREADS, 0, *task, q));
            TRY(filter(context, task, q, values, &message));
            TRY(LAUNCH(context, update, pixels, N_THREADS, 0, *task, c, message));
        }
    }
    return LAUNCH(context, normalize, pixels, N_THREADS, 0, *task, dst);
}

adele_status cuda_crf_forward(struct adele_op *base, const struct adele_crf_args *args) {
    const struct crf_op *op = (struct crf_op *)base;
    const struct adele_crf_desc *desc = &op->desc;
    TRY(op_check_crf_args(args));
    struct crf_task task = {};
    float *values[2];
    (void)place_work(op, (char *)args->workspace, &task, values);
    task.c = desc->c, task.d = op->d, task.h = desc->h, task.w = desc->w, task.reach = op->reach;
    task.n_slots = op->n_slots, task.n_pixels = op->n_pixels, task.n_entries = op->n_entries;
    task.position_sigma = desc->bilateral_sigma, task.colour_sigma = desc->colour_sigma;
    task.spatial_weight = (float)desc->spatial_weight;
    task.bilateral_weight = (float)desc->bilateral_weight;
    task.images = args->images, task.sample_ids = args->sample_ids;
    task.tap = op->tables;
    task.roots = task.tap + op->reach + 1;
    task.column = task.roots + desc->h;
    for (int row = 0; row < desc->n; row++) {
        int64_t offset = (int64_t)row * desc->c * op->n_pixels;
        task.row = row;
        task.p = args->probabilities + offset;
        TRY(infer(context_of(base->device), &task, desc->iterations, values, args->dst + offset));
    }
    return ADELE_OK;
}

} // namespace adele_cuda
