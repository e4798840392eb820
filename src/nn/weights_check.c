// SPDX-License-Identifier: MIT
// Which tensors of a file do not fit a network: missing, extra, of another shape.
#include "nn/weights.h"

#include "base/fail.h"
#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

// At most this many tensors of each kind are named, as far as LIST_BYTES allow; the others are
// counted. The three lists fit into one error message.
#define MAX_NAMED  8
#define LIST_BYTES 480

struct name_list {
    char text[LIST_BYTES];
    size_t used;
    int n, n_named;
};

struct findings {
    struct name_list missing, extra, misshapen;
    int n_fitting;
};

adele_status weights_full_name(const char *prefix, const struct parameter *parameter,
                               char out[WEIGHTS_NAME_BYTES]) {
    int length = snprintf(out, WEIGHTS_NAME_BYTES, "%s%s", prefix, parameter->name);
    if (length < 0 || length >= WEIGHTS_NAME_BYTES)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "the name %s%s is longer than %d characters",
                    prefix, parameter->name, WEIGHTS_NAME_BYTES - 1);
    return ADELE_OK;
}

bool weights_is_wanted(const struct parameter *parameter, enum weights_content content) {
    return content <= CONTENT_AVERAGE || !parameter->is_buffer;
}

// ---- lists of names -----------------------------------------------------------------------------

// A name that does not fit is only counted.
static void list_add(struct name_list *list, const char *name, const char *detail) {
    list->n++;
    if (list->n_named == MAX_NAMED || list->n_named + 1 < list->n)
        return;
    char *end = list->text + list->used;
    size_t room = sizeof list->text - list->used;
    int length = snprintf(end, room, "%s%s%s", list->n > 1 ? ", " : "", name, detail);
    if (length < 0 || (size_t)length >= room) {
        *end = '\0';
        return;
    }
    list->used += (size_t)length;
    list->n_named++;
}

// "; missing a, b and 3 more"; nothing for an empty list.
static void list_write(const struct name_list *list, const char *kind, char *out,
                       size_t out_bytes) {
    size_t used = strlen(out);
    if (list->n == 0 || used >= out_bytes)
        return;
    char more[48] = "";
    if (list->n_named == 0)
        snprintf(more, sizeof more, "%d of a long name", list->n);
    else if (list->n > list->n_named)
        snprintf(more, sizeof more, " and %d more", list->n - list->n_named);
    snprintf(out + used, out_bytes - used, "%s%s %s%s", used > 0 ? "; " : "", kind, list->text,
             more);
}

static void shape_text(int n_dimensions, const int64_t *shape, char *out, size_t out_bytes) {
    size_t used = (size_t)snprintf(out, out_bytes, "[");
    for (int i = 0; i < n_dimensions && used < out_bytes; i++)
        used += (size_t)snprintf(out + used, out_bytes - used, "%s%" PRId64, i > 0 ? ", " : "",
                                 shape[i]);
    if (used < out_bytes)
        snprintf(out + used, out_bytes - used, "]");
}

// ---- comparing ----------------------------------------------------------------------------------

static bool is_shape_equal(const struct safetensors_entry *entry,
                           const struct parameter *parameter) {
    if (entry->n_dimensions != parameter->n_dimensions)
        return false;
    for (int i = 0; i < entry->n_dimensions; i++)
        if (entry->shape[i] != parameter->shape[i])
            return false;
    return true;
}

static adele_status find_wanted(const struct graph *graph, enum weights_content content,
                                const char *prefix, const struct safetensors *file,
                                struct findings *findings) {
    for (int i = 0; i < graph->n_parameters; i++) {
        const struct parameter *parameter = &graph->parameters[i];
        if (!weights_is_wanted(parameter, content))
            continue;
        char name[WEIGHTS_NAME_BYTES];
        TRY(weights_full_name(prefix, parameter, name));
        const struct safetensors_entry *entry = safetensors_find(file, name);
        if (entry == NULL) {
            list_add(&findings->missing, name, "");
        } else if (!is_shape_equal(entry, parameter)) {
            char has[128], wants[128], detail[300];
            shape_text(entry->n_dimensions, entry->shape, has, sizeof has);
            shape_text(parameter->n_dimensions, parameter->shape, wants, sizeof wants);
            snprintf(detail, sizeof detail, " has shape %s, want %s", has, wants);
            list_add(&findings->misshapen, name, detail);
        } else {
            findings->n_fitting++;
        }
    }
    return ADELE_OK;
}

static bool has_suffix(const char *text, const char *suffix) {
    size_t length = strlen(text), suffix_length = strlen(suffix);
    return length >= suffix_length && strcmp(text + length - suffix_length, suffix) == 0;
}

static bool is_parameter_of(const struct graph *graph, enum weights_content content,
                            const char *name) {
    for (int i = 0; i < graph->n_parameters; i++)
        if (weights_is_wanted(&graph->parameters[i], content) &&
            strcmp(graph->parameters[i].name, name) == 0)
            return true;
    return false;
}

static void find_extra(const struct graph *graph, enum weights_content content, const char *prefix,
                       const struct safetensors *file, struct findings *findings) {
    size_t prefix_length = strlen(prefix);
    for (int i = 0; i < safetensors_count(file); i++) {
        const char *name = safetensors_at(file, i)->name;
        // PyTorch counts the batches of each batch norm; nothing here depends on it.
        if (strncmp(name, prefix, prefix_length) == 0 && !has_suffix(name, "num_batches_tracked") &&
            !is_parameter_of(graph, content, name + prefix_length))
            list_add(&findings->extra, name, "");
    }
}

adele_status weights_check(const struct graph *graph, enum weights_content content,
                           const char *prefix, const struct safetensors *file, bool is_partial) {
    struct findings findings = {.n_fitting = 0};
    TRY(find_wanted(graph, content, prefix, file, &findings));
    find_extra(graph, content, prefix, file, &findings);
    char text[1900] = "";
    bool is_wrong = findings.misshapen.n > 0 || findings.n_fitting == 0;
    list_write(&findings.misshapen, "tensor", text, sizeof text);
    list_write(&findings.missing, "missing", text, sizeof text);
    list_write(&findings.extra, "extra", text, sizeof text);
    if (text[0] == '\0')
        return ADELE_OK;
    if (is_wrong || !is_partial)
        return FAIL(
            ADELE_FORMAT,
            "The file must come from the same model: same name, width, channels and classes.",
            "the tensors do not fit the network: %s", text);
    log_line(LOG_WARNING, "weights: %d tensors taken from the file; %s", findings.n_fitting, text);
    return ADELE_OK;
}
