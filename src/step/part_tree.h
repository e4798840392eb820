// SPDX-License-Identifier: MIT
// The sum of the vectors of a batch's parts, in one binary tree: ((0 + 1) + (2 + 3)) + .. A
// process computes a number of neighbouring parts that is a power of two, so its sum is a node of
// the same tree however many processes there are, and the sum of all parts has the same bits.
//
//     for each part: fill part_tree_next(); part_tree_add()
//     part_tree_end(): the sum
#ifndef ADELE_STEP_PART_TREE_H
#define ADELE_STEP_PART_TREE_H

#include "device/device.h"

struct part_tree {
    const struct adele_device *device; // borrowed
    int64_t n_floats;                  // of a vector
    float *vectors;                    // device: plain (depth of the tree + 1, n_floats)
    size_t bytes;                      // of them
    int n_parts, i_part;               // i_part: parts added so far
    int n_sums;                        // vectors in use: sums of 2^k parts that wait for their pair
    struct adele_op *combine;
};

// `n_parts`: of this process, a power of two. The vectors begin as zeros. After an error,
// part_tree_deinit frees what was made.
ADELE_MUST_CHECK adele_status part_tree_init(struct part_tree *out,
                                             const struct adele_device *device, int64_t n_floats,
                                             int n_parts);
void part_tree_deinit(struct part_tree *tree); // legal on a zeroed struct

// Where the next part's vector goes; it holds older values.
float *part_tree_next(const struct part_tree *tree);
// Queues the sums that the vector written there makes possible.
ADELE_MUST_CHECK adele_status part_tree_add(struct part_tree *tree);
// The last part in pieces, instead: adds up what is in [first, first + n_floats of the op) of the
// vector of part_tree_next and of the parts before it. `combine`: of the caller.
ADELE_MUST_CHECK adele_status part_tree_add_range(const struct part_tree *tree,
                                                  struct adele_op *combine, int64_t first);
// After all parts: their sum, valid until the next part_tree_add. The tree is empty again.
float *part_tree_end(struct part_tree *tree);

// The same tree over rows of doubles on the host: sums[0 .. n_columns - 1] become the sum of the
// n_rows (a power of two) rows.
void part_tree_sum_rows(double *rows, int n_rows, int n_columns);
#endif
