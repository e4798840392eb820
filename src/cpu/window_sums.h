// SPDX-License-Identifier: MIT
// Means over windows of a plane, clipped at its border. Sums run along: from row to row the sums of
// all columns gain one row and lose one, and along a row a window gains one column and loses one,
// so that the radius costs nothing. Sums are doubles and have one order.
#ifndef ADELE_CPU_WINDOW_SUMS_H
#define ADELE_CPU_WINDOW_SUMS_H

struct window_sums {
    int h, w, radius_y, radius_x;  // the radius, at most h and w
    const double *inverse_columns; // (w): 1 / columns of the window around each column
    double *column[2];             // (w) of scratch: sums over the rows of the window
    double *means[2];              // (w): of the windows of one row
};

// Two planes (h, w) whose windows are summed together: v and w where w is given; otherwise u and
// u v, where u is q or, where that is NULL, v itself.
struct window_pair {
    const float *q;
    const double *v, *w;
};

// The means of the windows around the pixels of row y, of both planes. Rows follow each other from
// 0 on: the sums of row y are made from those of row y - 1.
void window_means(const struct window_sums *sums, const struct window_pair *pair, int y);

#endif
