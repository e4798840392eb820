// SPDX-License-Identifier: MIT
// A stand-in for cuBLAS: products by plain loops, sums in float; operands as they are in memory,
// but rounded to bf16 where the call asks for that.
#include "simt_libraries.h"
#include "simt_plant.h"

#include "runtime/numeric.cuh"
#include <cublas_v2.h>

#include <stdlib.h>

using adele_cuda::bf16;

struct simt_cublas {
    cudaStream_t stream;
};

cublasStatus_t cublasCreate_v2(cublasHandle_t *out) {
    *out = (cublasHandle_t)calloc(1, sizeof **out);
    return *out != NULL ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}
cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
    free(handle);
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasGetProperty(libraryPropertyType type, int *value) {
    *value = type == MAJOR_VERSION ? 13 : 0;
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasGetVersion_v2(cublasHandle_t, int *version) {
    *version = 130000;
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
    handle->stream = stream;
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t, void *workspace, size_t) {
    return workspace != NULL ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

static float read(const void *matrix, cudaDataType type, int64_t i) {
    return type == CUDA_R_16BF ? adele_cuda::to_float(((const bf16 *)matrix)[i])
                               : ((const float *)matrix)[i];
}

struct operand {
    const void *matrix;
    cudaDataType type;
    cublasOperation_t op;
    int leading;
    bool rounds;
};

// Element (row, column) of op(matrix).
static float element(const struct operand &of, int row, int column) {
    float value = read(of.matrix, of.type,
                       of.op == CUBLAS_OP_N ? (int64_t)column * of.leading + row
                                            : (int64_t)row * of.leading + column);
    return of.rounds ? adele_cuda::to_float(adele_cuda::from_float<bf16>(value)) : value;
}

cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b,
                            int m, int n, int k, const void *alpha, const void *a,
                            cudaDataType type_a, int lda, const void *b, cudaDataType type_b,
                            int ldb, const void *beta, void *c, cudaDataType type_c, int ldc,
                            cublasComputeType_t compute, cublasGemmAlgo_t) {
    float by = *(const float *)alpha, keep = *(const float *)beta;
    if (lda < (op_a == CUBLAS_OP_N ? m : k) || ldb < (op_b == CUBLAS_OP_N ? k : n) || ldc < m)
        return CUBLAS_STATUS_INVALID_VALUE;
    if (simt_plant_never_ends())
        return CUBLAS_STATUS_SUCCESS;
    if (!simt_libraries_run() || cudaStreamSynchronize(handle->stream) != cudaSuccess)
        return CUBLAS_STATUS_EXECUTION_FAILED;
    simt_plant_launch("cublas", "gemm");
    int first_column = simt_plant_leaves_out_first() ? 1 : 0;
    bool rounds = compute == CUBLAS_COMPUTE_32F_FAST_16BF;
    struct operand left = {a, type_a, op_a, lda, rounds}, right = {b, type_b, op_b, ldb, rounds};
    for (int column = first_column; column < n; column++)
        for (int row = 0; row < m; row++) {
            int64_t i = (int64_t)column * ldc + row;
            float sum = 0.0f;
            for (int j = 0; j < k; j++)
                sum += element(left, row, j) * element(right, j, column);
            sum = by * sum + (keep != 0.0f ? keep * read(c, type_c, i) : 0.0f);
            if (type_c == CUDA_R_16BF)
                ((bf16 *)c)[i] = adele_cuda::from_float<bf16>(sum);
            else
                ((float *)c)[i] = sum;
        }
    return CUBLAS_STATUS_SUCCESS;
}
