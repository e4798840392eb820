// SPDX-License-Identifier: MIT
// Label maps: one category number per pixel, from any kind of picture that can store them.
#include "base/fail.h"
#include "base/memory.h"
#include "image/codec.h"
#include <string.h>

static unsigned value_at(const struct image *image, size_t i) {
    return image->n_bits == 16 ? ((const uint16_t *)image->pixels)[i]
                               : ((const uint8_t *)image->pixels)[i];
}

// Brings equal-channel RGB maps to one channel; 16 bits stay, as instance ids need them.
static adele_status narrow(const char *path, const struct image *wide, struct image *out) {
    TRY(image_init(out, wide->width, wide->height, 1, wide->n_bits));
    out->orientation = wide->orientation;
    out->notes = wide->notes;
    size_t n_pixels = (size_t)wide->width * (size_t)wide->height;
    size_t n_channels = (size_t)wide->n_channels;
    for (size_t i = 0; i < n_pixels; ++i) {
        unsigned value = value_at(wide, i * n_channels);
        int x = (int)(i % (size_t)wide->width), y = (int)(i / (size_t)wide->width);
        for (size_t c = 1; c < n_channels; ++c)
            if (value_at(wide, i * n_channels + c) != value)
                return FAIL(
                    ADELE_DATA,
                    "Colours are not read as classes: save the mask as a gray PNG whose values are "
                    "the classes (0, 1, 2, ..), or as an indexed PNG whose indexes are.",
                    "%s: a colour image is not a mask: pixel (%d, %d) is (%u, %u, %u)", path, x, y,
                    value, value_at(wide, i * n_channels + 1), value_at(wide, i * n_channels + 2));
        if (wide->n_bits == 16)
            ((uint16_t *)out->pixels)[i] = (uint16_t)value;
        else
            ((uint8_t *)out->pixels)[i] = (uint8_t)value;
    }
    return ADELE_OK;
}

// Whether all pixels are the same.
static bool is_constant(const struct image *image) {
    size_t n_bytes = (size_t)image->n_channels * ((size_t)image->n_bits / 8);
    size_t n = (size_t)image->width * (size_t)image->height;
    return n < 2 || memcmp(image->pixels, (char *)image->pixels + n_bytes, (n - 1) * n_bytes) == 0;
}

// Graphics programs save a shape as one colour with an alpha channel: the values carry no
// information then.
static adele_status check_alpha(const char *path, size_t memory_limit, const struct image *wide) {
    if (!wide->has_alpha || !is_constant(wide))
        return ADELE_OK;
    CLEANUP(image_deinit) struct image alpha = {0};
    TRY(image_png_load_alpha(path, memory_limit, &alpha));
    if (is_constant(&alpha))
        return ADELE_OK;
    return FAIL(ADELE_DATA,
                "Save the alpha channel as a gray PNG of class numbers; with ImageMagick: "
                "convert IN.png -alpha extract -threshold 50% -depth 1 OUT.png.",
                "%s: every pixel is %u, and the shape is in the alpha channel, which holds no "
                "classes",
                path, value_at(wide, 0));
}

adele_status image_load_label(const char *path, size_t memory_limit, struct image *out) {
    memset(out, 0, sizeof *out);
    const struct image_codec *codec;
    TRY(image_find_codec(path, &codec));
    if (!codec->is_exact)
        return FAIL(ADELE_DATA, "Save the mask as PNG.",
                    "%s: a JPEG file is not a mask: its compression changes the values", path);
    CLEANUP(image_deinit) struct image wide = {0};
    TRY(codec->load(path, true, memory_limit, &wide));
    TRY(check_alpha(path, memory_limit, &wide));
    if (wide.n_channels == 1) {
        *out = wide;
        wide = (struct image){0};
        return ADELE_OK;
    }
    adele_status status = narrow(path, &wide, out);
    if (status != ADELE_OK)
        image_deinit(out);
    return status;
}
