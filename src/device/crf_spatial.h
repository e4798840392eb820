// SPDX-License-Identifier: MIT
// The spatial Gaussian of a CRF, which is a product of one along x and one along y, as tables on
// the host that all devices use.
#ifndef ADELE_DEVICE_CRF_SPATIAL_H
#define ADELE_DEVICE_CRF_SPATIAL_H

#include "device/device.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CRF_FLOOR      1e-5f // no probability is smaller than this
#define CRF_MAX_PIXELS (1 << 27)
#define CRF_REACH      4.0 // of the spatial Gaussian, in sigmas

struct crf_spatial {
    int reach;           // in pixels; below the longer extent
    size_t n_floats;     // of the three tables, which lie one behind the other
    float *tap;          // (reach + 1)
    float *row, *column; // (h), (w): 1 / root of the sum of the taps that stay inside the image
};

ADELE_MUST_CHECK adele_status crf_spatial_init(const struct adele_crf_desc *desc,
                                               struct crf_spatial *out);
void crf_spatial_deinit(struct crf_spatial *spatial);

#ifdef __cplusplus
}
#endif
#endif
