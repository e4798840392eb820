// SPDX-License-Identifier: MIT
// The words that all descriptors of ops share: shapes, precisions, slices and the limits on them.
//
// Layouts. "Plain" means C order in device memory, as written in the comment. "Tensor" means the
// device's own layout of an (N, C, H, W) array, NHWC on CUDA and channel-blocked on the CPU, in
// float, or in bf16 with that precision; tensor_bytes() of the device gives its size, and only
// tensor_upload() and tensor_download() convert it from and to plain NCHW float.
// Letters: N images in a batch, C channels or categories, H x W pixels, K scales.
#ifndef ADELE_DEVICE_TENSOR_H
#define ADELE_DEVICE_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADELE_MAX_SCALES     4
#define ADELE_MAX_CATEGORIES 255
#define ADELE_IGNORE         255 // the label of pixels that no loss and no count includes

struct adele_shape {
    int n, c, h, w;
};

// fp32: multiply and add in float. tf32: convolutions round their operands to 10 bits of mantissa
// where the device has tensor cores for it, elsewhere the same as fp32. bf16: operands of
// convolutions, or Winograd's transforms of them, are rounded to bf16 and summed in float, and a
// device that is opened for it keeps its tensors in bf16 too. Parameters, statistics and losses are
// float in all three.
enum adele_precision { ADELE_PRECISION_FP32, ADELE_PRECISION_BF16, ADELE_PRECISION_TF32 };

enum adele_pixel { ADELE_PIXEL_U8, ADELE_PIXEL_F16 }; // of a resident image set

// The channels first .. first + C - 1 of a wider tensor that has `of` channels. Ops that write a
// slice write directly into the concatenated tensor, so that no copy is needed; pointers are to
// the whole wide tensor. of = 0: the tensor is not a slice. A slice begins at a multiple of the
// device's slice_channels(), and ends at one or at the end of the wide tensor.
struct adele_slice {
    int first, of;
};

#endif
