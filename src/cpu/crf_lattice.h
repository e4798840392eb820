// SPDX-License-Identifier: MIT
// The Gaussian filter over position and colour of one image on the permutohedral lattice, for 8
// categories at a time.
#ifndef ADELE_CPU_CRF_LATTICE_H
#define ADELE_CPU_CRF_LATTICE_H

#include "device/device.h"

#define CRF_LANES 8 // categories that are filtered together: values are (pixel, CRF_LANES)

// The hash of its key tells most other keys apart without reading them.
struct crf_slot {
    uint32_t hash;
    int32_t corner; // -1: empty
};

// All arrays lie in the op's workspace. A pixel has d + 1 entries, one for each corner of its
// simplex; corners that exist are numbered in the order in which pixels first name them.
struct crf_lattice {
    int d, w, n_threads;
    int n_lanes; // in use, 4 or CRF_LANES: those that a corner's values have
    int64_t n_pixels, n_entries;
    uint32_t n_slots;
    double position_sigma, colour_sigma;
    int64_t n_corners;       // of the image that was built
    struct crf_slot *slots;  // (n_slots): the hash table
    int32_t *entry_keys;     // (n_entries, d)
    uint32_t *hashes;        // (n_entries)
    int32_t *keys;           // (n_entries, d) of each corner
    int32_t *corner;         // (n_entries) of each entry
    float *weight;           // (n_entries)
    int32_t *start;          // (n_entries + 2): first of a corner's rows in the two arrays below
    int32_t *from_pixel;     // (n_entries), in order of corner, then of pixel
    float *from_weight;      // (n_entries)
    int32_t *next, *back;    // (d + 1, n_entries + 1): neighbours; n_corners where there is none
    float *values, *blurred; // (n_entries + 1, n_lanes): the last row in use is 0
};

// Bytes of the workspace from `base` that a lattice of that size takes; sets its pointers.
size_t crf_lattice_place(struct crf_lattice *lattice, char *base);

// Makes the lattice of one image, plain (d - 2, h, w).
void crf_lattice_build(struct crf_lattice *lattice, const uint8_t *image);

// dst (pixel, CRF_LANES) += weight * norm (pixel) * filter(norm * src) in the lanes in use; a NULL
// norm counts as 1, a NULL src as 1 too. dst may be src.
void crf_lattice_filter(struct crf_lattice *lattice, const float *src, const float *norm,
                        float weight, float *dst);
#endif
