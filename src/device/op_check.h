// SPDX-License-Identifier: MIT
// Checks of descriptors and arguments that are the same for all devices, which check their own
// limits afterwards. The message of ADELE_INVALID_ARGUMENT names the values.
#ifndef ADELE_DEVICE_OP_CHECK_H
#define ADELE_DEVICE_OP_CHECK_H

#include "device/device.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OP_CHECK_DESC(name, has_backward)                                                          \
    ADELE_MUST_CHECK adele_status op_check_##name(const struct adele_##name##_desc *desc);
ADELE_OPS(OP_CHECK_DESC)
#undef OP_CHECK_DESC

// ADELE_UNSUPPORTED unless a slice of c channels begins and ends at multiples that the device
// supports.
ADELE_MUST_CHECK adele_status op_check_slice(const char *op, struct adele_slice slice, int c,
                                             int multiple);

// Arguments of forward. They check pointers but never dereference those that may be of device
// memory. *needs_gradient: whether d_logits were given.
ADELE_MUST_CHECK adele_status op_check_loss_args(const struct adele_loss_desc *desc,
                                                 const struct adele_loss_args *args,
                                                 bool *needs_gradient);
ADELE_MUST_CHECK adele_status op_check_dice_args(const struct adele_dice_args *args);
ADELE_MUST_CHECK adele_status op_check_sample_args(const struct adele_sample_desc *desc,
                                                   const struct adele_sample_args *args);
ADELE_MUST_CHECK adele_status
op_check_augment_intensity_args(const struct adele_augment_intensity_args *args);
ADELE_MUST_CHECK adele_status op_check_ensemble_args(const struct adele_ensemble_args *args);
ADELE_MUST_CHECK adele_status op_check_decide_args(const struct adele_decide_args *args);
ADELE_MUST_CHECK adele_status
op_check_accumulate_maps_args(const struct adele_accumulate_maps_args *args);
ADELE_MUST_CHECK adele_status op_check_guided_filter_args(
    const struct adele_guided_filter_desc *desc, const struct adele_guided_filter_args *args);
ADELE_MUST_CHECK adele_status
op_check_area_decision_args(const struct adele_area_decision_args *args);
ADELE_MUST_CHECK adele_status op_check_crf_args(const struct adele_crf_args *args);
ADELE_MUST_CHECK adele_status op_check_correct_args(const struct adele_correct_args *args);
ADELE_MUST_CHECK adele_status op_check_count_args(const struct adele_count_args *args);

#ifdef __cplusplus
}
#endif
#endif
