// SPDX-License-Identifier: MIT
// IoU counts of one label map against another. Integers: the order of the sums does not matter.
#include "base/fail.h"
#include "cpu/cpu.h"
#include "device/op_check.h"

struct count_op {
    struct cpu_op base;
    struct adele_count_desc desc;
};

adele_status cpu_count_create(const struct adele_device *device,
                              const struct adele_count_desc *desc, struct adele_op **out) {
    TRY(cpu_op_create(device, ADELE_OP_count, sizeof(struct count_op), out));
    struct count_op *op = (struct count_op *)*out;
    op->desc = *desc;
    return ADELE_OK;
}

static void count_row(const uint8_t *prediction, const uint8_t *labels, int n,
                      int64_t table[ADELE_COUNT_KINDS][256]) {
    for (int x = 0; x < n; x++) {
        if (labels[x] == ADELE_IGNORE)
            continue;
        table[0][labels[x]] += prediction[x] == labels[x];
        if (prediction[x] != ADELE_IGNORE)
            table[1][prediction[x]]++;
        table[2][labels[x]]++;
    }
}

adele_status cpu_count_forward(struct adele_op *base, const struct adele_count_args *args) {
    struct count_op *op = (struct count_op *)base;
    TRY(op_check_count_args(args));
    int n_rows = op->desc.n * op->desc.h;
    size_t w = (size_t)op->desc.w;
#pragma omp parallel
    {
        int64_t table[ADELE_COUNT_KINDS][256] = {{0}};
#pragma omp for schedule(static) nowait
        for (int row = 0; row < n_rows; row++)
            count_row(args->prediction + (size_t)row * w, args->labels + (size_t)row * w,
                      op->desc.w, table);
#pragma omp critical(adele_count)
        for (int i = 0; i < ADELE_COUNT_KINDS * 256; i++)
            args->counts[i] += table[i / 256][i % 256];
    }
    return ADELE_OK;
}
