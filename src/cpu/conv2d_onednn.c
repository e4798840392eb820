// SPDX-License-Identifier: MIT
// oneDNN's side of the CPU convolution: primitives, memory objects and reorders of one pass.
#include "base/fail.h"
#include "cpu/conv2d_parts.h"
#include "cpu/isa.h"
#include "cpu/onednn.h"

#include <stdio.h>
#include <string.h>

static adele_status check(dnnl_status_t code, const char *what) {
    if (code == dnnl_success)
        return ADELE_OK;
    if (code == dnnl_out_of_memory)
        return FAIL(ADELE_NO_MEMORY,
                    "Close other programs, or make the batch or the model smaller.",
                    "conv2d: no memory to %s", what);
    return FAIL(ADELE_DEVICE, "Check the installation of oneDNN (libdnnl).",
                "conv2d: oneDNN cannot %s (code %d)", what, (int)code);
}

// ---- descriptors --------------------------------------------------------------------------------

struct formats {
    onednn_memory_desc src, weights_any, weights_plain, bias, dst;
};

static void destroy_formats(struct formats *formats) {
    onednn_memory_desc_destroy(formats->src);
    onednn_memory_desc_destroy(formats->weights_any);
    onednn_memory_desc_destroy(formats->weights_plain);
    onednn_memory_desc_destroy(formats->bias);
    onednn_memory_desc_destroy(formats->dst);
}

// With bf16 operands, the output of a pass stays float, so that sums are stored unrounded, except
// dst where tensors are bf16. `out` is zeroed before; the caller destroys its descriptors, also
// after a failure.
static dnnl_status_t describe_formats(const struct conv2d *self, const struct conv2d_pass *pass,
                                      struct formats *out) {
    const struct adele_conv2d_desc *desc = &self->desc;
    dnnl_format_tag_t blocked = cpu_block(self->base.op.device) == 16 ? dnnl_nChw16c : dnnl_nChw8c;
    dnnl_dims_t src = {desc->n, self->c_in_padded, desc->h_in, desc->w_in};
    dnnl_dims_t dst = {desc->n, self->c_out_padded, self->h_out, self->w_out};
    dnnl_dims_t weights = {self->c_out_padded, self->c_in_padded, desc->kernel, desc->kernel};
    dnnl_dims_t bias = {self->c_out_padded};
    dnnl_data_type_t operand = pass->is_bf16 ? dnnl_bf16 : dnnl_f32;
    dnnl_data_type_t src_type = pass->direction == CONV2D_BACKWARD_DATA ? dnnl_f32 : operand;
    bool is_float_dst = pass->direction == CONV2D_FORWARD && !self->is_bf16;
    dnnl_data_type_t dst_type = is_float_dst ? dnnl_f32 : operand;
    dnnl_status_t code = onednn_memory_desc_create(&out->src, 4, src, src_type, blocked);
    if (code == dnnl_success)
        code = onednn_memory_desc_create(&out->dst, 4, dst, dst_type, blocked);
    if (code == dnnl_success)
        code =
            onednn_memory_desc_create(&out->weights_any, 4, weights, operand, dnnl_format_tag_any);
    if (code == dnnl_success)
        code = onednn_memory_desc_create(&out->weights_plain, 4, weights, dnnl_f32, dnnl_oihw);
    if (code == dnnl_success)
        code = onednn_memory_desc_create(&out->bias, 1, bias, dnnl_f32, dnnl_x);
    return code;
}

static dnnl_prop_kind_t kind_of(const struct conv2d *self, const struct conv2d_pass *pass) {
    if (pass->direction == CONV2D_BACKWARD_DATA)
        return dnnl_backward_data;
    if (pass->direction == CONV2D_BACKWARD_WEIGHTS)
        return dnnl_backward_weights;
    return self->desc.is_training ? dnnl_forward_training : dnnl_forward_inference;
}

