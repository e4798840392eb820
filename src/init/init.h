// SPDX-License-Identifier: MIT
// `adele init`: a configuration for a folder that nobody has described.
#ifndef ADELE_INIT_INIT_H
#define ADELE_INIT_INIT_H

#include "adele/data.h"

// See adele_init. Destroy *out with init_report_destroy.
ADELE_MUST_CHECK adele_status init_write(const struct adele_data *data,
                                         const struct adele_init_options *options,
                                         struct adele_init_report **out);
void init_report_destroy(struct adele_init_report *report); // NULL is legal
#endif
