// SPDX-License-Identifier: MIT
#include "report/report.h"

#include "base/fail.h"
#include "base/memory.h"
#include "output/output.h"
#include "report/figures.h"

#include <string.h>

// One picture more, of a few hundred kilobytes, still leaves the page below 20 MB.
#define PAGE_MAX_BYTES ((size_t)18 << 20)

static bool is_name_taken(int n_runs, const struct report_run *runs, const char *name) {
    for (int i = 0; i < n_runs; i++) {
        if (strcmp(runs[i].name, name) == 0)
            return true;
    }
    return false;
}

// Runs with folders of the same name are told apart by the folders around them: "a_run", "b_run".
static adele_status name_by_folders(int n_runs, struct report_run *runs) {
    OWNED bool *is_shared = NULL;
    TRY(ALLOCATE(&is_shared, n_runs));
    for (int i = 0; i < n_runs; i++)
        is_shared[i] = is_name_taken(i, runs, runs[i].name) ||
                       is_name_taken(n_runs - i - 1, runs + i + 1, runs[i].name);
    for (int i = 0; i < n_runs; i++)
        if (is_shared[i])
            TRY(report_run_name_by_folder(&runs[i]));
    return ADELE_OK;
}

// Where these have the same name too: the later becomes NAME-2, NAME-3, ...
static adele_status make_unique(int n_earlier, const struct report_run *runs,
                                struct report_run *run) {
    if (!is_name_taken(n_earlier, runs, run->name))
        return ADELE_OK;
    for (int i = 2;; i++) {
        char *name = memory_printf("%s-%d", run->name, i);
        TRY(CHECK_MEMORY(name));
        if (!is_name_taken(n_earlier, runs, name)) {
            memory_free(run->name);
            run->name = name;
            return ADELE_OK;
        }
        memory_free(name);
    }
}

static adele_status load_runs(int n_runs, const char *const *paths, struct report_run *runs,
                              struct report_summary *summaries) {
    for (int i = 0; i < n_runs; i++)
        TRY(report_run_load(paths[i], &runs[i]));
    TRY(name_by_folders(n_runs, runs));
    for (int i = 0; i < n_runs; i++) {
        TRY(make_unique(i, runs, &runs[i]));
        TRY(report_run_summarize(&runs[i], &summaries[i]));
    }
    return ADELE_OK;
}

typedef adele_status (*run_figure)(const struct report_run *run, const char *folder,
                                   const char *stem);

static adele_status write_figure(const struct report_run *run, const char *folder,
                                 const char *suffix, run_figure figure) {
    OWNED char *stem = memory_printf("%s_%s", run->name, suffix);
    TRY(CHECK_MEMORY(stem));
    return figure(run, folder, stem);
}

static adele_status add_picture(struct output *output, const char *run, const char *name) {
    TRY(output_add(output, "%s%s.png", run, name));
    return output_add(output, "%s%s.svg", run, name);
}

static adele_status plan(int n_runs, const struct report_run *runs, struct output *output) {
    for (int i = 0; i < n_runs; i++) {
        TRY(output_guard_add_run(output_guard(output), runs[i].path));
        if (runs[i].onset != NULL)
            TRY(add_picture(output, runs[i].name, "_onset"));
        if (runs[i].examples != NULL)
            TRY(add_picture(output, runs[i].name, "_panels"));
    }
    TRY(add_picture(output, "", "comparison"));
    TRY(output_add(output, "table.md"));
    TRY(output_add(output, "table.csv"));
    TRY(output_add(output, "report.html"));
    return output_check(output);
}

static adele_status write_all(int n_runs, const struct report_run *runs,
                              const struct report_summary *summaries, const char *folder) {
    for (int i = 0; i < n_runs; i++) {
        TRY(write_figure(&runs[i], folder, "onset", figure_onset));
        TRY(write_figure(&runs[i], folder, "panels", figure_panels));
    }
    TRY(figure_comparison(n_runs, runs, summaries, folder, "comparison"));
    TRY(table_write(n_runs, runs, summaries, folder));
    return page_write(n_runs, runs, summaries, PAGE_MAX_BYTES, folder);
}

static adele_status load_and_write(int n_runs, const char *const *paths, struct output *output,
                                   struct report_run *runs, struct report_summary *summaries) {
    TRY(load_runs(n_runs, paths, runs, summaries));
    TRY(plan(n_runs, runs, output));
    TRY(output_begin(output));
    return output_end(output, write_all(n_runs, runs, summaries, output_folder(output)));
}

adele_status report_write(int n_runs, const char *const *runs, struct output *output,
                          struct report_summary **out_summaries) {
    *out_summaries = NULL;
    if (n_runs < 1)
        return FAIL(ADELE_INVALID_ARGUMENT, "Name the folder of one run or more.",
                    "a report of %d runs", n_runs);
    struct report_summary *summaries = NULL;
    OWNED struct report_run *loaded = NULL;
    TRY(ALLOCATE(&loaded, n_runs));
    TRY(ALLOCATE(&summaries, n_runs));
    adele_status status = load_and_write(n_runs, runs, output, loaded, summaries);
    for (int i = 0; i < n_runs; i++)
        report_run_deinit(&loaded[i]);
    if (status == ADELE_OK)
        *out_summaries = summaries;
    else
        report_summaries_destroy(n_runs, summaries);
    return status;
}

void report_summaries_destroy(int n_runs, struct report_summary *summaries) {
    if (summaries == NULL)
        return;
    for (int i = 0; i < n_runs; i++)
        memory_free(summaries[i].name);
    memory_free(summaries);
}
