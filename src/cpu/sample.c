// SPDX-License-Identifier: MIT
// Gathers a batch from the resident set (its images from batch_images, if given): the normalized,
// augmented image at scale 0, the other scales from it, and label crops.
//
// The augmentation reads output pixel (x, y) at
//     u = x - (w - 1) / 2 - shift_x, v = y - (h - 1) / 2 - shift_y   (w - 1 - x for x when flipped)
//     source = ((w - 1) / 2 + (cos a u + sin a v) / s, (h - 1) / 2 + (cos a v - sin a u) /
//     s)
// with angle a, scale s and shifts drawn for (seed, epoch, sample id); elastic augmentation adds
// the shift of (x, y) to it (device/elastic_rule.h). The image is blended from
// the four neighbours, which count as 0 outside the image after normalization; labels are those of
// the nearest pixel, 255 outside. The VOC augmentation is in sample_voc.c.
#include "base/fail.h"
#include "base/random.h"
#include "cpu/cpu.h"
#include "cpu/resample.h"
#include "cpu/sample_voc.h"
#include "cpu/team.h"
#include "cpu/values.h"
#include "device/elastic_rule.h"
#include "device/op_check.h"
#include <math.h>
#include <omp.h>
#include <string.h>

#define DEGREE (3.14159265358979323846 / 180.0)

struct sample_op {
    struct cpu_op base;
    struct adele_sample_desc desc;
    int block, n_threads;
    bool is_bf16; // of the images that it writes
    struct adele_shape shape[ADELE_MAX_SCALES];
    struct resample_axis rows[ADELE_MAX_SCALES], columns[ADELE_MAX_SCALES]; // from scale 0
};

// Where output pixels of one row of the batch come from.
struct placement {
    bool is_flipped, is_affine;
    double cosine, sine; // over the scale
    double shift_x, shift_y, center_x, center_y;
    const struct elastic_shift *bends; // by point of the grid's columns, for this row; NULL: none
    double spacing;
};

static void release(struct cpu_op *base) {
    struct sample_op *op = (struct sample_op *)base;
    for (int k = 0; k < ADELE_MAX_SCALES; k++) {
        resample_axis_deinit(&op->rows[k]);
        resample_axis_deinit(&op->columns[k]);
    }
}

static bool is_voc(const struct adele_sample_desc *desc) {
    return desc->augment.enabled && desc->augment.kind == ADELE_AUGMENT_VOC;
}

static bool is_elastic(const struct adele_sample_desc *desc) {
    return desc->augment.enabled && desc->augment.elastic_shift > 0.0;
}

// Of a thread: a blended row of another scale, all channels of a pixel, or the shifts of a row.
static size_t scratch_bytes(const struct sample_op *op) {
    const struct adele_sample_desc *desc = &op->desc;
    size_t row = (size_t)desc->w * (size_t)op->block, n_channels = (size_t)desc->c;
    size_t bytes = (row > n_channels ? row : n_channels) * sizeof(float), of_shifts = 0;
    if (is_elastic(desc))
        of_shifts = (size_t)elastic_count_points(desc->w, desc->augment.elastic_spacing) *
                    sizeof(struct elastic_shift);
    return ((bytes > of_shifts ? bytes : of_shifts) + 63) / 64 * 64;
}

adele_status cpu_sample_create(const struct adele_device *device,
                               const struct adele_sample_desc *desc, struct adele_op **out) {
    TRY(cpu_op_create(device, ADELE_OP_sample, sizeof(struct sample_op), out));
    struct sample_op *op = (struct sample_op *)*out;
    op->base.release = release;
    op->desc = *desc;
    op->block = cpu_block(device);
    op->is_bf16 = cpu_is_bf16(device);
    op->n_threads = cpu_n_threads(device);
    for (int k = 0; k < desc->n_scales; k++) {
        op->shape[k] = (struct adele_shape){desc->n, desc->c, desc->h_scale[k], desc->w_scale[k]};
        TRY(resample_axis_init(&op->rows[k], desc->h, desc->h_scale[k]));
        TRY(resample_axis_init(&op->columns[k], desc->w, desc->w_scale[k]));
    }
    if (desc->n_scales > 1 || is_voc(desc) || is_elastic(desc))
        op->base.op.workspace_bytes = (size_t)op->n_threads * scratch_bytes(op);
    return ADELE_OK;
}

