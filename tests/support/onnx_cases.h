// SPDX-License-Identifier: MIT
// The networks that the tests of ONNX files convert: each head, each backbone, both normalizations.
#ifndef ADELE_TESTS_ONNX_CASES_H
#define ADELE_TESTS_ONNX_CASES_H

#include "nn/network.h"
#include "onnx/onnx_graph.h"

struct onnx_case {
    const char *file;
    struct network_config config;
    enum image_normalize normalize;
};
#define ONNX_N_CASES 6
extern const struct onnx_case onnx_cases[ONNX_N_CASES];

struct onnx_packed {
    float *values; // of the network
    uint8_t *bytes;
    size_t n_bytes;
};
// The network as the bytes of a file. A failure fails the running CMocka test.
void onnx_packed_init(struct onnx_packed *packed, struct network *network,
                      enum image_normalize normalize);
void onnx_packed_deinit(struct onnx_packed *packed);
#endif
