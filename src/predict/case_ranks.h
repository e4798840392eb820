// SPDX-License-Identifier: MIT
// Several processes that predict the cases of one split: each takes whole cases, neighbours in the
// list, so that what they compute, put behind each other by rank, is in the order of one process.
// All functions are collective.
#ifndef ADELE_PREDICT_CASE_RANKS_H
#define ADELE_PREDICT_CASE_RANKS_H

#include "predict/model.h"
#include "ranks/image_share.h"

// Before the first byte is written: `status` is that of opening and planning. Fails on all ranks
// when it is an error on one of them, or when options, folders or files differ.
ADELE_MUST_CHECK adele_status case_ranks_begin(const struct model_options *options,
                                               const struct dataset *dataset, adele_status status);

// The cases are predicted in rounds of a few seconds. Between two of them all learn that one has
// failed or was interrupted, and how many cases are done.
struct case_round {
    struct image_share left; // cases of this rank that are not predicted
    int n_at_once;           // cases that are predicted together: rounds have whole batches of them
    int n_total;             // cases of the split
    int n_done;              // by this rank
    int n_done_by_others;    // as known since the last round
    double until;            // clock_seconds at which no other case is begun
    bool has_begun;          // a case: each round takes one, however late it is
    bool is_over;            // no rank has a case left
};
struct case_round case_round_first(struct ranks *ranks, int n_cases, int n_at_once);
// Takes the next cases of this rank, n_at_once of them or the last ones of all; false: the round
// ends.
bool case_round_next(struct case_round *round, const struct ranks *ranks, struct image_share *out);
// should_stop of the options, to be asked in each batch: also tells the ranks that are done with
// their round that this one still works, so that a case may take longer than their time limit.
bool case_should_stop(const struct model_options *options);
// `status`: of the cases of this round. ADELE_INTERRUPTED, on all, when a rank is asked to stop
// before the last case is done.
ADELE_MUST_CHECK adele_status case_round_end(struct case_round *round,
                                             const struct model_options *options,
                                             adele_status status);
#endif
