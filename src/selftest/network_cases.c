// SPDX-License-Identifier: MIT
#include "selftest/network_cases.h"

#include "base/fail.h"
#include "base/memory.h"
#include "config/config.h"
#include "data/load.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// One of the images that a step trains on. The first is read where the configuration does not give
// its size.
static adele_status find_input(const struct config *config, const struct dataset *dataset,
                               struct adele_shape *out) {
    const int *patch = config->data.patch, *size = config->data.size;
    const int *crop = patch[0] > 0 ? patch : config->data.crop;
    const int *extents = crop[0] > 0 && crop[1] > 0 ? crop : size;
    *out = (struct adele_shape){1, dataset->n_channels, extents[0], extents[1]};
    if (extents[0] > 0 && extents[1] > 0)
        return ADELE_OK;
    struct dataset_images images;
    TRY(dataset_load_case(dataset, SPLIT_TRAIN, 0, &images));
    out->h = images.h;
    out->w = images.w;
    dataset_images_deinit(&images);
    return ADELE_OK;
}

static adele_status plan_ops(const struct config *config, struct network_cases *cases) {
    struct dataset_config data;
    struct network_config network;
    OWNED_BY(dataset_close) struct dataset *dataset = NULL;
    config_dataset(config, &data);
    config_network(config, &network);
    struct adele_shape input;
    TRY(dataset_open(&data, &dataset));
    network.n_channels = dataset->n_channels;
    network.n_categories = dataset->n_categories;
    TRY(find_input(config, dataset, &input));
    TRY(network_build_graph(&network, &cases->graph));
    return planned_ops_create(&cases->graph, input, config->train.precision, &cases->ops);
}

static size_t desc_bytes(enum adele_op_kind op) {
    static const size_t bytes[] = {
#define BYTES(name, has_backward) sizeof(struct adele_##name##_desc),
        ADELE_OPS(BYTES)
#undef BYTES
    };
    return bytes[op];
}

static bool is_listed(const struct network_cases *cases, const struct planned_op *op) {
    for (int i = 0; i < cases->n; i++)
        if (cases->list[i].op == op->kind &&
            memcmp(cases->list[i].desc, op->desc, desc_bytes(op->kind)) == 0)
            return true;
    return false;
}

static int compare_work(const void *a, const void *b) {
    const struct selftest_case *left = a, *right = b;
    if (left->work ==
        right->work) // so that the order does not depend on how qsort treats equal ones
        return (left->desc > right->desc) - (left->desc < right->desc);
    return (left->work > right->work) - (left->work < right->work);
}

// Multiplications and additions of forward pass and gradients; others than these take little.
static double work_of(const struct planned_op *op) {
    const struct adele_conv2d_desc *conv = op->desc;
    const struct adele_aspp_desc *aspp = op->desc;
    double products = 0.0, n_pixels = (double)op->out.n * op->out.h * op->out.w;
    bool needs_d_src = false;
    if (op->kind == ADELE_OP_conv2d) {
        needs_d_src = conv->needs_d_src;
        products = (double)conv->kernel * conv->kernel * conv->c_in * conv->c_out * n_pixels;
    } else if (op->kind == ADELE_OP_aspp) {
        needs_d_src = aspp->needs_d_src;
        for (int r = 0; r < aspp->n_rates; r++)
            products += (aspp->rates[r] > 0 ? 9.0 : 1.0) * aspp->c_in * aspp->c_out * n_pixels;
    }
    return fmax(products * (needs_d_src ? 6.0 : 4.0), 1.0);
}

static adele_status make_list(struct network_cases *cases) {
    int n_ops;
    const struct planned_op *ops = planned_ops_list(cases->ops, &n_ops);
    TRY(ALLOCATE(&cases->list, n_ops));
    for (int i = 0; i < n_ops; i++)
        if (!is_listed(cases, &ops[i]))
            cases->list[cases->n++] = (struct selftest_case){
                ops[i].kind, ADELE_FAMILY_COUNT, ops[i].desc, false, work_of(&ops[i]), NULL};
    qsort(cases->list, (size_t)cases->n, sizeof *cases->list, compare_work);
    return ADELE_OK;
}

adele_status network_cases_init(const char *path, int n_sets, const char *const *sets,
                                struct network_cases *out) {
    OWNED_BY(config_destroy) struct config *config = NULL;
    CLEANUP(network_cases_deinit) struct network_cases cases = {0};
    *out = (struct network_cases){0};
    graph_init(&cases.graph);
    TRY(config_load(path, n_sets, sets, &config));
    cases.precision = config->train.precision;
    TRY(plan_ops(config, &cases));
    TRY(make_list(&cases));
    *out = cases;
    cases = (struct network_cases){0};
    return ADELE_OK;
}

void network_cases_deinit(struct network_cases *cases) {
    memory_free(cases->list);
    planned_ops_destroy(cases->ops);
    graph_deinit(&cases->graph);
    memset(cases, 0, sizeof *cases);
}
