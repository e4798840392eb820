// SPDX-License-Identifier: MIT
// The specification of the network's ops: plain loops, double accumulators. Descriptors and
// arguments are the device's own, with every "tensor" a plain (N, C, H, W) float array in host
// memory and no workspace; what is overwritten and what is added to is as in device.h.
#ifndef ADELE_TESTS_REFERENCE_H
#define ADELE_TESTS_REFERENCE_H

#include "device/device.h"

void reference_conv2d_forward(const struct adele_conv2d_desc *desc,
                              const struct adele_conv2d_args *args);
void reference_conv2d_backward(const struct adele_conv2d_desc *desc,
                               const struct adele_conv2d_args *args);

void reference_batch_norm_forward(const struct adele_batch_norm_desc *desc,
                                  const struct adele_batch_norm_args *args);
void reference_batch_norm_backward(const struct adele_batch_norm_desc *desc,
                                   const struct adele_batch_norm_args *args);

void reference_max_pool_forward(const struct adele_max_pool_desc *desc,
                                const struct adele_max_pool_args *args);
void reference_max_pool_backward(const struct adele_max_pool_desc *desc,
                                 const struct adele_max_pool_args *args);

void reference_rescale_forward(const struct adele_rescale_desc *desc,
                               const struct adele_rescale_args *args);
void reference_rescale_backward(const struct adele_rescale_desc *desc,
                                const struct adele_rescale_args *args);

void reference_concat_forward(const struct adele_concat_desc *desc,
                              const struct adele_concat_args *args);
void reference_concat_backward(const struct adele_concat_desc *desc,
                               const struct adele_concat_args *args);

void reference_add_forward(const struct adele_add_desc *desc, const struct adele_add_args *args);
void reference_add_backward(const struct adele_add_desc *desc, const struct adele_add_args *args);

void reference_global_pool_forward(const struct adele_global_pool_desc *desc,
                                   const struct adele_global_pool_args *args);
void reference_global_pool_backward(const struct adele_global_pool_desc *desc,
                                    const struct adele_global_pool_args *args);

void reference_aspp_forward(const struct adele_aspp_desc *desc, const struct adele_aspp_args *args);
void reference_aspp_backward(const struct adele_aspp_desc *desc,
                             const struct adele_aspp_args *args);

void reference_dropout_forward(const struct adele_dropout_desc *desc,
                               const struct adele_dropout_args *args);
void reference_dropout_backward(const struct adele_dropout_desc *desc,
                                const struct adele_dropout_args *args);

void reference_sgd_forward(const struct adele_sgd_desc *desc, const struct adele_sgd_args *args);
void reference_adamw_forward(const struct adele_adamw_desc *desc,
                             const struct adele_adamw_args *args);
void reference_combine_forward(const struct adele_combine_desc *desc,
                               const struct adele_combine_args *args);
void reference_average_forward(const struct adele_average_desc *desc,
                               const struct adele_average_args *args);

// The reference's own layout of packed weights: plain floats, rounded where the precision is bf16.
void reference_pack_forward(const struct adele_pack_desc *desc, const struct adele_pack_args *args);

void reference_initialize_forward(const struct adele_initialize_desc *desc,
                                  const struct adele_initialize_args *args);

// The value nearest to x that bf16 holds, ties to even.
float reference_bf16(float x);
#endif
