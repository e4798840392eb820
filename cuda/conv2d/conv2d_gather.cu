// SPDX-License-Identifier: MIT
// How the target pixels of a forward pass or a data gradient gather from source pixels, and in
// which order the tuned kernels take them (the equations are in conv2d_parts.cuh). Host code
// only, run once when an op is created.
//
// The order pays where much of the work is padding: with dilation 12 on a map of 40 x 40, 64 % of
// the products touch real pixels. Pixels that share their live taps follow one another, so nearly
// every block multiplies only taps that all its pixels have; blocks that span two rectangles
// multiply some zeros.
#include "conv2d/conv2d_parts.cuh"

#include <limits.h>

namespace adele_cuda {

// Which taps of one axis are live at coordinate `at`, a bit each.
static unsigned axis_taps(const struct conv2d_gather *gather, int at, int extent) {
    int t = at * gather->multiply + gather->offset;
    int quotient = gather->divide == 1 ? t : t / gather->divide;
    unsigned taps = 0;
    for (int k = 0; k < gather->kernel; k++) {
        int from = quotient + gather->sign * gather->quotient[k];
        if (t - quotient * gather->divide == gather->rest[k] && from >= 0 && from < extent)
            taps |= 1u << k;
    }
    return taps;
}

static int count_bits(unsigned bits) {
    int n = 0;
    for (; bits != 0; bits &= bits - 1)
        n++;
    return n;
}

// Segments of one axis: with `cuts` a new one wherever the live taps change, else one for each
// phase of `step`. Returns how many, or 0 when there are too many.
static int cut_axis(const struct conv2d_gather *gather, int extent, int extent_source, int step,
                    bool cuts, struct conv2d_segment *segments) {
    int n = 0;
    for (int phase = 0; phase < step && phase < extent; phase++) {
        unsigned taps = 0;
        for (int at = phase; at < extent; at += step) {
            unsigned here = axis_taps(gather, at, extent_source);
            if (at == phase || (cuts && here != taps)) {
                if (n == CONV2D_MAX_SEGMENTS)
                    return 0;
                segments[n].start = at;
                segments[n++].count = 0;
            }
            segments[n - 1].count++;
            taps = here;
        }
    }
    return n;
}

// How many products along one axis are left when phases are cut into segments of equal taps, as a
// share of those with whole phases. 1: nothing is saved.
static double kept_by_cuts(const struct conv2d_gather *gather, int extent, int extent_source) {
    double exact = 0.0, uncut = 0.0;
    for (int phase = 0; phase < gather->divide && phase < extent; phase++) {
        unsigned all = 0;
        int n = 0;
        for (int at = phase; at < extent; at += gather->divide, n++) {
            unsigned taps = axis_taps(gather, at, extent_source);
            exact += count_bits(taps);
            all |= taps;
        }
        uncut += (double)n * count_bits(all);
    }
    return uncut > 0.0 ? exact / uncut : 1.0;
}

static void choose_segments(struct conv2d_gather *gather) {
    // Below one part in 16 the saving is not worth the less regular order.
    bool cuts = kept_by_cuts(gather, gather->h_target, gather->h_source) *
                    kept_by_cuts(gather, gather->w_target, gather->w_source) <
                1.0 - 1.0 / 16.0;
    gather->step = gather->divide;
    for (int attempt = 0; attempt < 3; attempt++) {
        gather->n_y =
            cut_axis(gather, gather->h_target, gather->h_source, gather->step, cuts, gather->y);
        gather->n_x =
            cut_axis(gather, gather->w_target, gather->w_source, gather->step, cuts, gather->x);
        if (gather->n_y > 0 && gather->n_x > 0)
            return;
        if (!cuts) // too many phases: one segment, pixels with mixed taps
            gather->step = 1;
        cuts = false;
    }
}

// 32-bit numbers of pixels and of vectors of 16 bytes reach over all of a float tensor of n images.
static bool fits(int n, int h, int w, int p) {
    return (int64_t)n * h <= INT_MAX && (int64_t)n * h * w <= INT_MAX / (p / 4);
}

static void order_pixels(struct conv2d_gather *gather) {
    gather->has_many_taps = gather->kernel > CONV2D_MAX_KERNEL;
    gather->is_large =
        !fits(gather->n, gather->h_source, gather->w_source, gather->p_source) ||
        !fits(gather->n, gather->h_target, gather->w_target, gather->p_target) ||
        !fits(gather->c_target + 128, gather->kernel, gather->kernel, gather->p_source);
    if (gather->is_large || gather->has_many_taps)
        return;
    for (int k = 0; k < gather->kernel; k++) {
        gather->quotient[k] = k * gather->dilation / gather->divide;
        gather->rest[k] = k * gather->dilation % gather->divide;
    }
    choose_segments(gather);
    int first = 0;
    for (int i = 0; i < gather->n_y * gather->n_x; i++) {
        gather->first[i] = first;
        first += gather->n * gather->y[i / gather->n_x].count * gather->x[i % gather->n_x].count;
    }
    gather->first[gather->n_y * gather->n_x] = first;
}

struct conv2d_gather conv2d_gather_forward(const struct conv2d_shape *shape) {
    struct conv2d_gather gather = {};
    gather.n = shape->n;
    gather.h_source = shape->h_in, gather.w_source = shape->w_in;
    gather.c_source = shape->c_in, gather.p_source = shape->p_in;
    gather.h_target = shape->h_out, gather.w_target = shape->w_out;
    gather.c_target = shape->c_out, gather.p_target = shape->p_out;
    gather.kernel = shape->kernel, gather.dilation = shape->dilation;
    gather.multiply = shape->stride, gather.offset = -shape->pad;
    gather.divide = 1, gather.sign = 1;
    gather.source_stride = (int64_t)shape->kernel * shape->kernel;
    gather.target_stride = gather.source_stride * shape->c_in;
    order_pixels(&gather);
    return gather;
}

struct conv2d_gather conv2d_gather_data_gradient(const struct conv2d_shape *shape) {
    struct conv2d_gather gather = {};
    gather.n = shape->n;
    gather.h_source = shape->h_out, gather.w_source = shape->w_out;
    gather.c_source = shape->c_out, gather.p_source = shape->p_out;
    gather.h_target = shape->h_in, gather.w_target = shape->w_in;
    gather.c_target = shape->c_in, gather.p_target = shape->p_in;
    gather.kernel = shape->kernel, gather.dilation = shape->dilation;
    gather.multiply = 1, gather.offset = shape->pad;
    gather.divide = shape->stride, gather.sign = -1;
    gather.target_stride = (int64_t)shape->kernel * shape->kernel;
    gather.source_stride = gather.target_stride * shape->c_in;
    order_pixels(&gather);
    return gather;
}

} // namespace adele_cuda
