// SPDX-License-Identifier: MIT
// The cases of the self-test: a descriptor, and the function that runs an op of it in a trial.
#ifndef ADELE_SELFTEST_CASES_H
#define ADELE_SELFTEST_CASES_H

#include "device/families.h"
#include "selftest/trial.h"

typedef void (*case_function)(struct trial *trial, const void *desc);

// For families of no op, and for the op `pack`, which shows only in a convolution that reads what
// it wrote; `desc`: struct adele_conv2d_desc.
void case_tensor(struct trial *trial, const void *desc);
void case_step_graph(struct trial *trial, const void *desc);
// The function of an op's descriptor.
#define CASE_DECLARE(name, has_backward) void case_##name(struct trial *trial, const void *desc);
ADELE_OPS(CASE_DECLARE)
#undef CASE_DECLARE

struct selftest_case {
    enum adele_op_kind op; // whose families it is for; ADELE_OP_COUNT: for `family` alone
    enum family family;
    const void *desc;   // static, or owned by the list
    bool is_float_only; // an op without tensors: bf16 would be the same again
    double work;        // multiplications and additions of one run; 0: few
    const char *tile;   // of the tuned kernels of forward pass and data gradient; NULL: they choose
};
// The small shapes: made so that each family has at least one, with tiles that are full and ones
// that are not.
extern const struct selftest_case selftest_small_cases[];
extern const int selftest_n_small_cases;
case_function selftest_function(const struct selftest_case *item);
// "conv2d (1, 24, 17, 19) to 40, kernel 3, ..." or the op's name.
void selftest_describe(const struct selftest_case *item, char *out, size_t bytes);
#endif
