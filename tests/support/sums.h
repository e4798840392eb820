// SPDX-License-Identifier: MIT
// How far the float sums of an op may be from the exact ones, whatever the order of their terms and
// whether or not a product is rounded before it is added: so one bound serves every device and
// every instruction set.
//
// The terms are K products of independent values from [-1, 1], of variance 1/9. An order that does
// not look at the values, whether term by term, in lanes or by parts, makes at most K additions,
// and a partial sum of j terms has the variance j/9. What was there before (a bias, a gradient that
// is added to) has at most 1/3. Rounding a result s to float is off by a value that is spread
// evenly over one step of the float grid, which is at most 2^-23 |s| wide: a variance of at most
// (2^-23 s)^2 / 12. Each product may be rounded too. The errors of K additions and K products
// together have the variance
//     (2^-23)^2 / 12 (K (K + 1) / 18 + K / 3 + K / 9) = (2^-23)^2 / 12 (K^2 / 18 + K / 2).
// Its root is sums_rms(K), for large K about 8e-9 K. Sums by parts and products that are not
// rounded stay below it.
//
// A single element may be worse, as its partial sums may stray far from zero, and its roundings may
// agree: the error is the product of two values that are nearly normal, and exceeds m times its own
// root mean square with a probability of about exp(-m / 0.9). SUMS_WORST = 25 is one element in
// 10^12, and a test compares 10^5. The mean over n elements is much closer to what is expected:
// (2 + 25 / sqrt(n)) times, so that what makes every element a little worse is found as well.
//
// Either bound is far from a term's size of 1/4: one that is missing or added twice is found.
#ifndef ADELE_TESTS_SUMS_H
#define ADELE_TESTS_SUMS_H

#include "device/device.h"

#define SUMS_WORST        25.0
#define SUMS_WORST_NORMAL 9.0 // of an error that is one normal value

// `got` and `want` are each rounded to float at the end, by up to 2^-24 of their value, and a bias
// or an earlier gradient may be added to a finished sum: four such roundings.
#define SUMS_STORED 0x1p-22

// Winograd's F(4 x 4, 3 x 3) multiplies its terms and their roundings by up to 8 on the way. Beside
// sums of the products themselves, in float and compared with double, its error is 11 times as
// large in the mean with one channel, and 4 to 5 times from 16 channels on.
#define SUMS_WINOGRAD 12.0

// The same for our own kernels on a CPU, whose points (src/cpu/conv2d_winograd.h) are closer
// together: sums_rms is exceeded 2.3 to 3.1 times in the mean with one channel, and 1.2 to 2 times
// from 8 channels on.
#define SUMS_OWN_WINOGRAD 4.0

// Their weight gradient adds up one value for each 16 terms, so that less of the error comes from
// the sum: 1.3 to 1.6 times sums_rms in the mean with 64 to 200 terms, and 0.9 to 1 from 500 on.
#define SUMS_WINOGRAD_GRADIENT 2.0

struct sums_error {
    double n_terms;  // of the longest sum
    double factor;   // of the error; 0 is 1
    double random;   // root mean square of a normal error that has another cause (TF32)
    double relative; // of the element's value: what is lost where the result is stored
};

double sums_rms(double n_terms);

// True when every element of `got` and all of them in the mean are within the bounds; otherwise
// prints which one is not, and by how much.
bool sums_agree(const char *what, const float *got, const float *want, struct adele_shape shape,
                const struct sums_error *error);
#endif
