// SPDX-License-Identifier: MIT
// Resampling of (H, W) planes. Pixel i of `out` has its centre at (i + 0.5) * in / out in the
// coordinates of the source, where pixel j covers j to j + 1 and its centre is j + 0.5.
#include "base/fail.h"
#include "base/memory.h"
#include "image/image.h"
#include <math.h>

// The sources of one output pixel along one axis: `n` neighbours from `first` on, their weights at
// `weights + i * n_max`. Weights that are 0 at the ends are left out, so that a NaN just outside of
// the filter does not enter the result.
struct axis {
    int *first;
    int *n;
    double *weights; // (out, n_max)
    int n_max;
};

static void axis_deinit(struct axis *axis) {
    memory_free(axis->first);
    memory_free(axis->n);
    memory_free(axis->weights);
}

static adele_status axis_init_linear(struct axis *axis, int n_in, int n_out) {
    double scale = (double)n_in / n_out;
    double reach = scale > 1.0 ? scale : 1.0;
    *axis = (struct axis){.n_max = (int)ceil(2.0 * reach) + 2};
    TRY(ALLOCATE(&axis->first, n_out));
    TRY(ALLOCATE(&axis->n, n_out));
    TRY(ALLOCATE(&axis->weights, (size_t)n_out * (size_t)axis->n_max));
    for (int i = 0; i < n_out; ++i) {
        double centre = (i + 0.5) * scale - 0.5; // in source pixel centres
        double *weights = axis->weights + (size_t)i * (size_t)axis->n_max;
        double sum = 0.0;
        int from = (int)floor(centre - reach), to = (int)ceil(centre + reach);
        for (int j = from < 0 ? 0 : from; j <= to && j < n_in; ++j) {
            double weight = 1.0 - fabs(j - centre) / reach;
            if (!(weight > 0.0))
                continue;
            if (axis->n[i] == 0)
                axis->first[i] = j;
            weights[axis->n[i]++] = weight;
            sum += weight;
        }
        for (int k = 0; k < axis->n[i]; ++k)
            weights[k] /= sum;
    }
    return ADELE_OK;
}

// Weights of the cubic convolution kernel with a = -0.75 at the distances 1 + x, x, 1 - x, 2 - x.
// The last one is 1 minus the others, in float, as in OpenCV.
static void cubic_weights(float x, float weights[4]) {
    const float a = -0.75F;
    float y = 1.0F - x;
    weights[0] = ((a * (x + 1.0F) - 5.0F * a) * (x + 1.0F) + 8.0F * a) * (x + 1.0F) - 4.0F * a;
    weights[1] = ((a + 2.0F) * x - (a + 3.0F)) * x * x + 1.0F;
    weights[2] = ((a + 2.0F) * y - (a + 3.0F)) * y * y + 1.0F;
    weights[3] = 1.0F - weights[0] - weights[1] - weights[2];
}

struct cubic_tap {
    int source[4];
    float weights[4];
};

static void cubic_taps(struct cubic_tap *taps, int n_in, int n_out) {
    double scale = 1.0 / ((double)n_out / n_in);
    for (int i = 0; i < n_out; ++i) {
        float position = (float)((i + 0.5) * scale - 0.5);
        int base = (int)floorf(position);
        cubic_weights(position - (float)base, taps[i].weights);
        for (int k = 0; k < 4; ++k) {
            int j = base - 1 + k;
            taps[i].source[k] = j < 0 ? 0 : j >= n_in ? n_in - 1 : j;
        }
    }
}

static adele_status check_extents(int in_h, int in_w, int out_h, int out_w) {
    if (in_h < 1 || in_w < 1 || out_h < 1 || out_w < 1 || in_h > IMAGE_MAX_EXTENT ||
        in_w > IMAGE_MAX_EXTENT || out_h > IMAGE_MAX_EXTENT || out_w > IMAGE_MAX_EXTENT)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "resize of %d x %d to %d x %d: extents are 1 to %d",
                    in_w, in_h, out_w, out_h, IMAGE_MAX_EXTENT);
    return ADELE_OK;
}

void resize_nearest_u8(const uint8_t *in, int in_h, int in_w, uint8_t *out, int out_h, int out_w) {
    for (int y = 0; y < out_h; ++y) {
        const uint8_t *row = in + (size_t)resize_nearest_index(y, in_h, out_h) * (size_t)in_w;
        for (int x = 0; x < out_w; ++x)
            out[(size_t)y * (size_t)out_w + (size_t)x] = row[resize_nearest_index(x, in_w, out_w)];
    }
}

