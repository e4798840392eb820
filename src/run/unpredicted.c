// SPDX-License-Identifier: MIT
#include "run/unpredicted.h"

#include "base/fail.h"
#include "base/log.h"
#include "base/memory.h"
#include "run_folder/metric_values.h"

#include <stdio.h>

// In the first epochs a network may predict the background alone, and learn the rest later.
#define EPOCHS_IN_A_ROW 5

// The first epoch of those up to `epoch` in which no labelled pixel was predicted; 0: a warning is
// not due, because they are fewer, or more, or an earlier row of epochs had it.
static int find_first(const double *iou, int epoch) {
    int n = 0;
    for (int e = 1; e <= epoch; e++) {
        n = iou[e] == 0.0 ? n + 1 : 0;
        if (n == EPOCHS_IN_A_ROW)
            return e == epoch ? epoch - n + 1 : 0;
    }
    return 0;
}

static void warn(const struct config *config, const char *name, int first) {
    char advice[200];
    bool is_sgd = config->train.optimizer == OPTIMIZER_SGD;
    // The method ensemble was measured with sgd (correction/correction_plan.c).
    (void)snprintf(advice, sizeof advice, "%s train.optimizer.lr (%g), or train longer%s",
                   is_sgd ? "raise" : "try another", config->train.lr,
                   is_sgd && !config_has_ensemble(config)
                       ? "; train.optimizer.name: adamw with a rate of 0.001 takes fewer epochs on "
                         "small sets"
                       : "");
    log_line(LOG_WARNING, "the network predicts no %s in any training image since epoch %d: %s",
             name, first, advice);
}

adele_status unpredicted_warn(const struct unpredicted_classes *classes) {
    const int64_t *predicted = classes->counts + 256, *labelled = classes->counts + 2 * 256;
    for (int c = 1; c < classes->n_categories; c++) {
        OWNED double *iou = NULL;
        if (predicted[c] > 0 || labelled[c] == 0 || classes->epoch < EPOCHS_IN_A_ROW)
            continue;
        OWNED char *name = memory_printf("train/pred_vs_noisy/iou/%s", classes->names[c]);
        TRY(CHECK_MEMORY(name));
        TRY(metric_values_read(classes->metrics, name, (size_t)classes->epoch + 1, &iou));
        int first = find_first(iou, classes->epoch);
        if (first > 0)
            warn(classes->config, classes->names[c], first);
    }
    return ADELE_OK;
}
