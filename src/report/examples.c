// SPDX-License-Identifier: MIT
// N: examples, C: channels, H, W: size in the file; h, w: size as drawn.
#include "report/examples.h"

#include "base/fail.h"
#include "base/memory.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_CATEGORIES 256

static const char *const layer_names[LAYER_COUNT] = {"truth", "noisy", "corrected", "prediction"};

struct source {
    int64_t n, n_channels, height, width;
    const uint8_t *image;               // (N, C, H, W)
    const uint8_t *layers[LAYER_COUNT]; // (N, H, W)
    int64_t factor;                     // H = h * factor, up to a remainder that is cut
};

void examples_deinit(struct examples *examples) {
    for (int i = 0; examples->items != NULL && i < examples->n; i++) {
        memory_free(examples->items[i].name);
        memory_free(examples->items[i].rgb);
        for (int k = 0; k < LAYER_COUNT; k++)
            memory_free(examples->items[i].labels[k]);
    }
    memory_free(examples->items);
    for (int i = 0; examples->categories != NULL && i < examples->n_categories; i++)
        memory_free(examples->categories[i]);
    memory_free(examples->categories);
    *examples = (struct examples){0};
}

// ---- the file -----------------------------------------------------------------------------------

static adele_status malformed(const struct report_run *run, const char *tensor, const char *what) {
    return FAIL(ADELE_FORMAT, "Train the run again, or remove the file to go without the figure.",
                "%s/examples.safetensors: tensor \"%s\" %s", run->path, tensor, what);
}

static adele_status read_layer(const struct report_run *run, int layer, struct source *source) {
    const char *name = layer_names[layer];
    const struct safetensors_entry *entry = safetensors_find(run->examples, name);
    if (entry == NULL && layer == LAYER_TRUTH)
        return ADELE_OK;
    if (entry == NULL)
        return malformed(run, name, "is missing");
    if (entry->dtype != SAFETENSORS_U8 || entry->n_dimensions != 3 ||
        entry->shape[0] != source->n || entry->shape[1] != source->height ||
        entry->shape[2] != source->width)
        return malformed(run, name, "is not u8 (N, H, W) of the images' size");
    source->layers[layer] = entry->data;
    return ADELE_OK;
}

static adele_status read_source(const struct report_run *run, struct source *source) {
    const struct safetensors_entry *image = safetensors_find(run->examples, "image");
    if (image == NULL)
        return malformed(run, "image", "is missing");
    if (image->dtype != SAFETENSORS_U8 || image->n_dimensions != 4 || image->n_elements < 1)
        return malformed(run, "image", "is not u8 (N, C, H, W) with at least one element");
    source->n = image->shape[0];
    source->n_channels = image->shape[1];
    source->height = image->shape[2];
    source->width = image->shape[3];
    source->image = image->data;
    for (int k = 0; k < LAYER_COUNT; k++)
        TRY(read_layer(run, k, source));
    return ADELE_OK;
}

// Line i of `text`; "" if it has fewer.
static char *copy_line(const char *text, int i) {
    for (; text != NULL && i > 0; i--) {
        text = strchr(text, '\n');
        text = text != NULL ? text + 1 : NULL;
    }
    if (text == NULL)
        return memory_strdup("");
    return memory_printf("%.*s", (int)strcspn(text, "\n"), text);
}

static adele_status read_categories(const struct report_run *run, struct examples *out) {
    const char *text = safetensors_metadata(run->examples, "categories");
    if (text == NULL)
        return ADELE_OK; // categories without names are shown by number
    int n = 1;
    for (const char *c = text; *c != '\0'; c++)
        n += *c == '\n';
    n = n < MAX_CATEGORIES ? n : MAX_CATEGORIES;
    TRY(ALLOCATE(&out->categories, n));
    for (int i = 0; i < n; i++) {
        out->categories[i] = copy_line(text, i);
        TRY(CHECK_MEMORY(out->categories[i]));
        out->n_categories = i + 1;
    }
    return ADELE_OK;
}

// Runs of earlier versions have no others.
static int read_spread(const struct report_run *run, int n) {
    const char *text = safetensors_metadata(run->examples, "spread");
    long n_spread = text != NULL ? strtol(text, NULL, 10) : n;
    return n_spread >= 1 && n_spread < n ? (int)n_spread : n;
}

// ---- foreground mIoU ----------------------------------------------------------------------------

// Mean IoU over the categories other than 0 that occur in either map, over pixels whose reference
// is not 255 (METHOD section 1). NaN when there is none.
static double foreground_miou(const uint8_t *map, const uint8_t *reference, size_t n_pixels) {
    size_t n_both[MAX_CATEGORIES] = {0};
    size_t n_map[MAX_CATEGORIES] = {0};
    size_t n_reference[MAX_CATEGORIES] = {0};
    for (size_t i = 0; i < n_pixels; i++) {
        if (reference[i] == EXAMPLE_IGNORE)
            continue;
        n_map[map[i]]++;
        n_reference[reference[i]]++;
        n_both[map[i]] += map[i] == reference[i];
    }
    double sum = 0.0;
    int n = 0;
    for (int c = 1; c < EXAMPLE_IGNORE; c++) {
        size_t n_either = n_map[c] + n_reference[c] - n_both[c];
        if (n_either == 0)
            continue;
        sum += (double)n_both[c] / (double)n_either;
        n++;
    }
    return n > 0 ? sum / n : NAN;
}

