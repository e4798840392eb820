// SPDX-License-Identifier: MIT
// The engine cudnn: one pass of a convolution as an operation graph of cuDNN's backend interface.
//
// cuDNN ranks its candidates for the pass; we take the first whose numerical notes promise the same
// bits from run to run and the precision of the descriptor, whose plan builds for this
// GPU, and whose scratch memory stays below a limit. Tensors are NHWC with filled-up channels as
// they lie. The filter (P_out, taps, P_in) and, when d_src is added to, the new d_src live in the
// workspace; so does the gradient of the filter, which our own kernel adds to d_weight.
//
// What bf16 tensors lose against our own kernels, as in other programs that train through cuDNN:
// dst is rounded before the bias is added too, the new d_src before it is added to the old; and
// where no candidate of cuDNN writes the gradient of the filter in float, that is rounded to bf16
// before it is added to d_weight (the engine auto does not take it).
#include "conv2d/conv2d_library.cuh"

#include "conv2d/conv2d_weight_gradient.cuh"

namespace adele_cuda {

#ifndef ADELE_CUDNN

bool conv2d_cudnn_plan(const struct conv2d *self, enum conv2d_pass pass, int from,
                       struct conv2d_library *out, int *position) {
    (void)self, (void)pass, (void)from, (void)out, (void)position;
    return false;
}

#else

static const int64_t most_scratch = 256ll << 20; // bytes
static const int n_ranked = 16;                  // candidates of one ranking
enum { MOST_DESCRIPTORS = 12 };
enum { UID_X = 1, UID_FILTER, UID_Y }; // x and y stand for their gradients too

// Two names that newer headers mark as deprecated and older libraries of version 9 need.
static const cudnnBackendAttributeName_t graph_handle = (cudnnBackendAttributeName_t)800;
static const cudnnBackendAttributeName_t plan_handle = (cudnnBackendAttributeName_t)400;

struct cudnn_plan {
    const struct libraries *libraries;
    enum conv2d_pass pass;
    bool is_failed; // of building: the first failure ends it
    int n_made;
    cudnnBackendDescriptor_t made[MOST_DESCRIPTORS]; // all are kept as long as the plan
    cudnnBackendDescriptor_t execution;
    bool is_float_filter; // the gradient of the filter
    int64_t scratch_bytes;
    size_t at_result, at_scratch, at_bias; // places in the workspace; the filter lies first
};

static void plan_release(void *opaque) {
    struct cudnn_plan *plan = (struct cudnn_plan *)opaque;
    while (plan->n_made > 0)
        (void)plan->libraries->cudnn.cudnnBackendDestroyDescriptor(plan->made[--plan->n_made]);
    memory_free(plan);
}

// ---- descriptors --------------------------------------------------------------------------------

static cudnnBackendDescriptor_t make(struct cudnn_plan *plan, cudnnBackendDescriptorType_t type) {
    cudnnBackendDescriptor_t made = NULL;
    if (plan->is_failed || plan->n_made == MOST_DESCRIPTORS ||
        plan->libraries->cudnn.cudnnBackendCreateDescriptor(type, &made) != CUDNN_STATUS_SUCCESS) {
        plan->is_failed = true;
        return NULL;
    }
    plan->made[plan->n_made++] = made;
    return made;
}

static void set(struct cudnn_plan *plan, cudnnBackendDescriptor_t of,
                cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
                const void *values) {
    plan->is_failed = plan->is_failed || plan->libraries->cudnn.cudnnBackendSetAttribute(
                                             of, name, type, count, values) != CUDNN_STATUS_SUCCESS;
}

static void set_descriptor(struct cudnn_plan *plan, cudnnBackendDescriptor_t of,
                           cudnnBackendAttributeName_t name, cudnnBackendDescriptor_t value) {
    set(plan, of, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
}

static void finalize(struct cudnn_plan *plan, cudnnBackendDescriptor_t descriptor) {
    plan->is_failed = plan->is_failed || plan->libraries->cudnn.cudnnBackendFinalize(descriptor) !=
                                             CUDNN_STATUS_SUCCESS;
}

// Extents in cuDNN's order (n, c, h, w), channels contiguous in memory.
static cudnnBackendDescriptor_t make_tensor(struct cudnn_plan *plan, int64_t uid,
                                            cudnnDataType_t type, int n, int c, int h, int w) {
    int64_t extents[4] = {n, c, h, w};
    int64_t strides[4] = {(int64_t)h * w * c, 1, (int64_t)w * c, c};
    int64_t alignment = 16;
    cudnnBackendDescriptor_t tensor = make(plan, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    set(plan, tensor, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    set(plan, tensor, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, extents);
    set(plan, tensor, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides);
    set(plan, tensor, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &uid);
    set(plan, tensor, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
    finalize(plan, tensor);
    return tensor;
}

static cudnnBackendDescriptor_t make_convolution(struct cudnn_plan *plan,
                                                 const struct conv2d_shape *shape) {
    cudnnDataType_t compute = CUDNN_DATA_FLOAT;
    cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    int64_t n_axes = 2, pads[2] = {shape->pad, shape->pad};
    int64_t strides[2] = {shape->stride, shape->stride};
    int64_t dilations[2] = {shape->dilation, shape->dilation};
    cudnnBackendDescriptor_t made = make(plan, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    set(plan, made, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &n_axes);
    set(plan, made, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &compute);
    set(plan, made, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
    set(plan, made, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, pads);
    set(plan, made, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, pads);
    set(plan, made, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, strides);
    set(plan, made, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, dilations);
    finalize(plan, made);
    return made;
}

// What differs between the passes: the operation and the names of its parts.
static const struct {
    cudnnBackendDescriptorType_t operation;
    cudnnBackendAttributeName_t alpha, beta, convolution, filter, x, y;
} passes[CONV2D_PASSES] = {
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY}};

static cudnnBackendDescriptor_t make_graph(struct cudnn_plan *plan, const struct conv2d *self) {
    const struct conv2d_shape *shape = &self->shape;
    bool is_bf16 = context_of(self->base.op.device)->storage == ADELE_PRECISION_BF16;
    cudnnDataType_t type = is_bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
    cudnnDataType_t filter_type = plan->is_float_filter ? CUDNN_DATA_FLOAT : type;
    float alpha = 1.0f, beta = 0.0f;
    cudnnBackendDescriptor_t x =
        make_tensor(plan, UID_X, type, shape->n, shape->p_in, shape->h_in, shape->w_in);
    cudnnBackendDescriptor_t filter = make_tensor(plan, UID_FILTER, filter_type, shape->p_out,
                                                  shape->p_in, shape->kernel, shape->kernel);
    cudnnBackendDescriptor_t y =
        make_tensor(plan, UID_Y, type, shape->n, shape->p_out, shape->h_out, shape->w_out);
    cudnnBackendDescriptor_t convolution = make_convolution(plan, shape);
    cudnnBackendDescriptor_t operation = make(plan, passes[plan->pass].operation);
    set_descriptor(plan, operation, passes[plan->pass].convolution, convolution);
    set_descriptor(plan, operation, passes[plan->pass].x, x);
    set_descriptor(plan, operation, passes[plan->pass].filter, filter);
    set_descriptor(plan, operation, passes[plan->pass].y, y);
    set(plan, operation, passes[plan->pass].alpha, CUDNN_TYPE_FLOAT, 1, &alpha);
    set(plan, operation, passes[plan->pass].beta, CUDNN_TYPE_FLOAT, 1, &beta);
    finalize(plan, operation);
    cudnnBackendDescriptor_t graph = make(plan, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    set(plan, graph, graph_handle, CUDNN_TYPE_HANDLE, 1, &plan->libraries->cudnn.handle);
    set_descriptor(plan, graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, operation);
    finalize(plan, graph);
    return graph;
}

// ---- choosing -----------------------------------------------------------------------------------

// Same bits from run to run, sums in float, operands in the descriptor's precision.
static bool is_welcome(const struct cudnn_plan *plan, enum conv2d_math math,
                       cudnnBackendDescriptor_t config) {
    cudnnBackendDescriptor_t engine = NULL;
    cudnnBackendNumericalNote_t notes[32];
    int64_t count = 0;
    if (plan->libraries->cudnn.cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINE_DESCRIPTOR,
                                                            &engine) != CUDNN_STATUS_SUCCESS)
        return false;
    bool is_welcome =
        plan->libraries->cudnn.cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_ENGINE,
                                                        CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count,
                                                        &engine) == CUDNN_STATUS_SUCCESS &&
        plan->libraries->cudnn.cudnnBackendGetAttribute(
            engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
            (int64_t)(sizeof notes / sizeof notes[0]), &count, notes) == CUDNN_STATUS_SUCCESS;
    for (int64_t i = 0; is_welcome && i < count; i++)
        switch (notes[i]) {
        case CUDNN_NUMERICAL_NOTE_STRICT_NAN_PROP:
            break;
        case CUDNN_NUMERICAL_NOTE_TENSOR_CORE:
            is_welcome = math != CONV2D_FMA;
            break;
        case CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS:
            is_welcome = math == CONV2D_TF32;
            break;
        default: // chance in the order, narrow sums, Fourier and Winograd transforms, notes to come
            is_welcome = false;
        }
    (void)plan->libraries->cudnn.cudnnBackendDestroyDescriptor(engine);
    return is_welcome;
}

// Makes the plan of `config`, which then belongs to it; on false nothing is left to release.
static bool try_config(struct cudnn_plan *plan, cudnnBackendDescriptor_t config) {
    cudnnBackendDescriptor_t execution = make(plan, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    int64_t count = 0;
    if (execution == NULL)
        return false;
    set(plan, execution, plan_handle, CUDNN_TYPE_HANDLE, 1, &plan->libraries->cudnn.handle);
    set_descriptor(plan, execution, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
    finalize(plan, execution);
    bool is_made = !plan->is_failed &&
                   plan->libraries->cudnn.cudnnBackendGetAttribute(
                       execution, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1,
                       &count, &plan->scratch_bytes) == CUDNN_STATUS_SUCCESS &&
                   plan->scratch_bytes <= most_scratch;
    plan->is_failed = false;
    if (is_made) {
        plan->execution = execution;
        return true;
    }
    (void)plan->libraries->cudnn.cudnnBackendDestroyDescriptor(plan->made[--plan->n_made]);
    return false;
}

// Asks for one ranking of the candidates, the first of which has number `base`, and takes the first
// good one at `from` or later. Returns its position, or -1.
static int try_ranking(struct cudnn_plan *plan, enum conv2d_math math,
                       cudnnBackendDescriptor_t graph, cudnnBackendHeurMode_t mode, int base,
                       int from) {
    cudnnBackendDescriptor_t configs[n_ranked] = {};
    int64_t n_configs = 0;
    int taken = -1, n_made = 0;
    cudnnBackendDescriptor_t ranking = make(plan, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    set_descriptor(plan, ranking, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
    set(plan, ranking, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    finalize(plan, ranking);
    while (!plan->is_failed && n_made < n_ranked &&
           plan->libraries->cudnn.cudnnBackendCreateDescriptor(
               CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &configs[n_made]) == CUDNN_STATUS_SUCCESS)
        n_made++;
    if (plan->is_failed ||
        plan->libraries->cudnn.cudnnBackendGetAttribute(
            ranking, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, n_made,
            &n_configs, configs) != CUDNN_STATUS_SUCCESS)
        n_configs = 0;
    plan->is_failed = false;
    for (int i = 0; i < n_made; i++) {
        bool is_tried = taken < 0 && i < n_configs && base + i >= from &&
                        plan->n_made < MOST_DESCRIPTORS && is_welcome(plan, math, configs[i]);
        if (is_tried && try_config(plan, configs[i]))
            taken = base + i;
        if (taken == base + i && plan->n_made < MOST_DESCRIPTORS)
            plan->made[plan->n_made++] = configs[i];
        else
            (void)plan->libraries->cudnn.cudnnBackendDestroyDescriptor(configs[i]);
    }
    return taken;
}

// ---- running ------------------------------------------------------------------------------------

static adele_status execute(const struct cudnn_plan *plan, void *x, void *filter, void *y,
                            char *workspace) {
    int64_t uids[3] = {UID_X, UID_FILTER, UID_Y};
    void *pointers[3] = {x, filter, y}, *scratch = workspace + plan->at_scratch;
    const auto *cudnn = &plan->libraries->cudnn;
    cudnnBackendDescriptor_t pack = NULL;
    cudnnStatus_t status =
        cudnn->cudnnBackendCreateDescriptor(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &pack);
    if (status == CUDNN_STATUS_SUCCESS)
        status = cudnn->cudnnBackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS,
                                                 CUDNN_TYPE_VOID_PTR, 3, pointers);
    if (status == CUDNN_STATUS_SUCCESS)
        status = cudnn->cudnnBackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS,
                                                 CUDNN_TYPE_INT64, 3, uids);
    if (status == CUDNN_STATUS_SUCCESS)
        status = cudnn->cudnnBackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE,
                                                 CUDNN_TYPE_VOID_PTR, 1, &scratch);
    if (status == CUDNN_STATUS_SUCCESS)
        status = cudnn->cudnnBackendFinalize(pack);
    if (status == CUDNN_STATUS_SUCCESS)
        status = cudnn->cudnnBackendExecute(cudnn->handle, plan->execution, pack);
    if (pack != NULL)
        (void)cudnn->cudnnBackendDestroyDescriptor(pack);
    return status == CUDNN_STATUS_SUCCESS ? ADELE_OK
                                          : FAIL(ADELE_DEVICE, "Use the device cuda/direct.",
                                                 "cuDNN: %s", cudnn->cudnnGetErrorString(status));
}

static adele_status run_forward(const struct conv2d *self, void *opaque,
                                const struct adele_conv2d_args *args) {
    const void *filter = NULL;
    TRY(conv2d_filter_pack(self, args, &filter));
    TRY(execute((const struct cudnn_plan *)opaque, (void *)args->src, (void *)filter, args->dst,
                (char *)args->workspace));
    return self->desc.has_bias ? conv2d_bias_add(self, args->bias, args->dst) : ADELE_OK;
}

static adele_status run_data_gradient(const struct conv2d *self, void *opaque,
                                      const struct adele_conv2d_args *args) {
    const struct cudnn_plan *plan = (const struct cudnn_plan *)opaque;
    char *workspace = (char *)args->workspace;
    void *result = args->accumulate_d_src ? workspace + plan->at_result : args->d_src;
    const void *filter = NULL;
    TRY(conv2d_filter_pack(self, args, &filter));
    TRY(execute(plan, result, (void *)filter, (void *)args->d_dst, workspace));
    return args->accumulate_d_src ? conv2d_d_src_add(self, result, args->d_src) : ADELE_OK;
}

static adele_status run_weight_gradient(const struct conv2d *self, void *opaque,
                                        const struct adele_conv2d_args *args) {
    const struct cudnn_plan *plan = (const struct cudnn_plan *)opaque;
    char *workspace = (char *)args->workspace;
    TRY(execute(plan, (void *)args->src, workspace, (void *)args->d_dst, workspace));
    TRY(conv2d_filter_add(self, workspace, plan->is_float_filter, args->d_weight));
    if (!self->desc.has_bias)
        return ADELE_OK;
    return bias_gradient_run(context_of(self->base.op.device), &self->shape, self->math,
                             args->d_dst, args->d_bias, workspace + plan->at_bias);
}

// ---- the plan -----------------------------------------------------------------------------------

static size_t lay_out(struct cudnn_plan *plan, const struct conv2d *self) {
    const struct conv2d_shape *shape = &self->shape;
    size_t element = context_of(self->base.op.device)->storage == ADELE_PRECISION_BF16 ? 2 : 4;
    size_t end = library_aligned(conv2d_filter_elements(self) * sizeof(float));
    plan->at_result = end;
    if (plan->pass == CONV2D_DATA_GRADIENT)
        end += library_aligned((size_t)shape->n * (size_t)shape->h_in * (size_t)shape->w_in *
                               (size_t)shape->p_in * element);
    plan->at_bias = end;
    if (plan->pass == CONV2D_WEIGHT_GRADIENT && self->desc.has_bias)
        end += library_aligned(bias_gradient_workspace(shape));
    plan->at_scratch = end;
    return end + (size_t)(plan->scratch_bytes > 0 ? plan->scratch_bytes : 0);
}

// The plan at position `from` or later with this type of the filter's gradient; NULL: none.
static struct cudnn_plan *plan_create(const struct conv2d *self, enum conv2d_pass pass,
                                      bool is_float_filter, int from, int *position) {
    static const int fallback = 100; // number of the first candidate of the second ranking
    struct cudnn_plan *plan = (struct cudnn_plan *)memory_calloc(1, sizeof *plan);
    if (plan == NULL)
        return NULL;
    plan->libraries = context_of(self->base.op.device)->libraries;
    plan->pass = pass;
    plan->is_float_filter = is_float_filter;
    cudnnBackendDescriptor_t graph = make_graph(plan, self);
    *position = -1;
    if (!plan->is_failed && from < fallback)
        *position = try_ranking(plan, self->math, graph, CUDNN_HEUR_MODE_A, 0, from);
    if (!plan->is_failed && *position < 0)
        *position = try_ranking(plan, self->math, graph, CUDNN_HEUR_MODE_FALLBACK, fallback, from);
    if (*position >= 0)
        return plan;
    plan_release(plan);
    return NULL;
}

bool conv2d_cudnn_plan(const struct conv2d *self, enum conv2d_pass pass, int from,
                       struct conv2d_library *out, int *position) {
    static const int rounded_filter =
        1000; // number of the first candidate that rounds the gradient
    const struct cuda_context *context = context_of(self->base.op.device);
    bool is_bf16 = context->storage == ADELE_PRECISION_BF16;
    memset(out, 0, sizeof *out);
    if (context->libraries == NULL || context->libraries->cudnn_version == 0 ||
        (self->math == CONV2D_BF16 && !is_bf16)) // it does not round float tensors to bf16
        return false;
    bool chooses_type = pass == CONV2D_WEIGHT_GRADIENT && is_bf16;
    struct cudnn_plan *plan = NULL;
    if (from < rounded_filter)
        plan = plan_create(self, pass, chooses_type || !is_bf16, from, position);
    // A rounded gradient only where there is no other candidate.
    if (plan == NULL && chooses_type && (from == 0 || from >= rounded_filter)) {
        plan = plan_create(self, pass, false, from > 0 ? from - rounded_filter : 0, position);
        *position += rounded_filter;
    }
    if (plan == NULL)
        return false;
    out->name = "cudnn";
    out->plan = plan;
    out->rounds_gradient = chooses_type && !plan->is_float_filter;
    out->release = plan_release;
    out->workspace_bytes = lay_out(plan, self);
    out->run = pass == CONV2D_FORWARD         ? run_forward
               : pass == CONV2D_DATA_GRADIENT ? run_data_gradient
                                              : run_weight_gradient;
    return true;
}

#endif

} // namespace adele_cuda
