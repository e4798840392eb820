// SPDX-License-Identifier: MIT
// Checks of the ops in network_ops.h.
#include "device/op_check.h"

#include "base/fail.h"

static adele_status check_shape(const char *op, int n, int c, int h, int w) {
    if (n < 1 || c < 1 || h < 1 || w < 1)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "%s: shape (%d, %d, %d, %d)", op, n, c, h, w);
    return ADELE_OK;
}

adele_status op_check_conv2d(const struct adele_conv2d_desc *desc) {
    bool is_valid = desc->n >= 1 && desc->c_in >= 1 && desc->c_out >= 1 && desc->h_in >= 1 &&
                    desc->w_in >= 1 && desc->kernel >= 1 && desc->stride >= 1 && desc->pad >= 0 &&
                    desc->dilation >= 1;
    int64_t reach = is_valid ? (int64_t)desc->dilation * (desc->kernel - 1) + 1 : 0;
    is_valid = is_valid && reach <= (int64_t)desc->h_in + 2 * (int64_t)desc->pad &&
               reach <= (int64_t)desc->w_in + 2 * (int64_t)desc->pad;
    return is_valid ? ADELE_OK
                    : FAIL(ADELE_INVALID_ARGUMENT, "",
                           "conv2d: src (%d, %d, %d, %d), c_out %d, kernel %d, stride %d, pad %d, "
                           "dilation %d",
                           desc->n, desc->c_in, desc->h_in, desc->w_in, desc->c_out, desc->kernel,
                           desc->stride, desc->pad, desc->dilation);
}

adele_status op_check_slice(const char *op, struct adele_slice slice, int c, int multiple) {
    if (slice.of != 0 &&
        (slice.first % multiple != 0 || (c % multiple != 0 && slice.first + c != slice.of)))
        return FAIL(ADELE_UNSUPPORTED, "Concatenate tensors of such channels by the concat op.",
                    "%s: %d channels from channel %d of %d do not begin and end at multiples of %d",
                    op, c, slice.first, slice.of, multiple);
    return ADELE_OK;
}

static adele_status check_slice(const char *op, struct adele_slice slice, int c) {
    int of = slice.of != 0 ? slice.of : c;
    if (slice.first < 0 || of < c || slice.first > of - c)
        return FAIL(ADELE_INVALID_ARGUMENT, "A slice lies inside of the wide tensor.",
                    "%s: %d channels from channel %d of %d", op, c, slice.first, of);
    return ADELE_OK;
}

adele_status op_check_batch_norm(const struct adele_batch_norm_desc *desc) {
    if (desc->n < 1 || desc->c < 1 || desc->h < 1 || desc->w < 1 || !(desc->eps > 0.0f) ||
        !(desc->momentum >= 0.0f && desc->momentum <= 1.0f))
        return FAIL(ADELE_INVALID_ARGUMENT, "",
                    "batch_norm: shape (%d, %d, %d, %d), eps %g, momentum %g", desc->n, desc->c,
                    desc->h, desc->w, (double)desc->eps, (double)desc->momentum);
    return check_slice("batch_norm", desc->dst, desc->c);
}

adele_status op_check_max_pool(const struct adele_max_pool_desc *desc) {
    if (desc->n < 1 || desc->c < 1 || desc->h_in < 1 || desc->w_in < 1 || desc->kernel < 1 ||
        desc->stride < 1 || desc->pad < 0 || desc->pad >= desc->kernel ||
        desc->kernel > desc->h_in + 2 * desc->pad || desc->kernel > desc->w_in + 2 * desc->pad)
        return FAIL(ADELE_INVALID_ARGUMENT, "",
                    "max_pool: shape (%d, %d, %d, %d), kernel %d, stride %d, pad %d", desc->n,
                    desc->c, desc->h_in, desc->w_in, desc->kernel, desc->stride, desc->pad);
    return check_slice("max_pool", desc->src, desc->c);
}

adele_status op_check_rescale(const struct adele_rescale_desc *desc) {
    if (desc->n < 1 || desc->c < 1 || desc->h_in < 1 || desc->w_in < 1 || desc->h_out < 1 ||
        desc->w_out < 1 || desc->h_dst < 1 || desc->w_dst < 1)
        return FAIL(ADELE_INVALID_ARGUMENT, "",
                    "rescale: (%d, %d, %d, %d) to %d x %d in a plane of %d x %d", desc->n, desc->c,
                    desc->h_in, desc->w_in, desc->h_out, desc->w_out, desc->h_dst, desc->w_dst);
    return check_slice("rescale", desc->dst, desc->c);
}

adele_status op_check_concat(const struct adele_concat_desc *desc) {
    if (desc->n < 1 || desc->c0 < 1 || desc->c1 < 1 || desc->h < 1 || desc->w < 1)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "concat: shape (%d, %d + %d, %d, %d)", desc->n,
                    desc->c0, desc->c1, desc->h, desc->w);
    return ADELE_OK;
}

adele_status op_check_add(const struct adele_add_desc *desc) {
    return check_shape("add", desc->n, desc->c, desc->h, desc->w);
}

adele_status op_check_global_pool(const struct adele_global_pool_desc *desc) {
    return check_shape("global_pool", desc->n, desc->c, desc->h, desc->w);
}

adele_status op_check_dropout(const struct adele_dropout_desc *desc) {
    TRY(check_shape("dropout", desc->n, desc->c, desc->h, desc->w));
    if (!(desc->rate >= 0.0 && desc->rate < 1.0) || desc->stream > ADELE_MAX_DROPOUT_STREAM)
        return FAIL(ADELE_INVALID_ARGUMENT, "",
                    "dropout: rate %g, want 0 up to 1 exclusively; stream %u, want 0 to %d",
                    desc->rate, (unsigned)desc->stream, ADELE_MAX_DROPOUT_STREAM);
    if ((uint64_t)desc->h * (uint64_t)desc->w > UINT32_MAX / (((uint64_t)desc->c + 3) / 4))
        return FAIL(ADELE_INVALID_ARGUMENT, "Make the images smaller.",
                    "dropout: %d channels of %d x %d pixels are more than one stream has", desc->c,
                    desc->h, desc->w);
    return ADELE_OK;
}

adele_status op_check_aspp(const struct adele_aspp_desc *desc) {
    if ((desc->form != ADELE_ASPP_SUM && desc->form != ADELE_ASPP_CONCAT) || desc->n < 1 ||
        desc->c_in < 1 || desc->h < 1 || desc->w < 1 || desc->c_out < 1 || desc->n_rates < 1 ||
        desc->n_rates > ADELE_MAX_RATES)
        return FAIL(ADELE_INVALID_ARGUMENT, "",
                    "aspp: form %d, src (%d, %d, %d, %d), %d rates of %d channels", (int)desc->form,
                    desc->n, desc->c_in, desc->h, desc->w, desc->n_rates, desc->c_out);
    for (int r = 0; r < desc->n_rates; r++)
        if (desc->rates[r] < 0 || desc->rates[r] > ADELE_MAX_RATE)
            return FAIL(ADELE_INVALID_ARGUMENT, "", "aspp: rate %d is %d, want 0 to %d", r,
                        desc->rates[r], ADELE_MAX_RATE);
    return ADELE_OK;
}
