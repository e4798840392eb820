// SPDX-License-Identifier: MIT
#include "audit/audit_gallery.h"

#include "base/file.h"
#include "base/half.h"
#include "base/memory.h"
#include "image/image.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const audit_picture_kinds[] = {"image", "label", "prediction", "overlay", NULL};

adele_status audit_gallery_init(struct audit_gallery *out, int n) {
    *out = (struct audit_gallery){.max = n > 0 ? n + AUDIT_SPARE_PICTURES : 0};
    return ALLOCATE(&out->pictures, out->max + 1);
}

static void picture_deinit(struct audit_picture *picture) {
    memory_free(picture->rgb);
    memory_free(picture->labels);
    memory_free(picture->prediction);
    memory_free(picture->is_doubtful);
    memset(picture, 0, sizeof *picture);
}

void audit_gallery_deinit(struct audit_gallery *gallery) {
    for (int i = 0; i < gallery->n; i++)
        picture_deinit(&gallery->pictures[i]);
    memory_free(gallery->pictures);
    memset(gallery, 0, sizeof *gallery);
}

// ---- one picture --------------------------------------------------------------------------------

static int compare_floats(const void *left, const void *right) {
    float a = *(const float *)left, b = *(const float *)right;
    return (a > b) - (a < b);
}

// The range of grey values that is shown: images of 8 bits as they are, others from their 1st to
// their 99th percentile, because single bright pixels would leave the rest black.
static adele_status find_window(const struct dataset_images *images, const float *plane, size_t n,
                                float *low, float *high) {
    *low = 0.0f;
    *high = 255.0f;
    if (!images->is_f16)
        return ADELE_OK;
    OWNED float *sorted = NULL;
    TRY(ALLOCATE(&sorted, n));
    memcpy(sorted, plane, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, compare_floats);
    *low = sorted[n / 100];
    *high = sorted[n - 1 - n / 100];
    return ADELE_OK;
}

static void store_channel(const float *plane, size_t n, float low, float high, uint8_t *rgb) {
    float scale = high > low ? 255.0f / (high - low) : 0.0f;
    for (size_t i = 0; i < n; i++) {
        float value = (plane[i] - low) * scale;
        value = value > 0.0f ? value : 0.0f; // NaN too
        rgb[3 * i] = (uint8_t)lrintf(value < 255.0f ? value : 255.0f);
    }
}

// Channel `channel` of image i, resized, into every third byte of `rgb`.
static adele_status draw_channel(const struct dataset_images *images, int i, int channel, int h,
                                 int w, uint8_t *rgb) {
    size_t n_whole = dataset_images_plane_size(images), n = (size_t)h * (size_t)w;
    size_t first = ((size_t)i * (size_t)images->c + (size_t)channel) * n_whole;
    OWNED float *whole = NULL, *small = NULL;
    float low, high;
    TRY(ALLOCATE(&whole, n_whole));
    TRY(ALLOCATE(&small, n));
    for (size_t k = 0; k < n_whole; k++)
        whole[k] = images->is_f16 ? half_to_float(((const uint16_t *)images->images)[first + k])
                                  : (float)((const uint8_t *)images->images)[first + k];
    TRY(resize_linear_f32(whole, images->h, images->w, small, h, w));
    TRY(find_window(images, small, n, &low, &high));
    store_channel(small, n, low, high, rgb);
    return ADELE_OK;
}

// Images of three channels are in colour, others show their first channel in grey.
static adele_status draw_image(const struct dataset_images *images, int i,
                               struct audit_picture *picture) {
    size_t n = (size_t)picture->h * (size_t)picture->w;
    for (int channel = 0; channel < 3; channel++) {
        if (channel == 0 || images->c == 3) {
            TRY(draw_channel(images, i, channel, picture->h, picture->w, picture->rgb + channel));
            continue;
        }
        for (size_t k = 0; k < n; k++)
            picture->rgb[3 * k + (size_t)channel] = picture->rgb[3 * k];
    }
    return ADELE_OK;
}

static int shrink(int extent, int longest) {
    if (longest <= AUDIT_PICTURE_SIZE)
        return extent;
    int size = (int)((int64_t)extent * AUDIT_PICTURE_SIZE / longest);
    return size > 0 ? size : 1;
}

