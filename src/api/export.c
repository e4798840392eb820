// SPDX-License-Identifier: MIT
#include "api/model.h"

#include "base/fail.h"
#include "onnx/onnx_export.h"

adele_status adele_model_export(struct adele_model *model,
                                const struct adele_export_options *options) {
    if (options->output == NULL)
        return FAIL(ADELE_INVALID_ARGUMENT, "Name a file, such as model.onnx.",
                    "no output is given");
    return onnx_export(&model->model, options->output, options->overwrite != 0);
}
