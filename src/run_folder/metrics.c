// SPDX-License-Identifier: MIT
// One record per epoch in three files. When a run is resumed, the other two are written again from
// metrics.jsonl, so that a run that was killed leaves the same bytes as one that was not.
#include "run_folder/metrics.h"

#include "base/buffer.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "run_folder/records.h"
#include "run_folder/tensorboard.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// TensorBoard finds files by "tfevents" in the name. Its writers put time and host there; here a
// run has one file, also when it is resumed.
#define EVENTS_NAME "events.out.tfevents.0.adele"

#define MAX_NAME_BYTES 512

// A file that only grows.
struct appended {
    char *path;
    int fd;      // -1: not open
    off_t bytes; // up to the last whole record
};

// A line of metrics.csv. Later records may add columns, always at the end, so an old row only
// needs more commas.
struct row {
    char *text;
    int n_columns;
};

struct column {
    char *name;
    bool is_there; // in the present record, with this value
    double value;
};

struct metrics {
    struct appended jsonl, events;
    char *csv_path;
    struct column *columns; // by first appearance, without epoch and step
    int n_columns;
    struct row *rows;
    int n_rows;
    int last_epoch; // of the last whole record, -1: none

    bool is_recording; // between begin and end
    int epoch;
    long step;
    struct buffer line, summary;
    struct buffer lines; // of all records so far
};

// ---- columns and rows ---------------------------------------------------------------------------

static adele_status add_column(struct metrics *metrics, const char *name) {
    TRY(GROW(&metrics->columns, metrics->n_columns));
    struct column *column = &metrics->columns[metrics->n_columns];
    *column = (struct column){.name = memory_strdup(name)};
    TRY(CHECK_MEMORY(column->name));
    metrics->n_columns++;
    return ADELE_OK;
}

static adele_status find_column(struct metrics *metrics, const char *name, int *out) {
    for (*out = 0; *out < metrics->n_columns; ++*out) {
        if (strcmp(metrics->columns[*out].name, name) == 0)
            return ADELE_OK;
    }
    return add_column(metrics, name);
}

static adele_status add_row(struct metrics *metrics) {
    TRY(GROW(&metrics->rows, metrics->n_rows));
    CLEANUP(buffer_deinit) struct buffer text = {0};
    TRY(buffer_printf(&text, "%d,%ld", metrics->epoch, metrics->step));
    for (int i = 0; i < metrics->n_columns; i++) {
        TRY(buffer_text(&text, ","));
        const struct column *column = &metrics->columns[i];
        double value = column->is_there ? column->value : NAN;
        TRY(buffer_number(&text, value, ""));
    }
    metrics->rows[metrics->n_rows++] = (struct row){text.data, metrics->n_columns};
    text = (struct buffer){0};
    return ADELE_OK;
}

static adele_status write_csv(const struct metrics *metrics) {
    CLEANUP(buffer_deinit) struct buffer text = {0};
    TRY(buffer_text(&text, "epoch,step"));
    for (int i = 0; i < metrics->n_columns; i++) {
        TRY(buffer_text(&text, ","));
        TRY(buffer_csv_field(&text, metrics->columns[i].name));
    }
    TRY(buffer_text(&text, "\n"));
    for (int i = 0; i < metrics->n_rows; i++) {
        TRY(buffer_text(&text, metrics->rows[i].text));
        for (int k = metrics->rows[i].n_columns; k < metrics->n_columns; k++)
            TRY(buffer_text(&text, ","));
        TRY(buffer_text(&text, "\n"));
    }
    return file_write(metrics->csv_path, text.data, text.n_bytes);
}

// ---- files that grow ----------------------------------------------------------------------------

