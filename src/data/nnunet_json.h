// SPDX-License-Identifier: MIT
// dataset.json of the nnU-Net layout.
#ifndef ADELE_DATA_NNUNET_JSON_H
#define ADELE_DATA_NNUNET_JSON_H

#include "data/dataset.h"
#include <cjson/cJSON.h>

// Sets channels, categories and endings of the data set. `path` is for messages. Both versions of
// the file are read: labels as {"name": value} and as {"value": "name"}.
ADELE_MUST_CHECK adele_status nnunet_json_describe(struct dataset *dataset, const char *path,
                                                   const cJSON *json);
#endif