static dnnl_status_t describe_primitive(const struct conv2d *self, const struct conv2d_pass *pass,
                                        const struct formats *formats,
                                        const_dnnl_primitive_attr_t attributes,
                                        const_dnnl_primitive_desc_t hint,
                                        dnnl_primitive_desc_t *out) {
    const struct adele_conv2d_desc *desc = &self->desc;
    struct onednn_convolution convolution = {
        .pass = kind_of(self, pass),
        .algorithm = dnnl_convolution_direct,
        .src = formats->src,
        .weights = formats->weights_any,
        .bias = desc->has_bias ? formats->bias : NULL,
        .dst = formats->dst,
        .strides = {desc->stride, desc->stride},
        .dilates = {desc->dilation - 1, desc->dilation - 1}, // oneDNN counts the gaps
        .pads = {desc->pad, desc->pad},
    };
    return onednn_convolution_create(out, &convolution, cpu_engine(self->base.op.device),
                                     attributes, hint);
}

// The backward primitive descriptors want the forward one, with its own types, as a hint.
static dnnl_status_t create_primitive_desc(const struct conv2d *self,
                                           const struct conv2d_pass *pass,
                                           const struct formats *formats,
                                           const_dnnl_primitive_attr_t attributes,
                                           dnnl_primitive_desc_t *out) {
    if (pass->direction == CONV2D_FORWARD)
        return describe_primitive(self, pass, formats, attributes, NULL, out);
    struct conv2d_pass forward = *pass;
    forward.direction = CONV2D_FORWARD;
    struct formats forward_formats = {0};
    dnnl_primitive_desc_t hint = NULL;
    dnnl_status_t code = describe_formats(self, &forward, &forward_formats);
    if (code == dnnl_success)
        code = describe_primitive(self, &forward, &forward_formats, attributes, NULL, &hint);
    if (code == dnnl_success)
        code = describe_primitive(self, pass, formats, attributes, hint, out);
    dnnl_primitive_desc_destroy(hint);
    destroy_formats(&forward_formats);
    return code;
}

// ---- creation -----------------------------------------------------------------------------------

static dnnl_status_t create_memory(const struct conv2d *self, onednn_memory_desc desc,
                                   dnnl_memory_t *out) {
    return dnnl_memory_create(out, desc, cpu_engine(self->base.op.device), DNNL_MEMORY_NONE);
}

static dnnl_status_t create_memories(const struct conv2d *self, struct conv2d_pass *pass,
                                     const struct formats *formats, onednn_memory_desc weights,
                                     onednn_memory_desc scratchpad) {
    dnnl_status_t code = create_memory(self, formats->src, &pass->src);
    if (code == dnnl_success)
        code = create_memory(self, weights, &pass->weights);
    if (code == dnnl_success)
        code = create_memory(self, formats->bias, &pass->bias);
    if (code == dnnl_success)
        code = create_memory(self, formats->dst, &pass->dst);
    if (code == dnnl_success)
        code = create_memory(self, scratchpad, &pass->scratchpad);
    return code;
}

// Weights are reordered from plain to the primitive's format; the weight gradient back to plain,
// where it is added.
static dnnl_status_t create_reorder(const struct conv2d *self, struct conv2d_pass *pass,
                                    const struct formats *formats, onednn_memory_desc weights) {
    dnnl_engine_t engine = cpu_engine(self->base.op.device);
    bool is_back = pass->direction == CONV2D_BACKWARD_WEIGHTS;
    onednn_memory_desc from = is_back ? weights : formats->weights_plain;
    onednn_memory_desc to = is_back ? formats->weights_plain : weights;
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_post_ops_t post_ops = NULL;
    dnnl_primitive_desc_t reorder = NULL;
    dnnl_status_t code = dnnl_primitive_attr_create(&attributes);
    if (code == dnnl_success)
        code = dnnl_post_ops_create(&post_ops);
    if (code == dnnl_success && is_back)
        code = onednn_append_sum(post_ops);
    if (code == dnnl_success)
        code = dnnl_primitive_attr_set_post_ops(attributes, post_ops);
    if (code == dnnl_success)
        code = dnnl_reorder_primitive_desc_create(&reorder, from, engine, to, engine, attributes);
    if (code == dnnl_success)
        code = dnnl_primitive_create(&pass->reorder, reorder);
    if (code == dnnl_success)
        code = create_memory(self, from, &pass->reorder_from);
    if (code == dnnl_success)
        code = create_memory(self, to, &pass->reorder_to);
    dnnl_primitive_desc_destroy(reorder);
    dnnl_post_ops_destroy(post_ops);
    dnnl_primitive_attr_destroy(attributes);
    return code;
}

