// SPDX-License-Identifier: MIT
// A stand-in for cuDNN's backend interface: descriptors keep what is set, plans compute by plain
// loops over tensors of any strides, sums in float. It refuses what cuDNN refuses: a descriptor
// that is changed after it was finalized, or read before, and one that lacks a part.
//
// Candidates that it ranks: in mode A one whose order of sums is random, which the device must not
// take, and a good one; in mode FALLBACK a good one. Each wants some scratch memory and writes to
// all of it.
#include "simt_libraries.h"
#include "simt_plant.h"

#include "runtime/numeric.cuh"
#include <cudnn.h>

#include <map>
#include <string.h>
#include <vector>

using adele_cuda::bf16;

struct simt_cudnn {
    cudaStream_t stream;
};
struct simt_cudnn_descriptor {
    cudnnBackendDescriptorType_t type;
    bool is_final;
    std::map<int, std::vector<unsigned char>> attributes; // by name
};

static const int64_t scratch_bytes = 1000;
static const int random_candidate = 0, good_candidate = 1; // kept as a configuration's attribute

static size_t bytes_of(cudnnBackendAttributeType_t type) {
    return type == CUDNN_TYPE_HANDLE || type == CUDNN_TYPE_INT64 || type == CUDNN_TYPE_VOID_PTR ||
                   type == CUDNN_TYPE_BACKEND_DESCRIPTOR
               ? 8
               : 4;
}

// Value i of an attribute; zero where it was not set.
template <typename T> static T value_of(cudnnBackendDescriptor_t of, int name, size_t i = 0) {
    T value = {};
    auto found = of->attributes.find(name);
    if (found != of->attributes.end() && (i + 1) * sizeof value <= found->second.size())
        memcpy(&value, found->second.data() + i * sizeof value, sizeof value);
    return value;
}

template <typename T> static void keep(cudnnBackendDescriptor_t in, int name, T value) {
    std::vector<unsigned char> bytes(sizeof value);
    memcpy(bytes.data(), &value, sizeof value);
    in->attributes[name] = bytes;
}

// ---- the library --------------------------------------------------------------------------------

cudnnStatus_t cudnnCreate(cudnnHandle_t *out) {
    *out = new simt_cudnn();
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
    delete handle;
    return CUDNN_STATUS_SUCCESS;
}
size_t cudnnGetVersion(void) {
    return 90000;
}
const char *cudnnGetErrorString(cudnnStatus_t status) {
    return status == CUDNN_STATUS_SUCCESS ? "success" : "the test makes the stand-in fail";
}
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
    handle->stream = stream;
    return CUDNN_STATUS_SUCCESS;
}

// ---- descriptors --------------------------------------------------------------------------------

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                           cudnnBackendDescriptor_t *out) {
    *out = new simt_cudnn_descriptor{type, false, {}};
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor) {
    delete descriptor;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count,
                                       const void *values) {
    if (descriptor->is_final)
        return CUDNN_STATUS_BAD_PARAM;
    const unsigned char *from = (const unsigned char *)values;
    descriptor->attributes[name].assign(from, from + (size_t)count * bytes_of(type));
    return CUDNN_STATUS_SUCCESS;
}

// What a descriptor needs before it is finalized.
cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor) {
    static const std::map<int, std::vector<int>> needed = {
        {CUDNN_BACKEND_TENSOR_DESCRIPTOR,
         {CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_ATTR_TENSOR_DATA_TYPE,
          CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_ATTR_TENSOR_UNIQUE_ID}},
        {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR,
         {CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_ATTR_CONVOLUTION_CONV_MODE,
          CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS,
          CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES,
          CUDNN_ATTR_CONVOLUTION_DILATIONS}},
        {CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR,
         {SIMT_CUDNN_OPERATIONGRAPH_HANDLE, CUDNN_ATTR_OPERATIONGRAPH_OPS}},
        {CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR,
         {CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_ATTR_ENGINEHEUR_MODE}},
        {CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR,
         {SIMT_CUDNN_EXECUTION_PLAN_HANDLE, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG}},
        {CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR,
         {CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS,
          CUDNN_ATTR_VARIANT_PACK_WORKSPACE}}};
    auto found = needed.find(descriptor->type);
    if (found != needed.end())
        for (int name : found->second)
            if (descriptor->attributes.count(name) == 0)
                return CUDNN_STATUS_BAD_PARAM;
    descriptor->is_final = true;
    return CUDNN_STATUS_SUCCESS;
}

// ---- one convolution ----------------------------------------------------------------------------

// How the three operations name their parts.
struct operation {
    cudnnBackendDescriptor_t x, filter, y, convolution;
    float alpha, beta;
};

