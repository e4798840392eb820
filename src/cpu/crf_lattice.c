// SPDX-License-Identifier: MIT
#include "cpu/crf_lattice.h"

#include "cpu/cpu.h"
#include "cpu/crf_table.h"
#include "cpu/team.h"

#include <math.h>
#include <string.h>

// ---- sizes and places ---------------------------------------------------------------------------

static double largest_part(const struct crf_lattice *lattice, int i) {
    double extent = i == 0 ? lattice->w : i == 1 ? lattice->h : 255.0;
    return extent * lattice->scale[i];
}

// Values of coordinate i of all corners of an image and of their neighbours, at most. It lies
// between -i times the part of feature i - 1 and the sum of the parts of the later features.
static double range_of(const struct crf_lattice *lattice, int i) {
    double range = i > 0 ? i * largest_part(lattice, i - 1) : 0.0;
    for (int j = i; j < lattice->d; j++)
        range += largest_part(lattice, j);
    return ceil((range + 8.0) * (lattice->d + 1));
}

// Factors by which the sum over the coordinates tells all corners apart. Where that needs more than
// 64 bits, for widths of a fraction of a pixel or of a gray level, numbers without a pattern take
// their place: of 10^6 corners two have the same sum in one of 10^7 images.
static void choose_units(struct crf_lattice *lattice) {
    static const uint64_t scattered[LATTICE_MAX_D] = {0x8EBC6AF09C88C6E3u, 0x589965CC75374CC3u,
                                                      0x1D8E4E27C47D124Fu, 0xEB44ACCAB455D165u,
                                                      0xA0761D6478BD642Fu};
    double n_keys = 1.0;
    for (int i = 0; i < lattice->d; i++)
        n_keys *= range_of(lattice, i);
    uint64_t factor = 1;
    for (int i = 0; i < lattice->d; i++) {
        uint64_t own = n_keys < 1e19 ? factor : scattered[i];
        lattice->step += own;
        lattice->unit[i] = own * (uint64_t)(lattice->d + 1);
        if (n_keys < 1e19)
            factor *= (uint64_t)range_of(lattice, i);
    }
}

static uint32_t table_slots(int64_t n_keys) {
    uint32_t least = (uint32_t)1 << CRF_FIRST_BITS, slots = lattice_slots(n_keys);
    return slots < least ? least : slots;
}

void crf_lattice_plan(struct crf_lattice *lattice, const struct adele_crf_desc *desc,
                      int n_threads) {
    int d = 2 + desc->image_c;
    *lattice = (struct crf_lattice){.d = d, .h = desc->h, .w = desc->w, .n_threads = n_threads};
    for (int i = 0; i < d; i++) {
        // What lattice_elevate multiplies a feature by, divided by d + 1.
        double sigma = i < 2 ? desc->bilateral_sigma : desc->colour_sigma;
        lattice->scale[i] = sqrt(2.0 / 3.0) / sqrt((i + 1.0) * (i + 2.0)) / sigma;
    }
    choose_units(lattice);
    int band_rows = desc->h < CRF_BAND ? desc->h : CRF_BAND;
    lattice->n_bands = (desc->h + CRF_BAND - 1) / CRF_BAND;
    lattice->n_tables = n_threads < lattice->n_bands ? n_threads : lattice->n_bands;
    lattice->n_entries = (int64_t)desc->h * desc->w * (d + 1);
    lattice->n_slots = table_slots(lattice->n_entries);
    lattice->n_band_slots = table_slots((int64_t)band_rows * desc->w * (d + 1));
    lattice->n_value_floats = ((size_t)lattice->n_entries + 1) * (desc->c <= 4 ? 4 : 8);
}

bool crf_lattice_fits(const struct crf_lattice *lattice, int n_lanes) {
    return ((size_t)lattice->n_local + 1) * (size_t)n_lanes <= lattice->n_value_floats;
}

static size_t place(char *base, size_t *offset, size_t count, size_t size, void *out) {
    size_t at = cpu_reserve(offset, count * size);
    char *address = base != NULL ? base + at : NULL;
    memcpy(out, &address, sizeof address);
    return *offset;
}

