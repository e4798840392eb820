// SPDX-License-Identifier: MIT
#include "step/part_tree.h"

#include "base/fail.h"

#include <string.h>

adele_status part_tree_init(struct part_tree *out, const struct adele_device *device,
                            int64_t n_floats, int n_parts) {
    int n_vectors = 1;
    for (int n = n_parts; n > 1; n /= 2)
        n_vectors++;
    *out = (struct part_tree){.device = device, .n_floats = n_floats, .n_parts = n_parts};
    out->bytes = (size_t)n_vectors * (size_t)n_floats * sizeof(float);
    TRY(adele_device_alloc_zeroed(device, out->bytes, "the sum of parts", (void **)&out->vectors));
    const struct adele_combine_desc desc = {n_floats};
    return device->iface->combine_create(device, &desc, &out->combine);
}

void part_tree_deinit(struct part_tree *tree) {
    if (!tree->device)
        return;
    tree->device->iface->op_destroy(tree->combine);
    tree->device->iface->release(tree->device, tree->vectors);
    memset(tree, 0, sizeof *tree);
}

static float *vector(const struct part_tree *tree, int i) {
    return tree->vectors + (int64_t)i * tree->n_floats;
}

float *part_tree_next(const struct part_tree *tree) {
    return vector(tree, tree->n_sums);
}

// With part i, as many sums have their pair as i has ones at its end in binary.
adele_status part_tree_add(struct part_tree *tree) {
    tree->n_sums++;
    for (int i = tree->i_part++; i % 2 == 1; i /= 2) {
        float *left = vector(tree, tree->n_sums - 2);
        const struct adele_combine_args args = {
            .a = left, .b = vector(tree, tree->n_sums - 1), .out = left, .scale = 1.0f};
        TRY(tree->device->iface->combine_forward(tree->combine, &args));
        tree->n_sums--;
    }
    return ADELE_OK;
}

// Behind the last part all sums have their pair.
adele_status part_tree_add_range(const struct part_tree *tree, struct adele_op *combine,
                                 int64_t first) {
    for (int i = tree->n_sums; i > 0; i--) {
        float *left = vector(tree, i - 1) + first;
        const struct adele_combine_args args = {
            .a = left, .b = vector(tree, i) + first, .out = left, .scale = 1.0f};
        TRY(tree->device->iface->combine_forward(combine, &args));
    }
    return ADELE_OK;
}

float *part_tree_end(struct part_tree *tree) {
    tree->i_part = tree->n_sums = 0;
    return vector(tree, 0);
}

void part_tree_sum_rows(double *rows, int n_rows, int n_columns) {
    for (int apart = 1; apart < n_rows; apart *= 2)
        for (int i = 0; i < n_rows; i += 2 * apart)
            for (int c = 0; c < n_columns; c++)
                rows[i * n_columns + c] += rows[(i + apart) * n_columns + c];
}