double examples_mean_miou(const struct examples *examples, enum example_layer layer) {
    double sum = 0.0;
    int n = 0;
    for (int i = 0; i < examples->n; i++) {
        if (isfinite(examples->items[i].miou[layer])) {
            sum += examples->items[i].miou[layer];
            n++;
        }
    }
    return n > 0 ? sum / n : NAN;
}

// ---- one example --------------------------------------------------------------------------------

// The mean over a factor x factor block, so that the smaller image has no aliasing.
static uint8_t block_mean(const struct source *source, const uint8_t *plane, int64_t y, int64_t x) {
    int64_t sum = 0;
    for (int64_t v = 0; v < source->factor; v++) {
        for (int64_t u = 0; u < source->factor; u++)
            sum += plane[(y * source->factor + v) * source->width + x * source->factor + u];
    }
    int64_t n = source->factor * source->factor;
    return (uint8_t)((sum + n / 2) / n);
}

static void shrink_image(const struct source *source, int64_t i, const struct examples *size,
                         uint8_t *rgb) {
    int64_t plane_bytes = source->height * source->width;
    const uint8_t *image = source->image + i * source->n_channels * plane_bytes;
    for (int64_t y = 0; y < size->height; y++) {
        for (int64_t x = 0; x < size->width; x++, rgb += 3) {
            for (int64_t c = 0; c < 3; c++) {
                int64_t i_plane = source->n_channels == 3 ? c : 0;
                rgb[c] = block_mean(source, image + i_plane * plane_bytes, y, x);
            }
        }
    }
}

// The label at the middle of each block.
static void shrink_label(const struct source *source, const uint8_t *label, struct examples *size,
                         uint8_t *out) {
    for (int64_t y = 0; y < size->height; y++) {
        for (int64_t x = 0; x < size->width; x++, out++) {
            int64_t half = source->factor / 2;
            *out = label[(y * source->factor + half) * source->width + x * source->factor + half];
            size->has_ignored = size->has_ignored || *out == EXAMPLE_IGNORE;
            size->occurs[*out] = true;
        }
    }
}

static adele_status load_example(const struct report_run *run, const struct source *source,
                                 struct examples *out, int i) {
    struct example *example = &out->items[i];
    size_t n_pixels = (size_t)source->height * (size_t)source->width;
    size_t n_drawn = (size_t)out->height * (size_t)out->width;
    example->name = copy_line(safetensors_metadata(run->examples, "names"), i);
    TRY(CHECK_MEMORY(example->name));
    TRY(ALLOCATE(&example->rgb, n_drawn * 3));
    shrink_image(source, i, out, example->rgb);
    const uint8_t *full[LAYER_COUNT];
    for (int k = 0; k < LAYER_COUNT; k++) {
        example->miou[k] = NAN;
        full[k] = source->layers[k] != NULL ? source->layers[k] + (size_t)i * n_pixels : NULL;
        if (full[k] == NULL)
            continue;
        example->labels[k] = memory_calloc(n_drawn, 1);
        TRY(CHECK_MEMORY(example->labels[k]));
        shrink_label(source, full[k], out, example->labels[k]);
        if (full[LAYER_TRUTH] != NULL && k != LAYER_TRUTH)
            example->miou[k] = foreground_miou(full[k], full[LAYER_TRUTH], n_pixels);
    }
    example->prediction_vs_noisy =
        foreground_miou(full[LAYER_PREDICTION], full[LAYER_NOISY], n_pixels);
    example->n_pixels = (int64_t)n_pixels;
    for (size_t k = 0; k < n_pixels; k++)
        example->n_changed += full[LAYER_CORRECTED][k] != full[LAYER_NOISY][k];
    example->is_corrected = example->n_changed > 0;
    return ADELE_OK;
}

adele_status examples_load(const struct report_run *run, int max_examples, bool only_spread,
                           int max_extent, struct examples *out) {
    *out = (struct examples){0};
    struct source source = {0};
    TRY(read_source(run, &source));
    int64_t larger = source.height > source.width ? source.height : source.width;
    source.factor = (larger + max_extent - 1) / max_extent;
    // A strip thinner than the factor keeps one row.
    int64_t smaller = source.height < source.width ? source.height : source.width;
    source.factor = source.factor < smaller ? source.factor : smaller;
    if (source.height / source.factor > 4 * max_extent ||
        source.width / source.factor > 4 * max_extent)
        return malformed(run, "image", "has a shape too long to draw");
    out->height = (int)(source.height / source.factor);
    out->width = (int)(source.width / source.factor);
    for (int k = 0; k < LAYER_COUNT; k++)
        out->has_layer[k] = source.layers[k] != NULL;
    TRY(read_categories(run, out));
    size_t n = source.n < max_examples ? (size_t)source.n : (size_t)max_examples;
    TRY(ALLOCATE(&out->items, n));
    out->n = (int)n;
    out->n_in_file = (int)fmin((double)source.n, INT_MAX);
    out->n_spread = read_spread(run, out->n);
    if (only_spread)
        out->n = out->n_spread;
    for (int i = 0; i < out->n; i++)
        TRY(load_example(run, &source, out, i));
    return ADELE_OK;
}
