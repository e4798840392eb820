// SPDX-License-Identifier: MIT
// What several of the method's ops are made of: resampling of one pixel, softmax of one pixel.
#include "reference/reference_method.h"

#include <math.h>

static double position(int o, int n_in, int n_out) {
    return n_out > 1 ? (double)o * (double)(n_in - 1) / (double)(n_out - 1) : 0.0;
}

double reference_bilinear(const float *plane, int h_in, int w_in, int h, int w, int y, int x) {
    double source_y = position(y, h_in, h);
    double source_x = position(x, w_in, w);
    double sum = 0.0;
    for (int i = (int)source_y; i <= (int)source_y + 1 && i < h_in; i++)
        for (int j = (int)source_x; j <= (int)source_x + 1 && j < w_in; j++)
            sum += (1.0 - fabs(source_y - (double)i)) * (1.0 - fabs(source_x - (double)j)) *
                   (double)plane[(size_t)i * (size_t)w_in + (size_t)j];
    return sum;
}

void reference_bilinear_backward(double *d_plane, int h_in, int w_in, int h, int w, int y, int x,
                                 double d_out) {
    double source_y = position(y, h_in, h);
    double source_x = position(x, w_in, w);
    for (int i = (int)source_y; i <= (int)source_y + 1 && i < h_in; i++)
        for (int j = (int)source_x; j <= (int)source_x + 1 && j < w_in; j++)
            d_plane[(size_t)i * (size_t)w_in + (size_t)j] +=
                (1.0 - fabs(source_y - (double)i)) * (1.0 - fabs(source_x - (double)j)) * d_out;
}

void reference_softmax(const double *z, int n, double scale, double *p, double *log_p) {
    double largest = z[0];
    for (int c = 1; c < n; c++)
        largest = fmax(largest, z[c]);
    double sum = 0.0;
    for (int c = 0; c < n; c++)
        sum += exp(scale * (z[c] - largest));
    for (int c = 0; c < n; c++) {
        log_p[c] = scale * (z[c] - largest) - log(sum);
        p[c] = exp(log_p[c]);
    }
}