// Rows are resampled first into (in_h, out_w), then columns.
static void apply_linear(const float *in, int in_h, int in_w, const struct axis *across,
                         const struct axis *down, float *middle, float *out, int out_h, int out_w) {
    for (int y = 0; y < in_h; ++y)
        for (int x = 0; x < out_w; ++x) {
            const float *source = in + (size_t)y * (size_t)in_w + (size_t)across->first[x];
            const double *weights = across->weights + (size_t)x * (size_t)across->n_max;
            double sum = 0.0;
            for (int k = 0; k < across->n[x]; ++k)
                sum += weights[k] * (double)source[k];
            middle[(size_t)y * (size_t)out_w + (size_t)x] = (float)sum;
        }
    for (int y = 0; y < out_h; ++y) {
        const double *weights = down->weights + (size_t)y * (size_t)down->n_max;
        const float *top = middle + (size_t)down->first[y] * (size_t)out_w;
        for (int x = 0; x < out_w; ++x) {
            double sum = 0.0;
            for (int k = 0; k < down->n[y]; ++k)
                sum += weights[k] * (double)top[(size_t)k * (size_t)out_w + (size_t)x];
            out[(size_t)y * (size_t)out_w + (size_t)x] = (float)sum;
        }
    }
}

adele_status resize_linear_f32(const float *in, int in_h, int in_w, float *out, int out_h,
                               int out_w) {
    TRY(check_extents(in_h, in_w, out_h, out_w));
    CLEANUP(axis_deinit) struct axis across = {0}, down = {0};
    OWNED float *middle = NULL;
    TRY(axis_init_linear(&across, in_w, out_w));
    TRY(axis_init_linear(&down, in_h, out_h));
    TRY(ALLOCATE(&middle, (size_t)in_h * (size_t)out_w));
    apply_linear(in, in_h, in_w, &across, &down, middle, out, out_h, out_w);
    return ADELE_OK;
}

static bool row_is_zero(const float *row, int n) {
    for (int x = 0; x < n; x++)
        if (row[x] != 0.0F)
            return false;
    return true;
}

// `middle` must be zeroed. Most rows of a mask are empty, and empty rows are skipped.
static void apply_cubic(const float *in, int in_h, int in_w, const struct cubic_tap *across,
                        const struct cubic_tap *down, float *restrict middle, bool *is_zero,
                        float *restrict out, int out_h, int out_w) {
    for (int y = 0; y < in_h; ++y) {
        const float *row = in + (size_t)y * (size_t)in_w;
        is_zero[y] = row_is_zero(row, in_w);
        for (int x = 0; x < out_w && !is_zero[y]; ++x) {
            const struct cubic_tap *tap = across + x;
            float sum = row[tap->source[0]] * tap->weights[0];
            for (int k = 1; k < 4; ++k)
                sum += row[tap->source[k]] * tap->weights[k];
            middle[(size_t)y * (size_t)out_w + (size_t)x] = sum;
        }
    }
    for (int y = 0; y < out_h; ++y) {
        const struct cubic_tap tap = down[y];
        const float *rows[4];
        bool is_empty = true;
        for (int k = 0; k < 4; k++) {
            rows[k] = middle + (size_t)tap.source[k] * (size_t)out_w;
            is_empty = is_empty && is_zero[tap.source[k]];
        }
        float *to = out + (size_t)y * (size_t)out_w;
        for (int x = 0; x < out_w; ++x)
            to[x] = is_empty ? 0.0F
                             : rows[0][x] * tap.weights[0] + rows[1][x] * tap.weights[1] +
                                   rows[2][x] * tap.weights[2] + rows[3][x] * tap.weights[3];
    }
}

adele_status resize_cubic_f32(const float *in, int in_h, int in_w, float *out, int out_h,
                              int out_w) {
    TRY(check_extents(in_h, in_w, out_h, out_w));
    size_t n_taps = (size_t)out_w + (size_t)out_h;
    size_t n_middle = (size_t)in_h * (size_t)out_w;
    OWNED struct cubic_tap *taps = NULL;
    OWNED float *middle = NULL;
    OWNED bool *is_zero = NULL;
    TRY(ALLOCATE(&taps, n_taps));
    TRY(ALLOCATE(&middle, n_middle));
    TRY(ALLOCATE(&is_zero, in_h));
    cubic_taps(taps, in_w, out_w);
    cubic_taps(taps + out_w, in_h, out_h);
    apply_cubic(in, in_h, in_w, taps, taps + out_w, middle, is_zero, out, out_h, out_w);
    return ADELE_OK;
}
