// SPDX-License-Identifier: MIT
// Floating-point entries of any width as f32.
#include "base/safetensors_format.h"

#include "base/fail.h"
#include "base/half.h"

#include <string.h>

// A bfloat16 is the upper half of a float.
static float bfloat16_to_float(uint16_t half) {
    uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void convert_16(const struct safetensors_entry *entry, float *out) {
    const char *bytes = entry->data;
    for (int64_t i = 0; i < entry->n_elements; i++) {
        uint16_t bits;
        memcpy(&bits, bytes + i * 2, sizeof bits);
        out[i] = entry->dtype == SAFETENSORS_F16 ? half_to_float(bits) : bfloat16_to_float(bits);
    }
}

static void convert_f64(const struct safetensors_entry *entry, float *out) {
    const char *bytes = entry->data;
    for (int64_t i = 0; i < entry->n_elements; i++) {
        double value;
        memcpy(&value, bytes + i * 8, sizeof value);
        out[i] = (float)value;
    }
}

adele_status safetensors_read_f32(const struct safetensors *file, const char *name, int64_t n,
                                  float *out) {
    const struct safetensors_entry *entry = safetensors_find(file, name);
    if (entry == NULL)
        return FAIL(ADELE_FORMAT, "Check that the file belongs to this network.",
                    "no tensor \"%s\" among the %d of the file", name, safetensors_count(file));
    if (entry->n_elements != n)
        return FAIL(ADELE_FORMAT, "Check that the file belongs to this network.",
                    "tensor \"%s\" has %lld elements, expected %lld", name,
                    (long long)entry->n_elements, (long long)n);
    switch (entry->dtype) {
    case SAFETENSORS_F32:
        if (entry->bytes > 0)
            memcpy(out, entry->data, entry->bytes);
        return ADELE_OK;
    case SAFETENSORS_F16:
    case SAFETENSORS_BF16:
        convert_16(entry, out);
        return ADELE_OK;
    case SAFETENSORS_F64:
        convert_f64(entry, out);
        return ADELE_OK;
    case SAFETENSORS_U8:
    case SAFETENSORS_I32:
    case SAFETENSORS_I64:
        break;
    }
    return FAIL(ADELE_FORMAT, "Convert the tensor to F32.",
                "tensor \"%s\" has dtype %s, expected F32, F16, BF16 or F64", name,
                safetensors_dtype_name(entry->dtype));
}
