// SPDX-License-Identifier: MIT
#include "report/run.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/path.h"
#include "run_folder/run_argument.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NAME_BYTES   512
#define MAX_CONFIG_BYTES ((size_t)1 << 20)

void report_run_deinit(struct report_run *run) {
    memory_free(run->name);
    memory_free(run->path);
    records_deinit(&run->records);
    memory_free(run->epochs);
    cJSON_Delete(run->onset);
    safetensors_close(run->examples);
    memory_free(run->config);
    *run = (struct report_run){0};
}

// The last component of the resolved path, so that "runs/demo/adele/" and "." give a name too;
// `has_folder`: behind that of the folder around it.
static adele_status find_name(const char *path, bool has_folder, char **out) {
    char *absolute = realpath(path, NULL);
    if (absolute == NULL)
        return FAIL(ADELE_IO, "Name the folder of a run.", "%s: cannot open: %s", path,
                    strerror(errno));
    const char *name = file_base_name(absolute);
    char *folder = has_folder ? path_folder(absolute) : NULL;
    if (folder != NULL)
        *out = memory_printf("%s_%s", file_base_name(folder), name);
    else
        *out = has_folder ? NULL : memory_strdup(name[0] != '\0' ? name : "run");
    memory_free(folder);
    free(absolute); // realpath's own allocation
    return CHECK_MEMORY(*out);
}

// The path of a file of the run that may be missing; *out is NULL when it is.
static adele_status find_optional(const struct report_run *run, const char *name, char **out) {
    *out = file_join(run->path, name);
    TRY(CHECK_MEMORY(*out));
    if (!file_exists(*out)) {
        memory_free(*out);
        *out = NULL;
    }
    return ADELE_OK;
}

static adele_status load_records(struct report_run *run) {
    OWNED char *path = NULL;
    TRY(find_optional(run, "metrics.jsonl", &path));
    if (path == NULL)
        return FAIL(ADELE_IO, "Name the folder of a run that has trained for an epoch or more.",
                    "%s: no metrics.jsonl in it", run->path);
    TRY(records_read(path, INT_MAX, &run->records));
    if (run->records.n == 0)
        return FAIL(ADELE_DATA, "Wait until the run has finished its first epoch.",
                    "%s: metrics.jsonl holds no record", run->path);
    TRY(ALLOCATE(&run->epochs, run->records.n));
    for (int i = 0; i < run->records.n; i++)
        run->epochs[i] = run->records.items[i].epoch;
    return ADELE_OK;
}

static adele_status load_optional(struct report_run *run) {
    OWNED char *onset = NULL, *examples = NULL, *config = NULL;
    size_t n_bytes = 0;
    TRY(find_optional(run, "onset.json", &onset));
    if (onset != NULL)
        TRY(json_read(onset, &run->onset));
    TRY(find_optional(run, "examples.safetensors", &examples));
    if (examples != NULL)
        TRY(safetensors_open(examples, &run->examples));
    TRY(find_optional(run, "config.resolved.yaml", &config));
    return config != NULL ? file_read(config, MAX_CONFIG_BYTES, &run->config, &n_bytes) : ADELE_OK;
}

adele_status report_run_load(const char *path, struct report_run *out) {
    *out = (struct report_run){0};
    out->path = memory_strdup(path);
    TRY(CHECK_MEMORY(out->path));
    TRY(run_argument_check(path, false));
    TRY(find_name(path, false, &out->name));
    TRY(load_records(out));
    return load_optional(out);
}

adele_status report_run_name_by_folder(struct report_run *run) {
    char *name = NULL;
    TRY(find_name(run->path, true, &name));
    memory_free(run->name);
    run->name = name;
    return ADELE_OK;
}

adele_status report_run_series(const struct report_run *run, double **out, const char *name_format,
                               ...) {
    *out = NULL;
    char name[MAX_NAME_BYTES];
    va_list arguments;
    va_start(arguments, name_format);
    (void)vsnprintf(name, sizeof name, name_format, arguments);
    va_end(arguments);
    size_t n = (size_t)run->records.n;
    double *values = NULL;
    TRY(ALLOCATE(&values, n));
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        values[i] = json_number(run->records.items[i].values, name);
        any = any || isfinite(values[i]);
    }
    if (any)
        *out = values;
    else
        memory_free(values);
    return ADELE_OK;
}

adele_status report_run_foreground(const struct report_run *run, double **out, const char *table) {
    TRY(report_run_series(run, out, "%s/miou_foreground", table));
    return *out != NULL ? ADELE_OK : report_run_series(run, out, "%s/miou", table);
}

// ---- summary ------------------------------------------------------------------------------------

struct ends {
    double first, last;
};

static struct ends ends_of(const double *values, int n) {
    struct ends ends = {NAN, NAN};
    for (int i = 0; values != NULL && i < n; i++) {
        if (!isfinite(values[i]))
            continue;
        if (isnan(ends.first))
            ends.first = values[i];
        ends.last = values[i];
    }
    return ends;
}

// The last value of a table's foreground mIoU.
static adele_status read_last(const struct report_run *run, const char *table, double *out) {
    OWNED double *values = NULL;
    TRY(report_run_foreground(run, &values, table));
    *out = ends_of(values, run->records.n).last;
    return ADELE_OK;
}

adele_status report_run_summarize(const struct report_run *run, struct report_summary *out) {
    int n = run->records.n;
    struct report_summary summary = {.n_epochs = run->records.items[n - 1].epoch,
                                     .best = NAN,
                                     .best_epoch = NAN,
                                     .split = "test"};
    OWNED double *values = NULL, *labels = NULL;
    TRY(report_run_series(run, &values, "test/pred_vs_true/miou_foreground"));
    if (values == NULL) {
        summary.split = "val";
        TRY(report_run_series(run, &values, "val/pred_vs_true/miou_foreground"));
    }
    for (int i = 0; values != NULL && i < n; i++) {
        if (isfinite(values[i]) && !(values[i] <= summary.best)) { // also over the NaN at the start
            summary.best = values[i];
            summary.best_epoch = run->epochs[i];
        }
    }
    summary.last = ends_of(values, n).last;
    TRY(report_run_series(run, &labels, "train/labels_vs_true/miou_foreground"));
    summary.labels_first = ends_of(labels, n).first;
    summary.labels_last = ends_of(labels, n).last;
    TRY(read_last(run, "train/early_learning", &summary.early_learning_last));
    TRY(read_last(run, "train/memorization", &summary.memorization_last));
    summary.name = memory_strdup(run->name);
    TRY(CHECK_MEMORY(summary.name));
    *out = summary;
    return ADELE_OK;
}
