// SPDX-License-Identifier: MIT
// `adele export`: a trained network as an ONNX file that needs nothing else of its run.
#ifndef ADELE_ONNX_ONNX_EXPORT_H
#define ADELE_ONNX_ONNX_EXPORT_H

#include "predict/model.h"

// See adele_model_export.
ADELE_MUST_CHECK adele_status onnx_export(const struct model *model, const char *path,
                                          bool is_overwriting);
#endif