static adele_status draw_picture(const struct dataset_images *images, int i, const uint8_t *labels,
                                 const struct doubt *doubt, struct audit_picture *out) {
    int longest = images->h > images->w ? images->h : images->w;
    out->h = shrink(images->h, longest);
    out->w = shrink(images->w, longest);
    size_t n = (size_t)out->h * (size_t)out->w;
    TRY(ALLOCATE(&out->rgb, 3 * n));
    TRY(ALLOCATE(&out->labels, n));
    TRY(ALLOCATE(&out->prediction, n));
    TRY(ALLOCATE(&out->is_doubtful, n));
    resize_nearest_u8(labels, images->h, images->w, out->labels, out->h, out->w);
    resize_nearest_u8(doubt->prediction, images->h, images->w, out->prediction, out->h, out->w);
    resize_nearest_u8(doubt->is_doubtful, images->h, images->w, out->is_doubtful, out->h, out->w);
    return draw_image(images, i, out);
}

// The least doubtful picture.
static int find_last(const struct audit_gallery *gallery) {
    int last = 0;
    for (int i = 1; i < gallery->n; i++) {
        const struct audit_picture *a = &gallery->pictures[last], *b = &gallery->pictures[i];
        if (audit_row_is_before(a->score, a->order, b->score, b->order))
            last = i;
    }
    return last;
}

adele_status audit_gallery_add(struct audit_gallery *gallery, double score, int order,
                               const struct dataset_images *images, int i, const uint8_t *labels,
                               const struct doubt *doubt) {
    int at = gallery->n;
    if (gallery->max == 0)
        return ADELE_OK;
    if (gallery->n == gallery->max) {
        at = find_last(gallery);
        const struct audit_picture *last = &gallery->pictures[at];
        if (!audit_row_is_before(score, order, last->score, last->order))
            return ADELE_OK;
    }
    struct audit_picture picture = {.score = score, .order = order};
    adele_status status = draw_picture(images, i, labels, doubt, &picture);
    if (status != ADELE_OK) {
        picture_deinit(&picture);
        return status;
    }
    picture_deinit(&gallery->pictures[at]);
    gallery->pictures[at] = picture;
    gallery->n += at == gallery->n;
    return ADELE_OK;
}

// ---- files --------------------------------------------------------------------------------------

static bool is_outline(const struct audit_picture *picture, int y, int x) {
    const uint8_t *label = picture->labels + (size_t)y * (size_t)picture->w + x;
    return (x + 1 < picture->w && label[0] != label[1]) ||
           (y + 1 < picture->h && label[0] != label[picture->w]);
}

static void draw_overlay(const struct audit_picture *picture, uint8_t *rgb) {
    static const int orange[3] = {255, 140, 0};
    size_t n = (size_t)picture->h * (size_t)picture->w;
    memcpy(rgb, picture->rgb, 3 * n);
    for (size_t i = 0; i < n; i++) {
        int y = (int)(i / (size_t)picture->w), x = (int)(i % (size_t)picture->w);
        if (picture->is_doubtful[i])
            for (int c = 0; c < 3; c++)
                rgb[3 * i + (size_t)c] = (uint8_t)((rgb[3 * i + (size_t)c] + orange[c]) / 2);
        if (is_outline(picture, y, x))
            memset(rgb + 3 * i, 255, 3);
    }
}

static adele_status save_picture(const struct audit_picture *picture, const char *kind,
                                 const char *path) {
    CLEANUP(image_deinit) struct image image = {0};
    size_t n = (size_t)picture->h * (size_t)picture->w;
    bool is_map = strcmp(kind, "label") == 0 || strcmp(kind, "prediction") == 0;
    TRY(image_init(&image, picture->w, picture->h, is_map ? 1 : 3, 8));
    if (strcmp(kind, "overlay") == 0)
        draw_overlay(picture, image.pixels);
    else if (strcmp(kind, "image") == 0)
        memcpy(image.pixels, picture->rgb, 3 * n);
    else
        memcpy(image.pixels, strcmp(kind, "label") == 0 ? picture->labels : picture->prediction, n);
    if (is_map)
        image_palette_voc(&image.palette);
    return image_save_png(path, &image);
}

adele_status audit_gallery_save(const struct audit_gallery *gallery,
                                const struct audit_table *table, int first, const char *folder) {
    if (gallery->n == 0)
        return ADELE_OK;
    OWNED char *overlays = file_join(folder, "overlays");
    TRY(CHECK_MEMORY(overlays));
    TRY(file_make_directory(overlays));
    for (int i = 0; i < gallery->n; i++) {
        int number = table->rows[first + gallery->pictures[i].order].picture;
        for (int k = 0; number > 0 && audit_picture_kinds[k] != NULL; k++) {
            const char *kind = audit_picture_kinds[k];
            OWNED char *path = memory_printf("%s/%04d_%s.png", overlays, number, kind);
            TRY(CHECK_MEMORY(path));
            TRY(save_picture(&gallery->pictures[i], kind, path));
        }
    }
    return ADELE_OK;
}
