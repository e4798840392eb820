// SPDX-License-Identifier: MIT
// struct adele_data of the public API as what src/data works with.
#ifndef ADELE_API_DATA_OPTIONS_H
#define ADELE_API_DATA_OPTIONS_H

#include "adele/data.h"
#include "config/config.h"

// The data set that `data` describes; what it gives wins over its configuration. *out borrows from
// `data` and from *config, which is NULL without a configuration; free that with config_destroy,
// after a failure too.
ADELE_MUST_CHECK adele_status data_options_resolve(const struct adele_data *data,
                                                   struct config **config,
                                                   struct dataset_config *out);
#endif
