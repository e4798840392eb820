// SPDX-License-Identifier: MIT
#include "api/model.h"

#include "base/fail.h"

adele_status adele_model_segment(struct adele_model *model, const struct adele_images *images,
                                 const struct adele_inference *inference, uint8_t *classes,
                                 float *probabilities) {
    struct inference_config config;
    TRY(segment_check_images(&model->model, images, classes));
    TRY(inference_options_read(inference, &config));
    return segment_images(&model->segmenter, images, &config, classes, probabilities);
}
