// SPDX-License-Identifier: MIT
#include "onnx/onnx_export.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "data/standardize.h"
#include "onnx/onnx_graph.h"
#include "predict/model_output.h"

static const char *const normalizations[] = {
    [NORMALIZE_IMAGE] = "inside: every channel of every image to mean 0 and deviation 1",
    [NORMALIZE_IMAGENET] = "inside: RGB values from 0 to 255 to the statistics of ImageNet"};

// The names of the classes as a JSON array.
static const char *class_names(struct onnx_builder *builder, const struct model *model) {
    OWNED_BY(cJSON_Delete)
    cJSON *names =
        cJSON_CreateStringArray((const char *const *)model->category_names, model->n_categories);
    OWNED_BY(cJSON_free) char *text = cJSON_PrintUnformatted(names);
    return text != NULL ? onnx_name(builder, "%s", text) : NULL;
}

static adele_status add_metadata(struct onnx_builder *builder, const struct model *model) {
    const char *names = class_names(builder, model);
    TRY(CHECK_MEMORY(names));
    onnx_add_metadata(builder, "names", names);
    onnx_add_metadata(builder, "height", onnx_name(builder, "%d", model->height));
    onnx_add_metadata(builder, "width", onnx_name(builder, "%d", model->width));
    onnx_add_metadata(builder, "input", "values as the image files have them: 0 to 255 of 8 bits");
    onnx_add_metadata(builder, "normalization", normalizations[model->normalize]);
    onnx_add_metadata(builder, "output", "logits at the size of the input; argmax over axis 1");
    if (model->orientation.letters[0] != '\0')
        onnx_add_metadata(builder, "orientation", model->orientation.letters);
    onnx_add_metadata(builder, "checkpoint", file_base_name(model->path));
    onnx_add_metadata(builder, "epoch", onnx_name(builder, "%d", model->epoch));
    return ADELE_OK;
}

static adele_status build(struct onnx_builder *builder, const struct model *model,
                          const float *values, uint8_t **out, size_t *out_bytes) {
    const struct graph *graph = network_graph(model->network);
    if (model->normalize == NORMALIZE_IMAGENET && model->n_channels != IMAGENET_CHANNELS)
        return FAIL(ADELE_FORMAT, "Name a checkpoint that `adele train` wrote.",
                    "%s: images of %d channels with ImageNet's statistics of %d", model->path,
                    model->n_channels, IMAGENET_CHANNELS);
    const struct onnx_network network = {.graph = graph,
                                         .weights = values,
                                         .buffers = values + graph->n_weights,
                                         .normalize = model->normalize};
    onnx_add_network(builder, &network);
    TRY(add_metadata(builder, model));
    return onnx_builder_pack(builder, out, out_bytes);
}

static adele_status write(struct output *output, const char *path, const uint8_t *bytes, size_t n) {
    TRY(output_begin(output));
    return output_end(output, file_write(path, bytes, n));
}

adele_status onnx_export(const struct model *model, const char *path, bool is_overwriting) {
    struct model_options options;
    OWNED_BY(output_destroy) struct output *output = NULL;
    OWNED_BY(onnx_builder_destroy) struct onnx_builder *builder = NULL;
    OWNED float *values = NULL;
    OWNED uint8_t *bytes = NULL;
    size_t n_bytes = 0;
    model_options_init(&options);
    options.is_overwriting = is_overwriting;
    TRY(model_plan_file(model, &options, path, &output));
    TRY(network_download(model->network, &values));
    TRY(onnx_builder_create(&builder));
    TRY(build(builder, model, values, &bytes, &n_bytes));
    return write(output, path, bytes, n_bytes);
}