static adele_status check_args(const struct sample_op *op, const struct adele_sample_args *args) {
    const struct adele_sample_desc *desc = &op->desc;
    const struct adele_sample_set *set = &args->set;
    TRY(op_check_sample_args(desc, args));
    if (args->workspace == NULL && op->base.op.workspace_bytes > 0)
        return FAIL(ADELE_INVALID_ARGUMENT, "Give the workspace.", "sample: an array is missing");
    for (int n = 0; n < desc->n; n++)
        if (args->sample_ids[n] >= set->n_images)
            return FAIL(ADELE_INVALID_ARGUMENT, "Ids are below the number of images.",
                        "sample: id %d in row %d of a set of %d images", args->sample_ids[n], n,
                        set->n_images);
    return ADELE_OK;
}

// All random numbers are drawn, in a fixed order, also where a range is empty.
static struct placement place_row(const struct sample_op *op, const struct adele_sample_args *args,
                                  int id) {
    const struct adele_sample_desc *desc = &op->desc;
    const struct adele_augment *augment = &desc->augment;
    struct placement placement = {.is_flipped = args->flip, .cosine = 1.0};
    if (!augment->enabled)
        return placement;
    struct random_stream stream;
    random_stream_init(&stream, desc->seed, RANDOM_AUGMENT, args->epoch, (uint32_t)id);
    double angle =
        DEGREE * random_range(&stream, -augment->rotate_degrees, augment->rotate_degrees);
    double shift_x = random_range(&stream, -augment->translate, augment->translate);
    double shift_y = random_range(&stream, -augment->translate, augment->translate);
    double scale = random_range(&stream, augment->scale_low, augment->scale_high);
    bool is_mirrored = random_uniform(&stream) < augment->flip;
    placement.is_flipped = is_mirrored != args->flip;
    placement.shift_x = shift_x * (double)desc->w;
    placement.shift_y = shift_y * (double)desc->h;
    placement.center_x = 0.5 * (double)(desc->w - 1);
    placement.center_y = 0.5 * (double)(desc->h - 1);
    placement.cosine = cos(angle) / scale;
    placement.sine = sin(angle) / scale;
    placement.is_affine = placement.sine != 0.0 || placement.cosine != 1.0 || shift_x != 0.0 ||
                          shift_y != 0.0 || is_elastic(desc);
    return placement;
}

// The grid's shifts, blended along y for row y, into `bends`.
static void bend_row(const struct sample_op *op, const struct adele_sample_args *args, int id,
                     int y, struct elastic_shift *bends, struct placement *placement) {
    const struct adele_sample_desc *desc = &op->desc;
    double spacing = desc->augment.elastic_spacing, weights[4];
    const uint32_t key[2] = {(uint32_t)desc->seed, (uint32_t)(desc->seed >> 32)};
    int n_points = elastic_count_points(desc->w, spacing);
    int first = elastic_first_point(y, spacing);
    elastic_find_weights(y, spacing, weights);
    for (int i = 0; i < n_points; i++) {
        bends[i] = (struct elastic_shift){0.0, 0.0};
        for (int k = 0; k < 4; k++) {
            const uint32_t counter[4] = {(uint32_t)((first + k) * n_points + i), (uint32_t)id,
                                         args->epoch, RANDOM_ELASTIC};
            uint32_t words[4];
            struct elastic_shift shift;
            random_philox(counter, key, words);
            elastic_draw(words, desc->augment.elastic_shift, &shift);
            bends[i].x += weights[k] * shift.x;
            bends[i].y += weights[k] * shift.y;
        }
    }
    placement->bends = bends;
    placement->spacing = spacing;
}

static void find_source(const struct placement *placement, int w, int x, int y, double *source_x,
                        double *source_y) {
    int source_column = placement->is_flipped ? w - 1 - x : x;
    double u = (double)source_column - placement->center_x - placement->shift_x;
    double v = (double)y - placement->center_y - placement->shift_y;
    *source_x = placement->center_x + placement->cosine * u + placement->sine * v;
    *source_y = placement->center_y + placement->cosine * v - placement->sine * u;
    if (placement->bends == NULL)
        return;
    double weights[4];
    const struct elastic_shift *bends =
        placement->bends + elastic_first_point(source_column, placement->spacing);
    elastic_find_weights(source_column, placement->spacing, weights);
    for (int k = 0; k < 4; k++) {
        *source_x += weights[k] * bends[k].x;
        *source_y += weights[k] * bends[k].y;
    }
}

// The image of row n, whose id is not below 0.
static const void *image_of(const struct adele_sample_args *args, int n) {
    const struct adele_sample_set *set = &args->set;
    size_t bytes =
        (size_t)set->c * (size_t)set->h * (size_t)set->w * (set->pixel == ADELE_PIXEL_U8 ? 1u : 2u);
    if (args->batch_images != NULL)
        return (const uint8_t *)args->batch_images + (size_t)n * bytes;
    return (const uint8_t *)set->images + (size_t)args->sample_ids[n] * bytes;
}

