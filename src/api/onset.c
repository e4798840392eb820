// SPDX-License-Identifier: MIT
#include "adele/onset.h"

#include "onset/onset_series.h"

void adele_find_onset(const double *iou, int n, int n_epochs, double r, struct adele_onset *out) {
    struct onset_config config;
    struct onset_result result;
    onset_config_init(&config, ONSET_SEGTHOR);
    config.n_epochs = n_epochs;
    config.r = r;
    onset_find(&config, n, iou, &result);
    *out = onset_describe(&result);
}

adele_status adele_onset_read(const char *path, struct adele_onset_list **out) {
    return onset_series_read(path, out);
}

void adele_onset_list_destroy(struct adele_onset_list *list) {
    onset_list_destroy(list);
}
