// SPDX-License-Identifier: MIT
// The kernel families of the CUDA device: groups of kernels that the self-test
// (selftest/selftest.h) tests together, and that a device does not use once the self-test found
// them faulty. Tuned families and libraries are replaced by the next best one, finally by the plain
// kernel of the op; without its plain or only family an op cannot run.
#ifndef ADELE_DEVICE_FAMILIES_H
#define ADELE_DEVICE_FAMILIES_H

#include "device/device.h"

#ifdef __cplusplus
extern "C" {
#endif

enum family_kind {
    FAMILY_TUNED,   // the plain family of the op does the same
    FAMILY_LIBRARY, // our own kernels do the same
    FAMILY_PLAIN,   // of an op that has tuned ones
    FAMILY_ONLY     // nothing else does it
};

// X(name, op, kind); op COUNT: of no op. In the order in which they are tested: families that
// others are compared with come first.
#define ADELE_FAMILIES(X)                                                                          \
    X(tensor, COUNT, ONLY)                                                                         \
    X(conv2d_plain, conv2d, PLAIN)                                                                 \
    X(weight_gradient_plain, conv2d, PLAIN)                                                        \
    X(conv2d_fma, conv2d, TUNED)                                                                   \
    X(conv2d_mma, conv2d, TUNED)                                                                   \
    X(conv2d_hopper, conv2d, TUNED) /* on compute capability 9.0; elsewhere conv2d_mma */          \
    X(conv2d_first_layer, conv2d, TUNED)                                                           \
    X(weight_gradient_fma, conv2d, TUNED)                                                          \
    X(weight_gradient_mma, conv2d, TUNED)                                                          \
    X(weight_gradient_hopper, conv2d, TUNED) /* as conv2d_hopper; else weight_gradient_mma */      \
    X(weight_gradient_first_layer, conv2d, TUNED)                                                  \
    X(cublas, conv2d, LIBRARY)                                                                     \
    X(cudnn, conv2d, LIBRARY)                                                                      \
    X(pack, pack, TUNED)           /* without it each convolution packs its own weights */         \
    X(conv2d_scales, COUNT, TUNED) /* of Hopper; without it one launch for each scale */           \
    X(aspp_plain, aspp, PLAIN)                                                                     \
    X(aspp_fma, aspp, TUNED)                                                                       \
    X(aspp_mma, aspp, TUNED)                                                                       \
    X(aspp_hopper, aspp, TUNED) /* as conv2d_hopper; else aspp_mma */                              \
    X(batch_norm, batch_norm, ONLY)                                                                \
    X(max_pool, max_pool, ONLY)                                                                    \
    X(rescale_plain, rescale, PLAIN)                                                               \
    X(rescale, rescale, TUNED)                                                                     \
    X(concat, concat, ONLY)                                                                        \
    X(add, add, ONLY)                                                                              \
    X(global_pool, global_pool, ONLY)                                                              \
    X(dropout, dropout, ONLY)                                                                      \
    X(loss_plain, loss, PLAIN)                                                                     \
    X(loss_fused, loss, TUNED)                                                                     \
    X(dice, dice, ONLY)                                                                            \
    X(sgd, sgd, ONLY)                                                                              \
    X(adamw, adamw, ONLY)                                                                          \
    X(combine, combine, ONLY)                                                                      \
    X(average, average, ONLY)                                                                      \
    X(initialize, initialize, ONLY)                                                                \
    X(sample, sample, ONLY)                                                                        \
    X(augment_intensity, augment_intensity, ONLY)                                                  \
    X(ensemble, ensemble, ONLY)                                                                    \
    X(decide, decide, ONLY)                                                                        \
    X(accumulate_maps, accumulate_maps, ONLY)                                                      \
    X(guided_filter, guided_filter, ONLY)                                                          \
    X(area_decision, area_decision, ONLY)                                                          \
    X(crf, crf, ONLY)                                                                              \
    X(correct, correct, ONLY)                                                                      \
    X(count, count, ONLY)                                                                          \
    X(step_graph, COUNT, TUNED) /* a step recorded and launched as one graph */

enum family {
#define ADELE_FAMILY_ENUM(name, op, kind) ADELE_FAMILY_##name,
    ADELE_FAMILIES(ADELE_FAMILY_ENUM)
#undef ADELE_FAMILY_ENUM
        ADELE_FAMILY_COUNT // at most 64, because a set of families is the bits of a uint64_t
};

static inline uint64_t family_bit(enum family family) {
    return (uint64_t)1 << family;
}

const char *family_name(enum family family); // "conv2d_mma"
enum adele_op_kind family_op(enum family family);
enum family_kind family_kind(enum family family);
// The families of that kind; of one op (ADELE_OP_COUNT: those of no op) or of all.
uint64_t families_of_kind(enum family_kind kind);
uint64_t families_of_op(enum adele_op_kind op);
uint64_t families_of_hopper(void); // which need compute capability 9.0

// "conv2d_mma, loss_fused" of a set, "" for none; cut off at `bytes`.
void families_print(uint64_t families, char *out, size_t bytes);
// The reverse, with or without a space behind each comma; false when a name is unknown.
bool families_parse(const char *text, uint64_t *out);

// Fails, with a message that names the family, when it is disabled on the device: for ops that have
// no other kernel.
ADELE_MUST_CHECK adele_status family_check(const struct adele_device *device, enum family family);
// The same for the families that an op of that kind needs when it runs its plain or only kernel:
// when it has no tuned one, when `wants_plain`, or when all tuned ones are disabled.
ADELE_MUST_CHECK adele_status families_check_op(const struct adele_device *device,
                                                enum adele_op_kind op, bool wants_plain);

static inline bool family_is_disabled(const struct adele_device *device, enum family family) {
    return (device->disabled_families & family_bit(family)) != 0;
}

#ifdef __cplusplus
}
#endif
#endif