// A plane of an image, and how its pixels are normalized.
struct plane {
    const void *image;
    size_t c;
    float mean, inv_std;
};

// The normalized pixel; 0 outside.
static float normalized(const struct adele_sample_set *set, const struct plane *plane, int x,
                        int y) {
    if (x < 0 || x >= set->w || y < 0 || y >= set->h)
        return 0.0f;
    size_t i = (plane->c * (size_t)set->h + (size_t)y) * (size_t)set->w + (size_t)x;
    return (sample_pixel_at(set, plane->image, i) - plane->mean) * plane->inv_std;
}

static float blended(const struct adele_sample_set *set, const struct plane *plane, double x,
                     double y) {
    // Comparing before the conversion keeps far-away positions out of an int, and NaN too.
    if (!(x > -1.0 && x < (double)set->w && y > -1.0 && y < (double)set->h))
        return 0.0f;
    int left = (int)floor(x);
    int top = (int)floor(y);
    float tx = (float)(x - (double)left);
    float ty = (float)(y - (double)top);
    float upper = (1.0f - tx) * normalized(set, plane, left, top) +
                  tx * normalized(set, plane, left + 1, top);
    float lower = (1.0f - tx) * normalized(set, plane, left, top + 1) +
                  tx * normalized(set, plane, left + 1, top + 1);
    return (1.0f - ty) * upper + ty * lower;
}

// Zeros, which the padding channels keep, to row y of image n at scale 0.
static void clear_image_row(const struct sample_op *op, const struct adele_sample_args *args, int n,
                            int y) {
    for (int c = 0; c < op->desc.c; c += op->block) {
        size_t first = cpu_tensor_index(op->shape[0], op->block, n, c, y, 0);
        memset(value_address(args->images[0], first, op->is_bf16), 0,
               (size_t)op->desc.w * (size_t)op->block * value_bytes(op->is_bf16));
    }
}

// Row y of image row n at scale 0.
static void write_image_row(const struct sample_op *op, const struct adele_sample_args *args,
                            const struct placement *placement, int n, int y) {
    const struct adele_sample_set *set = &args->set;
    int id = args->sample_ids[n];
    clear_image_row(op, args, n, y);
    for (int c = 0; c < op->desc.c && id >= 0; c++) {
        size_t first = cpu_tensor_index(op->shape[0], op->block, n, c, y, 0);
        size_t i_plane = (size_t)id * (size_t)set->c + (size_t)c;
        struct plane plane = {image_of(args, n), (size_t)c, set->mean[i_plane],
                              set->inv_std[i_plane]};
        for (int x = 0; x < op->desc.w; x++) {
            double source_x, source_y;
            float value;
            if (placement->is_affine) {
                find_source(placement, set->w, x, y, &source_x, &source_y);
                value = blended(set, &plane, source_x, source_y);
            } else {
                int source_column = placement->is_flipped ? set->w - 1 - x : x;
                value = normalized(set, &plane, source_column, y);
            }
            value_store(args->images[0], first + (size_t)x * (size_t)op->block, value, op->is_bf16);
        }
    }
}

static uint8_t label_at(const struct adele_sample_set *set, const struct placement *placement,
                        const uint8_t *map, int x, int y) {
    if (!placement->is_affine) {
        int source_column = placement->is_flipped ? set->w - 1 - x : x;
        return map[(size_t)y * (size_t)set->w + (size_t)source_column];
    }
    double source_x, source_y;
    find_source(placement, set->w, x, y, &source_x, &source_y);
    source_x = floor(source_x + 0.5);
    source_y = floor(source_y + 0.5);
    if (!(source_x >= 0.0 && source_x < (double)set->w && source_y >= 0.0 &&
          source_y < (double)set->h))
        return ADELE_IGNORE;
    return map[(size_t)source_y * (size_t)set->w + (size_t)source_x];
}

static void write_label_row(const struct sample_op *op, const struct adele_sample_args *args,
                            const struct placement *placement, const uint8_t *maps, int n, int y,
                            uint8_t *out) {
    if (out == NULL)
        return;
    size_t image = (size_t)args->set.h * (size_t)args->set.w;
    uint8_t *row = out + ((size_t)n * (size_t)op->desc.h + (size_t)y) * (size_t)op->desc.w;
    int id = args->sample_ids[n];
    if (id < 0) {
        memset(row, ADELE_IGNORE, (size_t)op->desc.w);
        return;
    }
    for (int x = 0; x < op->desc.w; x++)
        row[x] = label_at(&args->set, placement, maps + (size_t)id * image, x, y);
}

