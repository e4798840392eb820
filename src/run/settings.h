// SPDX-License-Identifier: MIT
// Whether a run that is resumed keeps its settings.
#ifndef ADELE_RUN_SETTINGS_H
#define ADELE_RUN_SETTINGS_H

#include "config/config.h"

// Before a run is resumed: logs each setting that differs from the run's own. ADELE_CONFIG names
// all of those that would make the result a mixture of two runs. `config` has resolved paths.
ADELE_MUST_CHECK adele_status run_settings_compare(const char *run_folder,
                                                   const struct config *config);
// Whether a run that is resumed may have another value of that key: "train.epochs".
bool run_setting_may_change(const char *path);
#endif
