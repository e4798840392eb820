// SPDX-License-Identifier: MIT
#include "ranks/ranks.h"
#include "scores/score_cases.h"

#include "base/fail.h"
#include "base/memory.h"
#include "ranks/gather.h"

#include <string.h>

static adele_status flatten_scores(const struct case_scores *scores, struct class_score **out) {
    size_t row = (size_t)scores->n_classes;
    TRY(ALLOCATE(out, (size_t)scores->n_cases * row + 1));
    for (size_t i = 0; i < (size_t)scores->n_cases; i++)
        memcpy(*out + i * row, scores->cases[i].classes, row * sizeof **out);
    return ADELE_OK;
}

static adele_status gather_class_scores(struct ranks *ranks, const struct case_scores *scores,
                                        struct class_score **out, int *out_cases) {
    OWNED struct class_score *mine = NULL;
    size_t row = (size_t)scores->n_classes * sizeof *mine, bytes;
    TRY(flatten_scores(scores, &mine));
    TRY(gather_blocks(ranks, mine, (size_t)scores->n_cases * row, (void **)out, &bytes));
    *out_cases = (int)(bytes / row);
    return ADELE_OK;
}

static adele_status gather_score_names(struct ranks *ranks, const struct case_scores *scores,
                                       char **out) {
    struct buffer names = {0};
    adele_status status = ADELE_OK;
    for (int i = 0; i < scores->n_cases && status == ADELE_OK; i++)
        status = gather_add_name(&names, scores->cases[i].name);
    return gather_names(ranks, &names, status, out);
}

static adele_status take_scores(struct case_scores *scores, int n_cases, const char *names,
                                const struct class_score *classes) {
    struct case_scores all;
    size_t row = (size_t)scores->n_classes;
    TRY(case_scores_init(&all, scores->n_classes, scores->class_names, scores->is_in_mm));
    case_scores_deinit(scores);
    *scores = all;
    for (size_t i = 0; i < (size_t)n_cases; i++, names = gather_next_name(names)) {
        struct class_score *out = NULL;
        TRY(case_scores_add(scores, names, &out));
        memcpy(out, classes + i * row, row * sizeof *out);
    }
    return ADELE_OK;
}

adele_status case_scores_gather(struct ranks *ranks, struct case_scores *scores) {
    OWNED struct class_score *classes = NULL;
    OWNED char *names = NULL;
    int n_cases = 0;
    if (ranks_count(ranks) == 1)
        return ADELE_OK;
    TRY(gather_class_scores(ranks, scores, &classes, &n_cases));
    TRY(gather_score_names(ranks, scores, &names));
    return take_scores(scores, n_cases, names, classes);
}
