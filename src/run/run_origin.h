// SPDX-License-Identifier: MIT
// Which program and device made a run, in its checkpoints and in config.resolved.yaml. A run that
// was resumed elsewhere also says what made its earlier steps, because its bytes cannot be
// reproduced on one machine alone.
#ifndef ADELE_RUN_RUN_ORIGIN_H
#define ADELE_RUN_RUN_ORIGIN_H

#include "config/config.h"
#include "run/provenance.h"

struct run_origin {
    struct provenance made_by;    // this program on its device
    struct provenance checkpoint; // what made the checkpoint that was loaded
    char *earlier; // lines "until step 20: ..." of steps that something else made; NULL: none. Free
                   // with memory_free.
};

ADELE_MUST_CHECK adele_status run_origin_write(const struct run_origin *origin,
                                               struct safetensors_writer *writer);
// From a checkpoint after `step` steps.
ADELE_MUST_CHECK adele_status run_origin_read(struct run_origin *origin,
                                              const struct safetensors *file, long step);
// One warning where something else made the checkpoint that was loaded.
void run_origin_warn(const struct run_origin *origin);
// Writes RUN/config.resolved.yaml, which begins with comments that say what made the run.
ADELE_MUST_CHECK adele_status run_origin_save_config(const struct run_origin *origin,
                                                     const struct config *config,
                                                     const char *run_folder);
#endif