static adele_status appended_open(struct appended *file) {
    file->fd = open(file->path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (file->fd >= 0)
        file->bytes = lseek(file->fd, 0, SEEK_END);
    if (file->fd < 0 || file->bytes < 0)
        return FAIL(ADELE_IO, file_hint(errno), "%s: cannot open: %s", file->path, strerror(errno));
    return ADELE_OK;
}

// Removes what a failed record left, so that the file holds whole records only. If this fails too,
// the next metrics_open finds the incomplete record and drops it.
static void appended_rewind(const struct appended *file) {
    if (ftruncate(file->fd, file->bytes) != 0)
        return;
}

static adele_status appended_write(const struct appended *file, const struct buffer *data) {
    size_t done = 0;
    while (done < data->n_bytes) {
        ssize_t n = write(file->fd, data->data + done, data->n_bytes - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        done += (size_t)n;
    }
    // Some file systems cannot sync; the record stays as it was written there.
    if (done == data->n_bytes &&
        (fdatasync(file->fd) == 0 || errno == EINVAL || errno == EOPNOTSUPP || errno == ENOSYS))
        return ADELE_OK;
    int error = errno;
    appended_rewind(file);
    return FAIL(ADELE_IO, file_hint(error), "%s: cannot write: %s", file->path, strerror(error));
}

// ---- opening ------------------------------------------------------------------------------------

static double wall_time(void) {
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

// The event of the record in metrics->summary.
static adele_status add_event(const struct metrics *metrics, struct buffer *file) {
    return tensorboard_add_event(file, wall_time(), metrics->epoch, &metrics->summary);
}

static void begin_record(struct metrics *metrics, int epoch, long step) {
    metrics->epoch = epoch;
    metrics->step = step;
    buffer_clear(&metrics->line);
    buffer_clear(&metrics->summary);
    for (int i = 0; i < metrics->n_columns; i++)
        metrics->columns[i].is_there = false;
}

// The event file as it was before the run was resumed.
struct old_events {
    char *data; // NULL: none
    size_t n_bytes, at;
};

static void old_events_deinit(struct old_events *old) {
    memory_free(old->data);
}

// Copies the old event of that step to `events` when there is one; steps only grow.
static adele_status take_old_event(struct old_events *old, int64_t step, struct buffer *events,
                                   bool *is_taken) {
    size_t begin = 0, next = old->at;
    int64_t found = -1;
    *is_taken = false;
    while (old->data != NULL && found < step &&
           tensorboard_next_record(old->data, old->n_bytes, &next, &begin, &found))
        if (found <= step)
            old->at = next;
    if (found != step)
        return ADELE_OK;
    *is_taken = true;
    return buffer_add(events, old->data + begin, next - begin);
}

static adele_status replay_record(struct metrics *metrics, const struct record *record,
                                  struct old_events *old, struct buffer *events) {
    bool is_taken = false;
    begin_record(metrics, record->epoch, record->step);
    for (const cJSON *node = record->values->child; node != NULL; node = node->next) {
        if (strcmp(node->string, "epoch") == 0 || strcmp(node->string, "step") == 0)
            continue;
        double value = cJSON_IsNumber(node) ? node->valuedouble : NAN;
        int i = 0;
        TRY(find_column(metrics, node->string, &i));
        metrics->columns[i].value = value;
        metrics->columns[i].is_there = true;
        TRY(tensorboard_add_scalar(&metrics->summary, node->string, value));
    }
    TRY(add_row(metrics));
    metrics->last_epoch = record->epoch;
    TRY(take_old_event(old, record->epoch, events, &is_taken));
    return is_taken ? ADELE_OK : add_event(metrics, events);
}

// The first record of the file, the version, has no step.
static adele_status start_events(struct old_events *old, struct buffer *events) {
    bool is_taken = false;
    TRY(take_old_event(old, 0, events, &is_taken));
    return is_taken ? ADELE_OK : tensorboard_add_version(events, wall_time());
}

static adele_status replay(struct metrics *metrics, int keep_epochs) {
    CLEANUP(records_deinit) struct records records = {0};
    CLEANUP(buffer_deinit) struct buffer events = {0};
    CLEANUP(old_events_deinit) struct old_events old = {0};
    struct buffer *lines = &metrics->lines;
    if (keep_epochs > 0 && file_exists(metrics->jsonl.path))
        TRY(records_read(metrics->jsonl.path, keep_epochs, &records));
    // The events can be made again but for their times, so an unreadable file is no error.
    if (keep_epochs > 0 && file_exists(metrics->events.path) &&
        file_read(metrics->events.path, 0, &old.data, &old.n_bytes) == ADELE_NO_MEMORY)
        return ADELE_NO_MEMORY;
    TRY(start_events(&old, &events));
    for (int i = 0; i < records.n; i++) {
        const struct record *record = &records.items[i];
        TRY(buffer_add(lines, record->line, record->line_bytes));
        TRY(replay_record(metrics, record, &old, &events));
    }
    TRY(file_write(metrics->jsonl.path, lines->data, lines->n_bytes));
    TRY(file_write(metrics->events.path, events.data, events.n_bytes));
    return write_csv(metrics);
}

OWNER(metrics_close, struct metrics)

adele_status metrics_open(const char *run_folder, int keep_epochs, struct metrics **out) {
    *out = NULL;
    OWNED_BY(metrics_close) struct metrics *metrics = NULL;
    TRY(ALLOCATE(&metrics, 1));
    metrics->jsonl.fd = -1;
    metrics->events.fd = -1;
    metrics->last_epoch = -1;
    metrics->jsonl.path = file_join(run_folder, "metrics.jsonl");
    metrics->events.path = file_join(run_folder, EVENTS_NAME);
    metrics->csv_path = file_join(run_folder, "metrics.csv");
    TRY(CHECK_MEMORY(metrics->jsonl.path));
    TRY(CHECK_MEMORY(metrics->events.path));
    TRY(CHECK_MEMORY(metrics->csv_path));
    TRY(replay(metrics, keep_epochs));
    TRY(appended_open(&metrics->jsonl));
    TRY(appended_open(&metrics->events));
    *out = metrics;
    metrics = NULL;
    return ADELE_OK;
}

// Where the file's bytes first differ from the text; what follows the text is of later epochs.
static adele_status find_damage(const char *path, const char *text, size_t n_bytes, long *out) {
    OWNED char *found = NULL;
    size_t n_found = 0, same = 0;
    *out = 0;
    if (file_exists(path))
        TRY(file_read(path, 0, &found, &n_found));
    while (same < n_bytes && same < n_found && found[same] == text[same])
        same++;
    *out = same < n_bytes ? (long)same : -1;
    return ADELE_OK;
}

adele_status metrics_reopen(const char *run_folder, const char *text, size_t n_bytes,
                            struct metrics **out, long *out_damage) {
    *out = NULL;
    OWNED char *path = file_join(run_folder, "metrics.jsonl");
    TRY(CHECK_MEMORY(path));
    TRY(find_damage(path, text, n_bytes, out_damage));
    TRY(file_write(path, text, n_bytes));
    return metrics_open(run_folder, INT_MAX, out);
}

const char *metrics_text(const struct metrics *metrics, size_t *n_bytes) {
    *n_bytes = metrics->lines.n_bytes;
    return metrics->lines.data;
}

void metrics_close(struct metrics *metrics) {
    if (metrics == NULL)
        return;
    if (metrics->jsonl.fd >= 0)
        (void)close(metrics->jsonl.fd);
    if (metrics->events.fd >= 0)
        (void)close(metrics->events.fd);
    memory_free(metrics->jsonl.path);
    memory_free(metrics->events.path);
    memory_free(metrics->csv_path);
    for (int i = 0; i < metrics->n_columns; i++)
        memory_free(metrics->columns[i].name);
    memory_free(metrics->columns);
    for (int i = 0; i < metrics->n_rows; i++)
        memory_free(metrics->rows[i].text);
    memory_free(metrics->rows);
    buffer_deinit(&metrics->line);
    buffer_deinit(&metrics->summary);
    buffer_deinit(&metrics->lines);
    memory_free(metrics);
}

// ---- recording ----------------------------------------------------------------------------------

adele_status metrics_begin(struct metrics *metrics, int epoch, long step) {
    if (metrics == NULL)
        return ADELE_OK;
    if (metrics->is_recording)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "metrics: epoch %d begins before epoch %d ended",
                    epoch, metrics->epoch);
    if (epoch <= metrics->last_epoch || step < 0)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "metrics: epoch %d, step %ld after epoch %d", epoch,
                    step, metrics->last_epoch);
    begin_record(metrics, epoch, step);
    TRY(buffer_printf(&metrics->line, "{\"epoch\": %d, \"step\": %ld", epoch, step));
    metrics->is_recording = true;
    return ADELE_OK;
}

static adele_status add_value(struct metrics *metrics, const char *name, double value) {
    TRY(buffer_text(&metrics->line, ", "));
    TRY(buffer_json_string(&metrics->line, name));
    TRY(buffer_text(&metrics->line, ": "));
    TRY(buffer_number(&metrics->line, value, "null"));
    return tensorboard_add_scalar(&metrics->summary, name, value);
}

adele_status metrics_add(struct metrics *metrics, double value, const char *name_format, ...) {
    if (metrics == NULL)
        return ADELE_OK;
    char name[MAX_NAME_BYTES];
    va_list arguments;
    va_start(arguments, name_format);
    int n = vsnprintf(name, sizeof name, name_format, arguments);
    va_end(arguments);
    if (n <= 0 || (size_t)n >= sizeof name)
        return FAIL(ADELE_INVALID_ARGUMENT, "Shorten the names of the classes.",
                    "metrics: a name of %d bytes, 1 to %d are allowed", n, MAX_NAME_BYTES - 1);
    if (!metrics->is_recording)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "metrics: \"%s\" outside a record", name);
    int i = 0;
    TRY(find_column(metrics, name, &i));
    if (metrics->columns[i].is_there || strcmp(name, "epoch") == 0 || strcmp(name, "step") == 0)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "metrics: \"%s\" twice in epoch %d", name,
                    metrics->epoch);
    metrics->columns[i].value = value;
    metrics->columns[i].is_there = true;
    adele_status status = add_value(metrics, name, value);
    metrics->is_recording = status == ADELE_OK; // an incomplete record must not reach a file
    return status;
}

