// SPDX-License-Identifier: MIT
// The engine as a library: everything that the program `adele` does, for programs that embed it.
//
// Options are structs in which 0 and NULL mean the default, but where an _init function is named;
// set the members that you need by their names (designated initializers), because later versions
// may add members. Text and arrays that are passed in are borrowed during the call. Functions that
// can fail return a status; adele/status.h has the message of the failure.
//
// Calls of different threads do not disturb each other as long as they work on different runs and
// models; the log's function is the process's.
#ifndef ADELE_ADELE_H
#define ADELE_ADELE_H

#include "adele/audit.h"
#include "adele/data.h"
#include "adele/device.h"
#include "adele/log.h"
#include "adele/model.h"
#include "adele/onset.h"
#include "adele/ranks.h"
#include "adele/report.h"
#include "adele/scores.h"
#include "adele/status.h"
#include "adele/table.h"
#include "adele/train.h"

#ifdef __cplusplus
extern "C" {
#endif

// "0.1.0"; static storage.
const char *adele_version(void);

#ifdef __cplusplus
}
#endif
#endif
