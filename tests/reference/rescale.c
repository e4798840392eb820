// SPDX-License-Identifier: MIT
#include "reference/reference.h"

#include <math.h>

// Where target coordinate t of n_out reads the n_in sources: (1 - fraction) at `first`, fraction at
// `second`.
struct place {
    bool is_inside;
    int first, second;
    double fraction;
};

static struct place place_of(int t, int n_in, int n_out) {
    struct place place = {t >= 0 && t < n_out, 0, 0, 0.0};
    if (!place.is_inside || n_out == 1)
        return place;
    double position = (double)t * (n_in - 1) / (n_out - 1);
    place.first = (int)floor(position);
    place.second = place.first + 1 < n_in ? place.first + 1 : place.first;
    place.fraction = position - place.first;
    return place;
}

void reference_rescale_forward(const struct adele_rescale_desc *desc,
                               const struct adele_rescale_args *args) {
    float *dst = args->dst;
    for (long p = 0; p < (long)desc->n * desc->c; p++) {
        const float *plane = (const float *)args->src + p * desc->h_in * desc->w_in;
        for (int yd = 0; yd < desc->h_dst; yd++)
            for (int xd = 0; xd < desc->w_dst; xd++) {
                struct place y = place_of(yd - desc->top, desc->h_in, desc->h_out);
                struct place x = place_of(xd - desc->left, desc->w_in, desc->w_out);
                double value = 0.0;
                if (y.is_inside && x.is_inside)
                    value = (1.0 - y.fraction) * (1.0 - x.fraction) *
                                plane[(long)y.first * desc->w_in + x.first] +
                            (1.0 - y.fraction) * x.fraction *
                                plane[(long)y.first * desc->w_in + x.second] +
                            y.fraction * (1.0 - x.fraction) *
                                plane[(long)y.second * desc->w_in + x.first] +
                            y.fraction * x.fraction * plane[(long)y.second * desc->w_in + x.second];
                *dst++ = (float)value;
            }
    }
}

// The share of source coordinate i in target coordinate t.
static double share(int i, int t, int n_in, int n_out) {
    struct place place = place_of(t, n_in, n_out);
    if (!place.is_inside)
        return 0.0;
    return (place.first == i ? 1.0 - place.fraction : 0.0) +
           (place.second == i ? place.fraction : 0.0);
}

void reference_rescale_backward(const struct adele_rescale_desc *desc,
                                const struct adele_rescale_args *args) {
    float *d_src = args->d_src;
    for (long p = 0; p < (long)desc->n * desc->c; p++) {
        const float *d_dst = (const float *)args->d_dst + p * desc->h_dst * desc->w_dst;
        for (int y = 0; y < desc->h_in; y++)
            for (int x = 0; x < desc->w_in; x++, d_src++) {
                double sum = args->accumulate_d_src ? *d_src : 0.0;
                for (int yd = 0; yd < desc->h_dst; yd++)
                    for (int xd = 0; xd < desc->w_dst; xd++)
                        sum += share(y, yd - desc->top, desc->h_in, desc->h_out) *
                               share(x, xd - desc->left, desc->w_in, desc->w_out) *
                               d_dst[(long)yd * desc->w_dst + xd];
                *d_src = (float)sum;
            }
    }
}
