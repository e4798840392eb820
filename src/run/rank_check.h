// SPDX-License-Identifier: MIT
// Whether the processes that train together have the same to train: otherwise each rank would
// compute parts of another run. All are collective and fail on every rank, as the functions of
// ranks/rank_facts.h do, which compares the files of the data set.
#ifndef ADELE_RUN_RANK_CHECK_H
#define ADELE_RUN_RANK_CHECK_H

#include "run/trainer_state.h"

// Before anything is read: version, configuration, folder of the run.
ADELE_MUST_CHECK adele_status rank_check_start(const struct trainer_options *options);
// The build and the device, on which the bytes of results depend.
ADELE_MUST_CHECK adele_status rank_check_provenance(struct ranks *ranks,
                                                    const struct provenance *made_by);
// Once the device is open and the data are read: device, training labels.
ADELE_MUST_CHECK adele_status rank_check_data(const struct trainer *trainer);
// Once the newest checkpoint is loaded; `is_found`: there was one.
ADELE_MUST_CHECK adele_status rank_check_checkpoint(const struct trainer *trainer, bool is_found);
#endif