static void *thread_scratch(const struct sample_op *op, const struct adele_sample_args *args) {
    return (char *)args->workspace + (size_t)omp_get_thread_num() * scratch_bytes(op);
}

static void write_row(const struct sample_op *op, const struct adele_sample_args *args, int n,
                      int y) {
    int id = args->sample_ids[n];
    struct placement placement = place_row(op, args, id);
    if (is_elastic(&op->desc) && id >= 0)
        bend_row(op, args, id, y, thread_scratch(op, args), &placement);
    write_image_row(op, args, &placement, n, y);
    write_label_row(op, args, &placement, args->set.labels, n, y, args->labels);
    write_label_row(op, args, &placement, args->set.noisy, n, y, args->noisy);
    write_label_row(op, args, &placement, args->set.truth, n, y, args->truth);
}

// All channels and all label maps of a pixel have one source; id >= 0.
static void write_voc_row(const struct sample_op *op, const struct adele_sample_args *args, int n,
                          int y, float *pixel) {
    const struct adele_sample_set *set = &args->set;
    const uint8_t *maps[3] = {set->labels, set->noisy, set->truth};
    uint8_t *outs[3] = {args->labels, args->noisy, args->truth};
    size_t id = (size_t)args->sample_ids[n], image = (size_t)set->h * (size_t)set->w;
    int w = op->desc.w;
    bool is_flipped, has_hsv = op->desc.augment.hsv > 0.0;
    struct voc_placement placement =
        sample_voc_place(&op->desc, args, args->sample_ids[n], &is_flipped);
    clear_image_row(op, args, n, y);
    for (int x = 0; x < w; x++) {
        int x_scaled = (is_flipped ? w - 1 - x : x) + placement.left;
        int y_scaled = y + placement.top;
        bool is_inside = voc_is_inside(&placement, x_scaled, y_scaled);
        size_t at = ((size_t)n * (size_t)op->desc.h + (size_t)y) * (size_t)w + (size_t)x;
        for (int i = 0; i < 3; i++)
            if (outs[i] != NULL)
                outs[i][at] = is_inside ? sample_voc_label(set, &placement, maps[i] + id * image,
                                                           x_scaled, y_scaled)
                                        : ADELE_IGNORE;
        if (!is_inside)
            continue;
        sample_voc_pixel(set, &placement, has_hsv, image_of(args, n), x_scaled, y_scaled, pixel);
        for (int c = 0; c < op->desc.c; c++) {
            size_t plane = id * (size_t)set->c + (size_t)c;
            value_store(args->images[0], cpu_tensor_index(op->shape[0], op->block, n, c, y, x),
                        (pixel[c] - set->mean[plane]) * set->inv_std[plane], op->is_bf16);
        }
    }
}

static void write_scale(const struct sample_op *op, const struct adele_sample_args *args, int k,
                        int n_threads) {
    int block = op->block;
    int n_rows = op->desc.n * op->desc.h_scale[k];
    struct resample_tensor from = {args->images[0], op->is_bf16, op->shape[0], block};
#pragma omp parallel for num_threads(n_threads) schedule(static)
    for (int row = 0; row < n_rows; row++) {
        int n = row / op->desc.h_scale[k];
        int y = row % op->desc.h_scale[k];
        float *scratch = thread_scratch(op, args);
        for (int c = 0; c < op->desc.c; c += block)
            resample_row_blocked(&from, n, c / block, &op->rows[k], &op->columns[k], y, scratch,
                                 value_address(args->images[k],
                                               cpu_tensor_index(op->shape[k], block, n, c, y, 0),
                                               op->is_bf16));
    }
}

adele_status cpu_sample_forward(struct adele_op *base, const struct adele_sample_args *args) {
    struct sample_op *op = (struct sample_op *)base;
    TRY(check_args(op, args));
    int n_threads = team_size(op->n_threads);
    int n_rows = op->desc.n * op->desc.h;
#pragma omp parallel for num_threads(n_threads) schedule(static)
    for (int row = 0; row < n_rows; row++) {
        int n = row / op->desc.h;
        int y = row % op->desc.h;
        if (is_voc(&op->desc) && args->sample_ids[n] >= 0)
            write_voc_row(op, args, n, y, thread_scratch(op, args));
        else
            write_row(op, args, n, y);
    }
    for (int k = 1; k < op->desc.n_scales; k++)
        write_scale(op, args, k, n_threads);
    return ADELE_OK;
}
