// SPDX-License-Identifier: MIT
// The networks by their names in a configuration.
#include "base/fail.h"
#include "nn/plan.h"

#include <string.h>

enum { BACKBONE_RESNET38D = RESNET_101 + 1, BACKBONE_COUNT };
static const char *const backbones[BACKBONE_COUNT] = {[RESNET_18] = "resnet18",
                                                      [RESNET_50] = "resnet50",
                                                      [RESNET_101] = "resnet101",
                                                      [BACKBONE_RESNET38D] = "resnet38d"};
static const char *const deeplabs[] = {
    [DEEPLAB_V1] = "deeplabv1", [DEEPLAB_V2] = "deeplabv2", [DEEPLAB_V3] = "deeplabv3"};

static int find(const char *name, const char *const *names, int n) {
    for (int i = 0; i < n; i++)
        if (strcmp(name, names[i]) == 0)
            return i;
    return -1;
}

static bool is_default(const char *backbone) {
    return backbone == NULL || strcmp(backbone, "default") == 0;
}

// *head: -1 for the U-Net; *backbone: number in `backbones`.
static adele_status parts_find(const struct network_config *config, int *head, int *backbone) {
    const char *name = config->name != NULL ? config->name : "";
    *head = find(name, deeplabs, sizeof deeplabs / sizeof deeplabs[0]);
    *backbone = BACKBONE_RESNET38D;
    bool is_unet = strcmp(name, "unet") == 0;
    if (*head < 0 && !is_unet)
        return FAIL(ADELE_CONFIG, "model.name is one of: unet, deeplabv1, deeplabv2, deeplabv3.",
                    "there is no model named \"%s\"", name);
    if (is_unet && !is_default(config->backbone))
        return FAIL(ADELE_CONFIG, "Leave model.backbone out, or take one of the DeepLab networks.",
                    "model.backbone is \"%s\", but a unet has no backbone", config->backbone);
    if (is_unet && config->is_frozen)
        return FAIL(ADELE_CONFIG, "Leave model.batch_norm out, or take a DeepLab network.",
                    "model.batch_norm is frozen, but a unet has no backbone to freeze");
    if (is_default(config->backbone))
        return ADELE_OK;
    *backbone = find(config->backbone, backbones, BACKBONE_COUNT);
    if (*backbone < 0)
        return FAIL(ADELE_CONFIG,
                    "model.backbone is one of: resnet38d, resnet18, resnet50, resnet101.",
                    "there is no backbone named \"%s\" for %s", config->backbone, name);
    return ADELE_OK;
}

adele_status network_check_names(const struct network_config *config) {
    int head, backbone;
    return parts_find(config, &head, &backbone);
}

adele_status network_build_graph(const struct network_config *config, struct graph *graph) {
    int head, backbone, features;
    TRY(parts_find(config, &head, &backbone));
    if (config->n_categories < 1 || config->n_categories > ADELE_MAX_CATEGORIES)
        return FAIL(ADELE_CONFIG, "", "%d classes, want 1 to %d", config->n_categories,
                    ADELE_MAX_CATEGORIES);
    if (head < 0)
        return unet_build(graph, config->n_channels, config->n_categories, config->width);
    if (backbone == BACKBONE_RESNET38D)
        TRY(resnet38_build(graph, config->n_channels, config->width, config->is_frozen, &features));
    else
        TRY(resnet_build(graph, (enum resnet_kind)backbone, config->n_channels, config->width,
                         config->is_frozen, &features));
    return deeplab_head_build(graph, (enum deeplab_head)head, features, config->n_categories,
                              config->width, config->rate);
}

adele_status network_create_unallocated(const struct adele_device *device,
                                        const struct network_config *config, struct network **out) {
    CLEANUP(graph_deinit) struct graph graph = {0};
    graph_init(&graph);
    TRY(network_build_graph(config, &graph));
    graph_set_rates(&graph, config->groups);
    return network_take_graph(device, &graph, config->seed, config->precision, out);
}

adele_status network_create(const struct adele_device *device, const struct network_config *config,
                            struct network **out) {
    struct network *network = NULL;
    TRY(network_create_unallocated(device, config, &network));
    return network_complete(network, out);
}
