// SPDX-License-Identifier: MIT
#include "adele/data.h"

#include "api/data_options.h"
#include "base/fail.h"
#include "base/memory.h"
#include "correction/correction_plan.h"
#include "data/check_groups.h"
#include "data/check_report.h"
#include "data/dataset.h"

// The public report comes first, so that its address is that of the whole.
struct check {
    struct adele_check_report report;
    struct check_report found; // owns the texts of single problems
    char *root;
    struct adele_problem *problems; // (report.n_problems)
    struct adele_problem *groups;   // (report.n_groups)
    char **group_texts;             // (report.n_groups)
};

void adele_check_report_destroy(struct adele_check_report *report) {
    struct check *check = (struct check *)report;
    if (check == NULL)
        return;
    for (int i = 0; check->group_texts != NULL && i < report->n_groups; i++)
        memory_free(check->group_texts[i]);
    memory_free(check->group_texts);
    memory_free(check->groups);
    memory_free(check->problems);
    memory_free(check->root);
    check_report_deinit(&check->found);
    memory_free(check);
}
OWNER(adele_check_report_destroy, struct adele_check_report)

static struct adele_problem public_problem(const struct check_problem *problem) {
    return (struct adele_problem){.is_error = problem->is_error,
                                  .kind = check_kind_name(problem->kind),
                                  .text = problem->text,
                                  .hint = problem->hint,
                                  .n = 1};
}

static adele_status list_problems(struct check *check) {
    struct adele_check_report *report = &check->report;
    int n = check->found.n_problems;
    TRY(ALLOCATE(&check->problems, n + 1));
    for (int i = 0; i < n; i++) {
        check->problems[i] = public_problem(&check->found.problems[i]);
        report->n_errors += check->problems[i].is_error;
    }
    report->problems = check->problems;
    report->n_problems = n;
    report->n_warnings = n - report->n_errors;
    report->n_files = check->found.n_files;
    return ADELE_OK;
}

static adele_status list_groups(struct check *check) {
    OWNED struct check_group *groups = NULL;
    int n = 0;
    TRY(check_groups_make(&check->found, &groups, &n));
    TRY(ALLOCATE(&check->groups, n + 1));
    TRY(ALLOCATE(&check->group_texts, n + 1));
    check->report.groups = check->groups;
    check->report.n_groups = n;
    for (int i = 0; i < n; i++) {
        char text[4200];
        check_group_text(&groups[i], text, sizeof text);
        check->group_texts[i] = memory_strdup(text);
        check->groups[i] = public_problem(groups[i].first);
        check->groups[i].text = check->group_texts[i];
        check->groups[i].n = groups[i].n;
        TRY(CHECK_MEMORY(check->group_texts[i]));
    }
    return ADELE_OK;
}

adele_status adele_check(const struct adele_data *data, struct adele_check_report **out) {
    OWNED_BY(config_destroy) struct config *config = NULL;
    struct dataset_config dataset;
    struct check *check = NULL;
    *out = NULL;
    TRY(ALLOCATE(&check, 1));
    OWNED_BY(adele_check_report_destroy) struct adele_check_report *report = &check->report;
    TRY(data_options_resolve(data, &config, &dataset));
    if (config != NULL) { // is checked as for the training that follows
        TRY(config_check_new(config));
        TRY(correction_plan_check(config));
    }
    report->root = check->root = memory_strdup(dataset.root);
    TRY(CHECK_MEMORY(check->root));
    TRY(check_run(&dataset, &check->found));
    report->fingerprint = check->found.fingerprint;
    TRY(list_problems(check));
    TRY(list_groups(check));
    *out = report;
    report = NULL;
    return ADELE_OK;
}
