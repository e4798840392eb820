// SPDX-License-Identifier: MIT
// The cases of the self-test: a descriptor, and the function that runs an op of it in a trial.
#ifndef ADELE_SELFTEST_CASES_H
#define ADELE_SELFTEST_CASES_H

#include "device/families.h"
#include "selftest/trial.h"

typedef void (*case_function)(struct trial *trial, const void *desc);

// For families without an op of the list, and for the op `pack`, which is tested by a convolution
// that reads its output; `desc`: struct adele_conv2d_desc.
void case_tensor(struct trial *trial, const void *desc);
void case_step_graph(struct trial *trial, const void *desc);
// Of the layer at CASE_SCALES scales; the i-th has a descriptor of its own: as it is, a third
// larger, a third smaller.
#define CASE_SCALES 3
void case_conv2d_scales(struct trial *trial, const void *desc);
void case_conv2d_scale(const struct adele_conv2d_desc *from, int i, struct adele_conv2d_desc *out);
// The function of an op's descriptor.
#define CASE_DECLARE(name, has_backward) void case_##name(struct trial *trial, const void *desc);
ADELE_OPS(CASE_DECLARE)
#undef CASE_DECLARE

// Define case_NAME for an op: it creates the op of the descriptor, lets fill_NAME give the
// arguments their values, and runs the op. `before` may change desc, a copy of the descriptor,
// `between` the arguments of the second run.
#define CASE(name) CASE_RUN(name, , )
#define CASE_TWICE(name, between)                                                                  \
    CASE_RUN(name, , between; (void)trial_check(trial, iface->name##_forward(trial->op, &args)))
#define CASE_WITH_BACKWARD(name, before)                                                           \
    CASE_RUN(name, before, (void)trial_check(trial, iface->name##_backward(trial->op, &args)))
#define CASE_RUN(name, before, behind)                                                             \
    void case_##name(struct trial *trial, const void *from) {                                      \
        const struct adele_device_iface *iface = trial->device->iface;                             \
        struct adele_##name##_desc desc = *(const struct adele_##name##_desc *)from;               \
        struct adele_##name##_args args;                                                           \
        before;                                                                                    \
        if (!trial_check(trial, iface->name##_create(trial->device, &desc, &trial->op)))           \
            return;                                                                                \
        fill_##name(trial, &desc, &args);                                                          \
        if (trial->status == ADELE_OK &&                                                           \
            trial_check(trial, iface->name##_forward(trial->op, &args))) {                         \
            behind;                                                                                \
        }                                                                                          \
    }

struct selftest_case {
    enum adele_op_kind op; // whose families it is for; ADELE_OP_COUNT: for `family` alone
    enum family family;
    const void *desc;   // static, or owned by the list
    bool is_float_only; // an op without tensors, for which bf16 makes no difference
    double work;        // multiplications and additions of one run; 0: negligible
    const char
        *tile; // of the tuned kernels of forward pass and data gradient; NULL: chosen by the op
};
// The small shapes: at least one for each family, with full and partial tiles.
extern const struct selftest_case selftest_small_cases[];
extern const int selftest_n_small_cases;
case_function selftest_function(const struct selftest_case *item);
// "conv2d (1, 24, 17, 19) to 40, kernel 3, ..." or the op's name.
void selftest_describe(const struct selftest_case *item, char *out, size_t bytes);
#endif
