// SPDX-License-Identifier: MIT
// The onsets of series that a file holds: onset.json of a run, or an array of series.
#ifndef ADELE_ONSET_ONSET_SERIES_H
#define ADELE_ONSET_ONSET_SERIES_H

#include "adele/onset.h"
#include "onset/onset.h"

// See adele_onset_read. Destroy *out with onset_list_destroy.
ADELE_MUST_CHECK adele_status onset_series_read(const char *path, struct adele_onset_list **out);
void onset_list_destroy(struct adele_onset_list *list); // NULL is legal

struct adele_onset onset_describe(const struct onset_result *result);
#endif
