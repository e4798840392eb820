// SPDX-License-Identifier: MIT
// Checks a path that a user gave for the folder of a run, or for one of its checkpoints.
#ifndef ADELE_RUN_FOLDER_RUN_ARGUMENT_H
#define ADELE_RUN_FOLDER_RUN_ARGUMENT_H

#include "adele/status.h"
#include <stdbool.h>

// Refuses what can be neither, with a message that names what it is: nothing of that name
// (ADELE_IO), a configuration, or a file where that is not allowed (ADELE_INVALID_ARGUMENT). Reads
// no file.
ADELE_MUST_CHECK adele_status run_argument_check(const char *path, bool may_be_file);
#endif