adele_status metrics_add_event(struct metrics *metrics, double value, const char *name) {
    if (metrics == NULL)
        return ADELE_OK;
    if (!metrics->is_recording)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "metrics: \"%s\" outside a record", name);
    adele_status status = tensorboard_add_scalar(&metrics->summary, name, value);
    metrics->is_recording = status == ADELE_OK; // an incomplete record must not reach a file
    return status;
}

adele_status metrics_end(struct metrics *metrics) {
    if (metrics == NULL)
        return ADELE_OK;
    if (!metrics->is_recording)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "metrics: end without begin");
    metrics->is_recording = false;
    CLEANUP(buffer_deinit) struct buffer event = {0};
    TRY(buffer_text(&metrics->line, "}\n"));
    TRY(add_event(metrics, &event));
    TRY(add_row(metrics));
    // The events are written first: a process that ends in between leaves one event too many, which
    // metrics_open drops. In the other order a record would lack its event.
    adele_status status = appended_write(&metrics->events, &event);
    if (status == ADELE_OK) {
        status = appended_write(&metrics->jsonl, &metrics->line);
        if (status != ADELE_OK)
            appended_rewind(&metrics->events);
    }
    if (status != ADELE_OK) {
        memory_free(metrics->rows[--metrics->n_rows].text);
        return status;
    }
    metrics->events.bytes += (off_t)event.n_bytes;
    metrics->jsonl.bytes += (off_t)metrics->line.n_bytes;
    metrics->last_epoch = metrics->epoch;
    TRY(buffer_add(&metrics->lines, metrics->line.data, metrics->line.n_bytes));
    return write_csv(metrics);
}
