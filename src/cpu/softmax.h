// SPDX-License-Identifier: MIT
// Softmax and argmax over categories of plain rows: value (c, x) lies at c * stride + x.
#ifndef ADELE_CPU_SOFTMAX_H
#define ADELE_CPU_SOFTMAX_H

#include <stdint.h>

// p = softmax(scale z) over c for the pixels x < n. `maximum` becomes max_c z and `log_sum`
// log sum_c exp(scale (z - maximum)), so that log p = scale (z - maximum) - log_sum, which stays
// finite where p underflows to 0. p may be z. `maximum` and `log_sum` hold n floats.
void softmax_row(const float *z, int n_categories, int n, int stride, float scale, float *p,
                 float *maximum, float *log_sum);
// The category of the largest value; of equal ones the lowest. `best` holds n floats of scratch and
// ends as the largest value.
void argmax_row(const float *z, int n_categories, int n, int stride, float *best,
                uint8_t *prediction);
// The largest value over c >= 1 of each pixel: the foreground's confidence.
void foreground_row(const float *p, int n_categories, int n, int stride, float *confidence);

#endif
