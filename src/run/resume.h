// SPDX-License-Identifier: MIT
// What a run that is resumed reads: the newest checkpoint that is not damaged, and the metrics up
// to it. A bit that flipped on the disk costs the epochs since the checkpoint before, not the run.
#ifndef ADELE_RUN_RESUME_H
#define ADELE_RUN_RESUME_H

#include "run/trainer_state.h"

// Loads the newest undamaged checkpoint of the run; *out_found: there is one. When the last one is
// damaged or missing, a warning names it and the one before is loaded.
ADELE_MUST_CHECK adele_status resume_load_newest(struct trainer *trainer, bool *out_found);
// The same at the start of a run, with a line that says where the run goes on.
ADELE_MUST_CHECK adele_status resume_load(struct trainer *trainer);
// Opens the metrics of the run with the records of the loaded checkpoint.
ADELE_MUST_CHECK adele_status resume_open_metrics(struct trainer *trainer);
#endif
