// SPDX-License-Identifier: MIT
// What the files of adele/model.h share.
#ifndef ADELE_API_MODEL_H
#define ADELE_API_MODEL_H

#include "adele/model.h"
#include "base/memory.h"
#include "predict/model.h"
#include "predict/segment.h"

struct adele_model {
    struct model model;
    struct adele_model_info info;
    struct ranks *ranks;        // that have opened it together; NULL: one process
    struct segmenter segmenter; // of adele_model_segment
};

OWNER(adele_model_close, struct adele_model)

// ADELE_INVALID_ARGUMENT unless it is "last", "best" or NULL.
ADELE_MUST_CHECK adele_status checkpoint_name_check(const char *name);

// ADELE_INVALID_ARGUMENT for a number out of its range. NULL `inference`: the defaults.
ADELE_MUST_CHECK adele_status inference_options_read(const struct adele_inference *inference,
                                                     struct inference_config *out);

// ADELE_INVALID_ARGUMENT unless it is "train", "val" or "test". NULL leaves *out as it is.
ADELE_MUST_CHECK adele_status split_name_read(const char *name, enum dataset_split *out);

// The callbacks of `watch`, which must live as long as *out.
void watch_connect(const struct adele_watch *watch, struct model_options *out);
#endif
