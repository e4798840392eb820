// SPDX-License-Identifier: MIT
// The Gaussian filter over position and colour of one image on the permutohedral lattice
// (device/lattice.h).
//
// The image is cut into bands of CRF_BAND rows. A band numbers the corners that its pixels name by
// itself, so that threads need nothing from each other; the bands' numbers then get those of the
// image, in the order of the bands. When values are split among corners each band has sums of its
// own, which are added up per corner in the order of the bands. So neither numbers nor sums depend
// on how many threads there are.
#ifndef ADELE_CPU_CRF_LATTICE_H
#define ADELE_CPU_CRF_LATTICE_H

#include "device/device.h"
#include "device/lattice.h"

#define CRF_BAND 16 // rows

// All arrays lie in the op's workspace. A pixel has d + 1 entries, one for each corner of its
// simplex. A corner's key is the sum of its first d coordinates times their factors.
struct crf_lattice {
    int d, h, w, n_threads, n_bands, n_tables;
    int64_t n_entries;
    uint32_t n_slots, n_band_slots;   // at most
    size_t n_value_floats;            // of each of the two arrays of values
    double scale[LATTICE_MAX_D];      // of a feature: its part of a coordinate divided by d + 1
    uint64_t unit[LATTICE_MAX_D + 1]; // factor of a coordinate, times d + 1; the last one is 0
    uint64_t step;                    // what a key gains when all coordinates gain 1
    // Of the image that was built. Its corners are those of all bands.
    uint32_t n_local, n_corners;
    float *weight;              // (n_entries): includes the root of the sum of the pixel's row
    uint32_t *corner;           // (n_entries): the number in the band
    uint64_t *local_keys;       // (n_entries): of a band's corners, from its first entry on
    uint64_t *keys;             // (n_corners)
    uint32_t *slots;            // (n_slots): hash table
    uint32_t *band_slots;       // (n_tables, n_band_slots): hash tables
    uint32_t *first;            // (n_bands + 1): rows of a band's corners in what follows
    uint32_t *corner_of;        // (n_local): the number in the image
    uint32_t *start, *local_of; // (n_corners + 1), (n_local): rows that a corner has in the bands
    uint32_t *neighbours;       // (d + 1, 2, n_corners): n_corners where there is none
    float *values;              // (n_corners + 1, lanes): the last row is 0
    float *sums;                // (n_local, lanes)
};

// For images of (d - 2, h, w); sets sizes and units.
void crf_lattice_plan(struct crf_lattice *lattice, const struct adele_crf_desc *desc,
                      int n_threads);
// Bytes of the workspace from `base` that a lattice of that size takes; sets its pointers.
size_t crf_lattice_place(struct crf_lattice *lattice, char *base);
// Makes the lattice of one image. The weights include the roots of the kernel's sums.
void crf_lattice_build(struct crf_lattice *lattice, const uint8_t *image);
// Whether the values of that many lanes fit, which 4 do, and 8 where there are more than 4
// categories.
bool crf_lattice_fits(const struct crf_lattice *lattice, int n_lanes);

// crf_embed.c: entries, band numbers and keys of one band; returns how many corners it names.
uint32_t crf_lattice_embed(const struct crf_lattice *lattice, const uint8_t *image, int band,
                           uint32_t *slots);

// crf_filter.c. A filter is: clear all bands, split all rows, blur, blend all rows. Calls for rows
// of different bands may run at the same time.
void crf_lattice_clear(const struct crf_lattice *lattice, int band, int n_lanes);
// Splits row y of values (w, n_lanes) among the corners of its band.
void crf_lattice_split(const struct crf_lattice *lattice, int y, const float *src, int n_lanes);
// values = weight * the blurred sums of all bands.
void crf_lattice_blur(struct crf_lattice *lattice, float weight, int n_lanes);
// dst (w, n_lanes) += row y of the blurred values.
void crf_lattice_blend(const struct crf_lattice *lattice, int y, float *dst, int n_lanes);
// Divides the weights by the roots of the sums of the kernel's rows: what it makes of ones.
void crf_lattice_normalize(struct crf_lattice *lattice);
#endif
