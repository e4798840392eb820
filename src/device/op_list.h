// SPDX-License-Identifier: MIT
// The ops that every device implements, as one list. The enum, the interface's entries, the tables
// of the devices, the benchmarks and the tests' coverage check are generated from it, and CMake
// reads the names from this file too: keep one row a line.
//
// Descriptors and arguments of an op are `struct adele_<name>_desc` and `struct adele_<name>_args`,
// in network_ops.h, training_ops.h or label_ops.h.
#ifndef ADELE_DEVICE_OP_LIST_H
#define ADELE_DEVICE_OP_LIST_H

// X(name, has_backward)
#define ADELE_OPS(X)                                                                               \
    X(conv2d, 1)                                                                                   \
    X(batch_norm, 1)                                                                               \
    X(max_pool, 1)                                                                                 \
    X(rescale, 1)                                                                                  \
    X(concat, 1)                                                                                   \
    X(add, 1)                                                                                      \
    X(global_pool, 1)                                                                              \
    X(aspp, 1)                                                                                     \
    X(dropout, 1)                                                                                  \
    X(loss, 0)                                                                                     \
    X(dice, 0)                                                                                     \
    X(sgd, 0)                                                                                      \
    X(adamw, 0)                                                                                    \
    X(combine, 0)                                                                                  \
    X(average, 0)                                                                                  \
    X(pack, 0)                                                                                     \
    X(initialize, 0)                                                                               \
    X(sample, 0)                                                                                   \
    X(augment_intensity, 0)                                                                        \
    X(ensemble, 0)                                                                                 \
    X(decide, 0)                                                                                   \
    X(accumulate_maps, 0)                                                                          \
    X(guided_filter, 0)                                                                            \
    X(area_decision, 0)                                                                            \
    X(crf, 0)                                                                                      \
    X(correct, 0)                                                                                  \
    X(count, 0)

enum adele_op_kind {
#define ADELE_OP_ENUM(name, has_backward) ADELE_OP_##name,
    ADELE_OPS(ADELE_OP_ENUM)
#undef ADELE_OP_ENUM
        ADELE_OP_COUNT
};

#endif