static dnnl_status_t fill_pass(const struct conv2d *self, struct conv2d_pass *pass,
                               const struct formats *formats, dnnl_primitive_desc_t desc) {
    onednn_memory_desc weights = dnnl_primitive_desc_query_md(
        desc,
        pass->direction == CONV2D_BACKWARD_WEIGHTS ? dnnl_query_diff_weights_md
                                                   : dnnl_query_weights_md,
        0);
    onednn_memory_desc scratchpad = dnnl_primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0);
    const char *name = "unknown";
    dnnl_status_t code = dnnl_primitive_desc_query(desc, dnnl_query_impl_info_str, 0, &name);
    if (code != dnnl_success)
        return code;
    snprintf(pass->name, sizeof pass->name, "%s", name);
    pass->weights_bytes = dnnl_memory_desc_get_size(weights);
    pass->scratchpad_bytes = dnnl_memory_desc_get_size(scratchpad);
    code = dnnl_primitive_create(&pass->primitive, desc);
    if (code == dnnl_success)
        code = create_memories(self, pass, formats, weights, scratchpad);
    if (code == dnnl_success)
        code = create_reorder(self, pass, formats, weights);
    return code;
}

static dnnl_status_t build_pass(const struct conv2d *self, struct conv2d_pass *pass) {
    struct formats formats = {0};
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_primitive_desc_t desc = NULL;
    dnnl_status_t code = describe_formats(self, pass, &formats);
    if (code == dnnl_success)
        code = dnnl_primitive_attr_create(&attributes);
    if (code == dnnl_success)
        code = dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user);
    if (code == dnnl_success)
        code = onednn_ask_deterministic(attributes);
    if (code == dnnl_success)
        code = create_primitive_desc(self, pass, &formats, attributes, &desc);
    if (code == dnnl_success)
        code = fill_pass(self, pass, &formats, desc);
    dnnl_primitive_desc_destroy(desc);
    dnnl_primitive_attr_destroy(attributes);
    destroy_formats(&formats);
    return code;
}

// The pass with bf16 operands, if oneDNN has a kernel for it that uses AVX-512; otherwise `pass`
// stays zeroed. Running out of memory is an error and selects no other kernel.
static adele_status build_bf16_pass(const struct conv2d *self, enum conv2d_direction direction,
                                    struct conv2d_pass *pass) {
    *pass = (struct conv2d_pass){.direction = direction, .is_bf16 = true};
    dnnl_status_t code = build_pass(self, pass);
    if (code == dnnl_success && strstr(pass->name, "avx512") != NULL)
        return ADELE_OK;
    conv2d_pass_deinit(pass);
    return code == dnnl_out_of_memory ? check(code, "create a convolution of this shape")
                                      : ADELE_OK;
}

adele_status conv2d_pass_init(const struct conv2d *self, enum conv2d_direction direction,
                              struct conv2d_pass *pass) {
    bool is_data = direction != CONV2D_BACKWARD_WEIGHTS;
    pass->direction = direction;
    // Before oneDNN's bf16 kernels: these multiply twice as fast, and four times as often.
    if (is_data && conv2d_winograd_plan(self, pass))
        return ADELE_OK;
    if (is_data && self->rounds && cpu_isa() == CPU_ISA_AVX512_BF16)
        TRY(build_bf16_pass(self, direction, pass));
    if (pass->primitive != NULL)
        return ADELE_OK;
    pass->direction = direction;
    TRY(check(build_pass(self, pass), "create a convolution of this shape"));
    if (conv2d_far_serves(self, pass)) {
        pass->is_far = true;
        pass->weights_bytes = self->padded_weight_bytes;
        snprintf(pass->name, sizeof pass->name, "far");
    }
    return ADELE_OK;
}