static struct operation operation_of(cudnnBackendDescriptor_t graph) {
    auto of = value_of<cudnnBackendDescriptor_t>(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS);
    static const int names[3][6] = {
        {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
         CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
         CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
         CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
         CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
        {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA},
        {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA}};
    const int *name = names[of->type - CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR];
    return {value_of<cudnnBackendDescriptor_t>(of, name[0]),
            value_of<cudnnBackendDescriptor_t>(of, name[1]),
            value_of<cudnnBackendDescriptor_t>(of, name[2]),
            value_of<cudnnBackendDescriptor_t>(of, name[3]),
            value_of<float>(of, name[4]),
            value_of<float>(of, name[5])};
}

static int operation_type(cudnnBackendDescriptor_t graph) {
    return value_of<cudnnBackendDescriptor_t>(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS)->type;
}

struct tensor {
    int64_t extent[4], stride[4];
    bool is_bf16;
    void *data;
};

static struct tensor tensor_of(cudnnBackendDescriptor_t of, cudnnBackendDescriptor_t pack) {
    struct tensor tensor = {};
    for (size_t i = 0; i < 4; i++) {
        tensor.extent[i] = value_of<int64_t>(of, CUDNN_ATTR_TENSOR_DIMENSIONS, i);
        tensor.stride[i] = value_of<int64_t>(of, CUDNN_ATTR_TENSOR_STRIDES, i);
    }
    tensor.is_bf16 =
        value_of<cudnnDataType_t>(of, CUDNN_ATTR_TENSOR_DATA_TYPE) == CUDNN_DATA_BFLOAT16;
    for (size_t i = 0; i < 3; i++)
        if (value_of<int64_t>(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, i) ==
            value_of<int64_t>(of, CUDNN_ATTR_TENSOR_UNIQUE_ID))
            tensor.data = value_of<void *>(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, i);
    return tensor;
}

static int64_t place(const struct tensor &t, int64_t n, int64_t c, int64_t h, int64_t w) {
    return n * t.stride[0] + c * t.stride[1] + h * t.stride[2] + w * t.stride[3];
}

static float read(const struct tensor &t, int64_t n, int64_t c, int64_t h, int64_t w) {
    int64_t i = place(t, n, c, h, w);
    return t.is_bf16 ? adele_cuda::to_float(((const bf16 *)t.data)[i]) : ((const float *)t.data)[i];
}

// Calls add(n, o, y, x, i, ky, kx, yi, xi) for each product of the convolution that lies inside.
template <typename F>
static void each_product(const struct operation &op, const struct tensor &x,
                         const struct tensor &filter, const struct tensor &y, F add) {
    int64_t stride[2], dilation[2], pad[2];
    for (size_t i = 0; i < 2; i++) {
        stride[i] = value_of<int64_t>(op.convolution, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, i);
        dilation[i] = value_of<int64_t>(op.convolution, CUDNN_ATTR_CONVOLUTION_DILATIONS, i);
        pad[i] = value_of<int64_t>(op.convolution, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, i);
    }
    for (int64_t n = 0; n < y.extent[0]; n++)
        for (int64_t at_y = 0; at_y < y.extent[2]; at_y++)
            for (int64_t at_x = 0; at_x < y.extent[3]; at_x++)
                for (int64_t ky = 0; ky < filter.extent[2]; ky++)
                    for (int64_t kx = 0; kx < filter.extent[3]; kx++) {
                        int64_t from_y = at_y * stride[0] - pad[0] + ky * dilation[0];
                        int64_t from_x = at_x * stride[1] - pad[1] + kx * dilation[1];
                        if (from_y < 0 || from_y >= x.extent[2] || from_x < 0 ||
                            from_x >= x.extent[3])
                            continue;
                        for (int64_t o = 0; o < y.extent[1]; o++)
                            for (int64_t i = 0; i < x.extent[1]; i++)
                                add(n, o, at_y, at_x, i, ky, kx, from_y, from_x);
                    }
}

static int64_t count(const struct tensor &t) {
    return t.extent[0] * t.extent[1] * t.extent[2] * t.extent[3];
}

// Rounds the sums, which lie like the tensor, once. The first is left out where a fault is planted.
static void write(const struct tensor &t, const std::vector<float> &sums, float alpha, float beta) {
    for (int64_t i = simt_plant_leaves_out_first() ? 1 : 0; i < count(t); i++) {
        float old = beta == 0.0f ? 0.0f
                    : t.is_bf16  ? adele_cuda::to_float(((bf16 *)t.data)[i])
                                 : ((float *)t.data)[i];
        float value = alpha * sums[(size_t)i] + beta * old;
        if (t.is_bf16)
            ((bf16 *)t.data)[i] = adele_cuda::from_float<bf16>(value);
        else
            ((float *)t.data)[i] = value;
    }
}

static void convolve(cudnnBackendDescriptor_t graph, cudnnBackendDescriptor_t pack) {
    struct operation op = operation_of(graph);
    struct tensor x = tensor_of(op.x, pack), filter = tensor_of(op.filter, pack);
    struct tensor y = tensor_of(op.y, pack);
    int type = operation_type(graph);
    bool is_forward = type == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR;
    bool is_data = type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR;
    const struct tensor &to = is_forward ? y : is_data ? x : filter;
    std::vector<float> sums((size_t)count(to), 0.0f);
    each_product(op, x, filter, y,
                 [&](int64_t n, int64_t o, int64_t at_y, int64_t at_x, int64_t i, int64_t ky,
                     int64_t kx, int64_t from_y, int64_t from_x) {
                     if (is_forward)
                         sums[(size_t)place(y, n, o, at_y, at_x)] +=
                             read(x, n, i, from_y, from_x) * read(filter, o, i, ky, kx);
                     else if (is_data)
                         sums[(size_t)place(x, n, i, from_y, from_x)] +=
                             read(y, n, o, at_y, at_x) * read(filter, o, i, ky, kx);
                     else
                         sums[(size_t)place(filter, o, i, ky, kx)] +=
                             read(y, n, o, at_y, at_x) * read(x, n, i, from_y, from_x);
                 });
    write(to, sums, op.alpha, op.beta);
}

// ---- plans --------------------------------------------------------------------------------------

// The gradient of a filter in float from tensors of bf16, where it has no candidate for it.
static bool is_refused(cudnnBackendDescriptor_t graph) {
    struct operation op = operation_of(graph);
    return operation_type(graph) ==
               CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR &&
           value_of<cudnnDataType_t>(op.x, CUDNN_ATTR_TENSOR_DATA_TYPE) == CUDNN_DATA_BFLOAT16 &&
           value_of<cudnnDataType_t>(op.filter, CUDNN_ATTR_TENSOR_DATA_TYPE) == CUDNN_DATA_FLOAT &&
           !simt_libraries_has_float_filter();
}

// Fills in the configurations that the caller has made.
static int64_t rank(cudnnBackendDescriptor_t ranking, int64_t room,
                    cudnnBackendDescriptor_t *configurations) {
    auto graph = value_of<cudnnBackendDescriptor_t>(ranking, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
    bool is_first =
        value_of<cudnnBackendHeurMode_t>(ranking, CUDNN_ATTR_ENGINEHEUR_MODE) == CUDNN_HEUR_MODE_A;
    int64_t n = is_refused(graph) ? 0 : is_first ? 2 : 1;
    for (int64_t i = 0; i < n && i < room; i++) {
        keep(configurations[i], CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
        keep(configurations[i], CUDNN_ATTR_ENGINECFG_ENGINE,
             is_first && i == 0 ? random_candidate : good_candidate);
        configurations[i]->is_final = true;
    }
    return n < room ? n : room;
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t descriptor,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t, int64_t room, int64_t *count,
                                       void *values) {
    *count = 1;
    if (!descriptor->is_final && descriptor->type != CUDNN_BACKEND_ENGINE_DESCRIPTOR)
        return CUDNN_STATUS_BAD_PARAM;
    switch (name) {
    case CUDNN_ATTR_ENGINEHEUR_RESULTS:
        *count = rank(descriptor, room, (cudnnBackendDescriptor_t *)values);
        return CUDNN_STATUS_SUCCESS;
    case CUDNN_ATTR_ENGINECFG_ENGINE:
        keep(*(cudnnBackendDescriptor_t *)values, CUDNN_ATTR_ENGINECFG_ENGINE,
             value_of<int>(descriptor, CUDNN_ATTR_ENGINECFG_ENGINE));
        return CUDNN_STATUS_SUCCESS;
    case CUDNN_ATTR_ENGINE_NUMERICAL_NOTE:
        *(cudnnBackendNumericalNote_t *)values =
            value_of<int>(descriptor, CUDNN_ATTR_ENGINECFG_ENGINE) == random_candidate
                ? CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC
                : CUDNN_NUMERICAL_NOTE_STRICT_NAN_PROP;
        return CUDNN_STATUS_SUCCESS;
    case CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE:
        *(int64_t *)values = scratch_bytes;
        return CUDNN_STATUS_SUCCESS;
    default:
        return CUDNN_STATUS_BAD_PARAM;
    }
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan,
                                  cudnnBackendDescriptor_t pack) {
    if (!plan->is_final || !pack->is_final)
        return CUDNN_STATUS_BAD_PARAM;
    if (simt_plant_never_ends())
        return CUDNN_STATUS_SUCCESS;
    if (!simt_libraries_run() || cudaStreamSynchronize(handle->stream) != cudaSuccess)
        return CUDNN_STATUS_EXECUTION_FAILED;
    // Through the emulator's own call, which refuses what is no device memory.
    if (cudaMemset(value_of<void *>(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE), 0xff,
                   (size_t)scratch_bytes) != cudaSuccess)
        return CUDNN_STATUS_EXECUTION_FAILED;
    simt_plant_launch("cudnn", "execute");
    auto configuration =
        value_of<cudnnBackendDescriptor_t>(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
    convolve(
        value_of<cudnnBackendDescriptor_t>(configuration, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH),
        pack);
    return CUDNN_STATUS_SUCCESS;
}
