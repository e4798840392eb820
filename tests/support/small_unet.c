// SPDX-License-Identifier: MIT
#include "support/small_unet.h"

#include "support/devices.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

struct adele_device *small_unet_device;

int small_unet_setup(void **state) {
    (void)state;
    small_unet_device = devices_open_first();
    return small_unet_device != NULL ? 0 : -1;
}

int small_unet_teardown(void **state) {
    (void)state;
    adele_device_close(small_unet_device);
    return 0;
}

struct network *small_unet_create(int n_channels, int n_categories, int width, uint64_t seed) {
    struct network_config config = {.name = "unet",
                                    .n_channels = n_channels,
                                    .n_categories = n_categories,
                                    .width = width,
                                    .seed = seed};
    struct network *network;
    check_ok(network_create(small_unet_device, &config, &network));
    return network;
}

float *small_unet_download(const float *arena, int64_t n) {
    float *host = malloc((size_t)n * sizeof *host);
    assert_non_null(host);
    check_ok(small_unet_device->iface->download(small_unet_device, host, arena,
                                                (size_t)n * sizeof *host));
    return host;
}

void small_unet_assert_same(struct network *a, struct network *b) {
    const struct graph *graph = network_graph(a);
    float *weights[2] = {small_unet_download(network_weights(a), graph->n_weights),
                         small_unet_download(network_weights(b), graph->n_weights)};
    float *buffers[2] = {small_unet_download(network_buffers(a), graph->n_buffers),
                         small_unet_download(network_buffers(b), graph->n_buffers)};
    assert_memory_equal(weights[0], weights[1], (size_t)graph->n_weights * sizeof(float));
    assert_memory_equal(buffers[0], buffers[1], (size_t)graph->n_buffers * sizeof(float));
    for (int i = 0; i < 2; i++) {
        free(weights[i]);
        free(buffers[i]);
    }
}