void conv2d_pass_deinit(struct conv2d_pass *pass) {
    dnnl_memory_t memories[] = {pass->src,        pass->weights,      pass->bias,      pass->dst,
                                pass->scratchpad, pass->reorder_from, pass->reorder_to};
    for (size_t i = 0; i < sizeof memories / sizeof memories[0]; i++)
        if (memories[i] != NULL)
            dnnl_memory_destroy(memories[i]);
    if (pass->reorder != NULL)
        dnnl_primitive_destroy(pass->reorder);
    if (pass->primitive != NULL)
        dnnl_primitive_destroy(pass->primitive);
    memset(pass, 0, sizeof *pass);
}

// ---- running ------------------------------------------------------------------------------------

// oneDNN takes pointers without const; it writes only through those it documents as outputs.
static dnnl_status_t point(dnnl_memory_t memory, const void *pointer) {
    return dnnl_memory_set_data_handle(memory, (void *)(uintptr_t)pointer);
}

adele_status conv2d_pass_run(const struct conv2d *self, const struct conv2d_pass *pass,
                             const struct conv2d_pointers *pointers) {
    if (pass->is_far) {
        conv2d_far_run(self, pass, pointers);
        return ADELE_OK;
    }
    if (pass->winograd.kernels != NULL) {
        conv2d_winograd_run(self, pass, pointers);
        return ADELE_OK;
    }
    bool is_forward = pass->direction == CONV2D_FORWARD;
    bool is_weights = pass->direction == CONV2D_BACKWARD_WEIGHTS;
    dnnl_exec_arg_t args[5] = {
        {pass->direction == CONV2D_BACKWARD_DATA ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, pass->src},
        {is_weights ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS, pass->weights},
        {is_forward ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST, pass->dst},
        {DNNL_ARG_SCRATCHPAD, pass->scratchpad},
        {is_weights ? DNNL_ARG_DIFF_BIAS : DNNL_ARG_BIAS, pass->bias},
    };
    bool has_bias = self->desc.has_bias && pass->direction != CONV2D_BACKWARD_DATA;
    dnnl_status_t code = point(pass->src, pointers->src);
    if (code == dnnl_success)
        code = point(pass->weights, pointers->weights);
    if (code == dnnl_success)
        code = point(pass->dst, pointers->dst);
    if (code == dnnl_success)
        code = point(pass->scratchpad, pointers->scratchpad);
    if (code == dnnl_success && has_bias)
        code = point(pass->bias, pointers->bias);
    dnnl_stream_t stream = cpu_stream(self->base.op.device);
    if (code == dnnl_success)
        code = dnnl_primitive_execute(pass->primitive, stream, has_bias ? 5 : 4, args);
    if (code == dnnl_success)
        code = dnnl_stream_wait(stream);
    return check(code, "run a convolution");
}

adele_status conv2d_reorder(const struct conv2d *self, const struct conv2d_pass *pass,
                            const void *from, void *to) {
    dnnl_exec_arg_t args[2] = {{DNNL_ARG_FROM, pass->reorder_from},
                               {DNNL_ARG_TO, pass->reorder_to}};
    dnnl_stream_t stream = cpu_stream(self->base.op.device);
    dnnl_status_t code = point(pass->reorder_from, from);
    if (code == dnnl_success)
        code = point(pass->reorder_to, to);
    if (code == dnnl_success)
        code = dnnl_primitive_execute(pass->reorder, stream, 2, args);
    if (code == dnnl_success)
        code = dnnl_stream_wait(stream);
    return check(code, "reorder weights");
}
