// SPDX-License-Identifier: MIT
#include "reference/reference.h"

void reference_pack_forward(const struct adele_pack_desc *desc,
                            const struct adele_pack_args *args) {
    for (int i = 0; i < desc->n_items; i++) {
        const struct adele_pack_item *item = &desc->items[i];
        const float *from = args->weights + item->weight;
        float *to = (float *)(void *)((char *)args->packed + item->packed);
        int64_t count = (int64_t)item->c_out * item->c_in * item->kernel * item->kernel;
        for (int64_t k = 0; k < count; k++)
            to[k] = desc->precision == ADELE_PRECISION_BF16 ? reference_bf16(from[k]) : from[k];
    }
}