size_t crf_lattice_place(struct crf_lattice *lattice, char *base) {
    size_t offset = 0, n = (size_t)lattice->n_entries, d = (size_t)lattice->d;
    size_t n_band_slots = (size_t)lattice->n_tables * lattice->n_band_slots;
    place(base, &offset, n, sizeof(float), &lattice->weight);
    place(base, &offset, n, sizeof(uint32_t), &lattice->corner);
    place(base, &offset, n, sizeof(uint64_t), &lattice->local_keys);
    place(base, &offset, n, sizeof(uint64_t), &lattice->keys);
    place(base, &offset, lattice->n_slots, sizeof(uint32_t), &lattice->slots);
    place(base, &offset, n_band_slots, sizeof(uint32_t), &lattice->band_slots);
    place(base, &offset, (size_t)lattice->n_bands + 1, sizeof(uint32_t), &lattice->first);
    place(base, &offset, n, sizeof(uint32_t), &lattice->corner_of);
    place(base, &offset, n + 2, sizeof(uint32_t), &lattice->start);
    place(base, &offset, n, sizeof(uint32_t), &lattice->local_of);
    place(base, &offset, 2 * (d + 1) * n, sizeof(uint32_t), &lattice->neighbours);
    place(base, &offset, lattice->n_value_floats, sizeof(float), &lattice->values);
    return place(base, &offset, lattice->n_value_floats, sizeof(float), &lattice->sums);
}

// ---- building -----------------------------------------------------------------------------------

// One thread alone: the corners of all bands are some hundredths of the entries.
static void number_corners(struct crf_lattice *lattice, struct crf_table *table) {
    size_t band_entries = (size_t)CRF_BAND * (size_t)lattice->w * (size_t)(lattice->d + 1);
    uint32_t n = 0;
    crf_table_init(table, lattice->keys, lattice->slots);
    for (int band = 0; band < lattice->n_bands; band++) {
        const uint64_t *keys = lattice->local_keys + (size_t)band * band_entries;
        uint32_t end = n + lattice->first[band + 1];
        for (uint32_t i = 0; n < end; i++)
            lattice->corner_of[n++] = crf_table_number(table, keys[i]);
        lattice->first[band + 1] = n;
    }
    lattice->n_local = n;
    lattice->n_corners = table->n;
}

// The bands' rows of each corner, in the order of the bands (counting sort).
static void list_local(struct crf_lattice *lattice) {
    uint32_t *start = lattice->start;
    memset(start, 0, ((size_t)lattice->n_corners + 2) * sizeof *start);
    for (uint32_t i = 0; i < lattice->n_local; i++)
        start[lattice->corner_of[i] + 2]++;
    for (uint32_t i = 0; i < lattice->n_corners; i++)
        start[i + 2] += start[i + 1];
    for (uint32_t i = 0; i < lattice->n_local; i++)
        lattice->local_of[start[lattice->corner_of[i] + 1]++] = i;
}

// Each corner is the next of one other at most, so no two threads write the same element.
static void find_neighbours(struct crf_lattice *lattice, const struct crf_table *table) {
    uint32_t n = lattice->n_corners;
    int n_axes = lattice->d + 1;
    for (int axis = 0; axis < n_axes; axis++) {
        uint32_t *next = lattice->neighbours + (size_t)(2 * axis) * n, *back = next + n;
        for (uint32_t i = 0; i < n; i++)
            back[i] = n;
#pragma omp parallel for num_threads(team_size(lattice->n_threads)) schedule(static)
        for (uint32_t i = 0; i < n; i++) {
            uint32_t at = 0;
            uint64_t key = table->keys[i] + lattice->step - lattice->unit[axis];
            uint32_t found = crf_table_find(table, key, &at);
            next[i] = found != CRF_NO_NUMBER ? found : n;
            if (found != CRF_NO_NUMBER)
                back[found] = i;
        }
    }
}

void crf_lattice_build(struct crf_lattice *lattice, const uint8_t *image) {
    struct crf_table table;
    lattice->first[0] = 0;
#pragma omp parallel for num_threads(team_size(lattice->n_tables)) schedule(dynamic)
    for (int band = 0; band < lattice->n_bands; band++)
        lattice->first[band + 1] = crf_lattice_embed(
            lattice, image, band,
            lattice->band_slots + (size_t)omp_get_thread_num() * lattice->n_band_slots);
    number_corners(lattice, &table);
    list_local(lattice);
    find_neighbours(lattice, &table);
    crf_lattice_normalize(lattice);
}
