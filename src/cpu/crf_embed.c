// SPDX-License-Identifier: MIT
// Where the pixels of one band lie on the lattice: what lattice_embed of device/lattice.h computes
// for one feature, for many pixels side by side.
#include "cpu/crf_lattice.h"
#include "cpu/crf_table.h"
#include "cpu/vector_math.h"

#define RUN 64 // pixels side by side

// Coordinate i of each pixel: its nearest multiple of d + 1, divided by that; what is left, divided
// too; and its rank.
struct run {
    int32_t nearest[LATTICE_MAX_D + 1][RUN];
    float rest[LATTICE_MAX_D + 1][RUN];
    int32_t rank[LATTICE_MAX_D + 1][RUN];
};

// `d` is a constant where the functions below are inlined.
CPU_INLINE void locate(const struct crf_lattice *lattice, const uint8_t *image, int y, int x0,
                       size_t n, const int d, struct run *out) {
    const double round_bias = 6755399441055744.0; // 1.5 * 2^52: adding it rounds to an integer
    uint8_t colours[LATTICE_MAX_D - 2][RUN] = {{0}};
    for (int i = 0; i < d - 2; i++)
        memcpy(colours[i],
               image + ((size_t)i * (size_t)lattice->h + (size_t)y) * (size_t)lattice->w +
                   (size_t)x0,
               n);
    double sum[RUN] = {0.0};
    for (int i = d; i >= 0; i--)
        for (int x = 0; x < RUN; x++) {
            double feature = i == 0   ? 0.0
                             : i == 1 ? (double)(x0 + x)
                             : i == 2 ? (double)y
                                      : (double)colours[i - 3][x];
            double part = i > 0 ? feature * lattice->scale[i - 1] : 0.0;
            double coordinate = sum[x] - i * part;
            sum[x] += part;
            double nearest = (coordinate + round_bias) - round_bias;
            out->nearest[i][x] = (int32_t)nearest;
            out->rest[i][x] = (float)(coordinate - nearest);
        }
}

CPU_INLINE void order(const int d, struct run *run) {
    for (int i = 0; i <= d; i++)
        for (int x = 0; x < RUN; x++) {
            int32_t rank = 0;
            for (int j = 0; j <= d; j++)
                if (j != i)
                    rank += j < i ? !(run->rest[j][x] < run->rest[i][x])
                                  : run->rest[i][x] < run->rest[j][x];
            run->rank[i][x] = rank;
        }
    // Where the rounded coordinates do not sum to 0, those that were rounded furthest step back.
    int32_t excess[RUN] = {0};
    for (int i = 0; i <= d; i++)
        for (int x = 0; x < RUN; x++)
            excess[x] += run->nearest[i][x];
    for (int i = 0; i <= d; i++)
        for (int x = 0; x < RUN; x++) {
            int32_t rank = run->rank[i][x] + excess[x];
            int32_t back = (rank > d) - (rank < 0);
            run->rank[i][x] = rank - back * (d + 1);
            run->nearest[i][x] -= back;
            run->rest[i][x] += (float)back;
        }
}

CPU_KERNEL(static void, embed_run,
           (const struct crf_lattice *lattice, const uint8_t *image, int y, int x0, size_t n,
            struct run *out),
           (lattice, image, y, x0, n, out)) {
    if (lattice->d == 5) {
        locate(lattice, image, y, x0, n, 5, out);
        order(5, out);
    } else {
        locate(lattice, image, y, x0, n, 3, out);
        order(3, out);
    }
}

// Weights and keys of pixel x of a run. From corner k - 1 to corner k all coordinates go one up,
// but that of rank d + 1 - k, which goes d down.
CPU_INLINE void list_corners(const struct crf_lattice *lattice, const struct run *run, int x,
                             const int d, float *weight, uint64_t *keys) {
    float sorted[LATTICE_MAX_D + 1] = {0.0f};
    uint64_t unit[LATTICE_MAX_D + 1] = {0}, key = 0;
    for (int i = 0; i <= d; i++) {
        int rank = run->rank[i][x];
        sorted[rank] = run->rest[i][x];
        unit[rank] = lattice->unit[i];
        key += (uint64_t)(int64_t)run->nearest[i][x] * lattice->unit[i];
    }
    weight[0] = 1.0f - sorted[0] + sorted[d];
    keys[0] = key;
    for (int k = 1; k <= d; k++) {
        weight[k] = sorted[d - k] - sorted[d + 1 - k];
        key += lattice->step - unit[d + 1 - k];
        keys[k] = key;
    }
}

CPU_INLINE void number_run(const struct crf_lattice *lattice, const struct run *run, size_t first,
                           size_t n, const int d, struct crf_table *table) {
    float *weight = lattice->weight + first * (size_t)(d + 1);
    uint32_t *corner = lattice->corner + first * (size_t)(d + 1);
    for (size_t x = 0; x < n; x++) {
        uint64_t keys[LATTICE_MAX_D + 1];
        list_corners(lattice, run, (int)x, d, weight, keys);
        for (int k = 0; k <= d; k++)
            corner[k] = crf_table_number(table, keys[k]);
        weight += d + 1;
        corner += d + 1;
    }
}

uint32_t crf_lattice_embed(const struct crf_lattice *lattice, const uint8_t *image, int band,
                           uint32_t *slots) {
    int y = band * CRF_BAND, end = y + CRF_BAND < lattice->h ? y + CRF_BAND : lattice->h;
    size_t w = (size_t)lattice->w;
    struct crf_table table;
    crf_table_init(&table, lattice->local_keys + (size_t)y * w * (size_t)(lattice->d + 1), slots);
    for (; y < end; y++)
        for (size_t x = 0; x < w; x += RUN) {
            struct run run;
            size_t n = w - x < RUN ? w - x : RUN;
            embed_run(lattice, image, y, (int)x, n, &run);
            if (lattice->d == 5)
                number_run(lattice, &run, (size_t)y * w + x, n, 5, &table);
            else
                number_run(lattice, &run, (size_t)y * w + x, n, 3, &table);
        }
    return table.n;
}
