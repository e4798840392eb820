// SPDX-License-Identifier: MIT
#include "predict/case_ranks.h"

#include "base/clock.h"
#include "base/fail.h"
#include "loader/rank_files.h"
#include "ranks/rank_facts.h"

#include <stdio.h>

// A round costs a message from each rank to each other one, and the time for which the ranks that
// are done with their last case of it wait for the others.
#define ROUND_SECONDS 2.0

// ---- begin --------------------------------------------------------------------------------------

static void describe_inference(const struct model_options *options, struct rank_fact *out) {
    const struct inference_config *inference = &options->inference;
    char text[RANK_FACT_BYTES];
    int n = snprintf(text, sizeof text, "batch %d, window %d x %d, flip %d, crf %d, scales",
                     inference->batch, inference->window_h, inference->window_w, inference->flip,
                     inference->crf_iterations);
    for (int i = 0; i < inference->n_scales; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, " %.6g", inference->scales[i]);
    rank_fact_set_option(out, "options of prediction", text);
}

static adele_status compare_options(const struct model_options *options,
                                    const struct dataset *dataset) {
    enum { N_FACTS = 6 };
    struct rank_fact facts[N_FACTS];
    rank_fact_set_option(&facts[0], "data", dataset->root);
    rank_fact_set_option(&facts[1], "split", dataset_split_name(options->split));
    rank_fact_set_option(&facts[2], "folder of masks", options->masks_folder);
    rank_fact_set_option(&facts[3], "options",
                         options->probabilities ? "--probabilities" : "no --probabilities");
    rank_fact_set_option(&facts[4], "scores",
                         options->case_scores ? "those of cases, too" : "those of classes");
    describe_inference(options, &facts[5]);
    return rank_facts_compare(options->ranks, N_FACTS, facts);
}

adele_status case_ranks_begin(const struct model_options *options, const struct dataset *dataset,
                              adele_status status) {
    TRY(ranks_agree(options->ranks, status));
    TRY(compare_options(options, dataset));
    return rank_files_compare(options->ranks, dataset);
}

// ---- rounds -------------------------------------------------------------------------------------

struct case_round case_round_first(struct ranks *ranks, int n_cases, int n_at_once) {
    return (struct case_round){.left = image_share_mine(ranks, n_cases, n_at_once),
                               .n_at_once = n_at_once,
                               .n_total = n_cases,
                               .until = clock_seconds() + ROUND_SECONDS};
}

bool case_round_next(struct case_round *round, const struct ranks *ranks, struct image_share *out) {
    struct image_share *left = &round->left;
    if (left->first == left->end)
        return false;
    if (ranks_count(ranks) > 1 && round->has_begun && clock_seconds() > round->until)
        return false;
    round->has_begun = true;
    out->first = left->first;
    out->end =
        left->end - left->first < round->n_at_once ? left->end : left->first + round->n_at_once;
    left->first = out->end;
    return true;
}

bool case_should_stop(const struct model_options *options) {
    ranks_tell_alive(options->ranks);
    return options->should_stop && options->should_stop(options->context);
}

adele_status case_round_end(struct case_round *round, const struct model_options *options,
                            adele_status status) {
    enum { LEFT, ASKED, DONE, N_SUMS };
    if (ranks_count(options->ranks) == 1) {
        round->is_over = true;
        return status;
    }
    // Here the ranks wait for the slowest one.
    TRY(ranks_agree(options->ranks, status));
    int64_t sums[N_SUMS] = {[LEFT] = round->left.end - round->left.first,
                            [ASKED] =
                                options->should_stop && options->should_stop(options->context),
                            [DONE] = round->n_done};
    TRY(ranks_sum(options->ranks, sums, N_SUMS));
    if (sums[ASKED] > 0 && sums[LEFT] > 0)
        return ranks_agree(options->ranks, FAIL(ADELE_INTERRUPTED, "", "interrupted"));
    round->is_over = sums[LEFT] == 0;
    round->has_begun = false;
    round->n_done_by_others = (int)sums[DONE] - round->n_done;
    round->until = clock_seconds() + ROUND_SECONDS;
    return ADELE_OK;
}
