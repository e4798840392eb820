// SPDX-License-Identifier: MIT
#include "step/nonfinite.h"

#include "base/fail.h"
#include "base/memory.h"
#include "step/nonfinite_source.h"

#include <stdio.h>

// The parameter that segment `i` of the optimizer is made of.
static const char *segment_name(const struct training_step *step, int64_t i) {
    const struct graph *graph = network_graph(step->network);
    for (int p = 0; p < graph->n_parameters; p++)
        if (!graph->parameters[p].is_buffer && i-- == 0)
            return graph->parameters[p].name;
    return "a parameter";
}

// The larger of both records: the network's updates and those of the scale weights.
int nonfinite_count_skipped(const struct training_step *step) {
    const volatile int64_t *health = step->health;
    int64_t network = health[ADELE_HEALTH_SKIPPED];
    int64_t scales = health[ADELE_HEALTH_COUNT + ADELE_HEALTH_SKIPPED];
    return (int)(network > scales ? network : scales);
}

// When the source is not found again, the device's own record names it.
adele_status nonfinite_describe(struct training_step *step, const struct nonfinite_epoch *epoch,
                                int i_next, char *out, size_t out_bytes) {
    const int64_t *network = step->health, *scales = network + ADELE_HEALTH_COUNT;
    bool is_of_scales = network[ADELE_HEALTH_SKIPPED] == 0 ||
                        (scales[ADELE_HEALTH_SKIPPED] > 0 &&
                         scales[ADELE_HEALTH_FIRST_UPDATE] < network[ADELE_HEALTH_FIRST_UPDATE]);
    const int64_t *first = is_of_scales ? scales : network;
    const struct epoch_plan *plan = &step->epochs;
    int i_step = epoch->first_step + ((int)first[ADELE_HEALTH_FIRST_UPDATE] - 1) * plan->accumulate;
    const struct update_steps steps = epoch_plan_update(plan, epoch->epoch, i_step);
    OWNED char *source = NULL;
    for (int i = steps.first; i < steps.end && !source; i++) {
        i_step = i;
        TRY(nonfinite_source_find(step, epoch->epoch, i, i_next, &source));
    }
    if (!source && first[ADELE_HEALTH_FIRST_SEGMENT] < 0)
        source = memory_printf("the loss is not finite");
    else if (!source)
        source =
            memory_printf("the gradient of '%s' is not finite",
                          is_of_scales ? "loss.scale_weights"
                                       : segment_name(step, first[ADELE_HEALTH_FIRST_SEGMENT]));
    TRY(CHECK_MEMORY(source));
    (void)snprintf(out, out_bytes, "epoch %d, step %d of %d: %s", epoch->epoch, i_step + 1,
                   epoch->n_steps, source);
    return ADELE_OK;
}
