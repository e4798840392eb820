// SPDX-License-Identifier: MIT
#include "support/tensor_core_tolerance.h"

#include "support/devices.h"

#include <math.h>
#include <string.h>

double tensor_core_rms(double n_terms, double run, bool is_tf32) {
    const double block = is_tf32 ? 4.0 : 8.0;
    double n = n_terms / run * ceil(run / 8.0) * 8.0 / block;
    double of_sums = n * sqrt(n_terms / 27.0) + n;
    double of_products = 2.0 * sqrt(n_terms * n_terms / 54.0 + n_terms / 3.0);
    return 0x1p-25 * (of_sums + of_products);
}

double tensor_core_rms_on(const struct adele_device *device, enum adele_precision precision,
                          double n_terms, double run) {
    bool is_bf16 = device_is_bf16(device) || precision == ADELE_PRECISION_BF16;
    bool is_cpu = strcmp(device->iface->name, "cpu") == 0;
    if (is_cpu || strcmp(device->engine, "plain") == 0 ||
        (!is_bf16 && precision != ADELE_PRECISION_TF32))
        return 0.0;
    return tensor_core_rms(n_terms, run, !is_bf16);
}
