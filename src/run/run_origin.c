// SPDX-License-Identifier: MIT
#include "run/run_origin.h"

#include "base/buffer.h"
#include "base/fail.h"
#include "base/log.h"
#include "base/memory.h"
#include "run_folder/run_folder.h"

#include <string.h>

#define EARLIER "made.earlier"

adele_status run_origin_write(const struct run_origin *origin, struct safetensors_writer *writer) {
    TRY(provenance_add(&origin->made_by, writer));
    return origin->earlier ? safetensors_writer_metadata(writer, EARLIER, origin->earlier)
                           : ADELE_OK;
}

adele_status run_origin_read(struct run_origin *origin, const struct safetensors *file, long step) {
    const char *earlier = safetensors_metadata(file, EARLIER);
    memory_free(origin->earlier);
    origin->earlier = NULL;
    provenance_read(file, &origin->checkpoint);
    if (step == 0 || provenance_is_same(&origin->made_by, &origin->checkpoint)) {
        origin->earlier = memory_strdup(earlier);
        return earlier ? CHECK_MEMORY(origin->earlier) : ADELE_OK;
    }
    char line[PROVENANCE_LINE_BYTES];
    provenance_print(&origin->checkpoint, line, sizeof line);
    origin->earlier = memory_printf("%s%suntil step %ld: %s", earlier ? earlier : "",
                                    earlier ? "\n" : "", step, line);
    return CHECK_MEMORY(origin->earlier);
}

void run_origin_warn(const struct run_origin *origin) {
    if (provenance_is_same(&origin->made_by, &origin->checkpoint))
        return;
    char here[PROVENANCE_LINE_BYTES], there[PROVENANCE_LINE_BYTES];
    provenance_print_differences(&origin->made_by, &origin->checkpoint, here, sizeof here);
    provenance_print_differences(&origin->checkpoint, &origin->made_by, there, sizeof there);
    log_line(LOG_WARNING,
             "resumed with %s; the checkpoint was made with %s: training goes on, but may not end "
             "with the same bytes",
             here, there);
}

// YAML ends a line, and so a comment, at more characters than '\n'. Text from a checkpoint must not
// become a key of the configuration.
static void make_printable(char *text, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (text[i] < ' ' || text[i] > '~')
            text[i] = '?';
}

// Appends "# LINE\n".
static adele_status add_comment(struct buffer *text, const char *line, size_t n) {
    TRY(buffer_text(text, "# "));
    TRY(buffer_add(text, line, n));
    make_printable(text->data + text->n_bytes - n, n);
    return buffer_text(text, "\n");
}

static adele_status add_comments(const struct run_origin *origin, struct buffer *text) {
    char line[PROVENANCE_LINE_BYTES] = "made by ";
    provenance_print(&origin->made_by, line + strlen(line), sizeof line - strlen(line));
    TRY(add_comment(text, line, strlen(line)));
    for (const char *at = origin->earlier; at && *at != '\0';) {
        size_t n = strcspn(at, "\n");
        TRY(add_comment(text, at, n));
        at += n + (at[n] == '\n');
    }
    return ADELE_OK;
}

adele_status run_origin_save_config(const struct run_origin *origin, const struct config *config,
                                    const char *run_folder) {
    CLEANUP(buffer_deinit) struct buffer text = {0};
    OWNED char *yaml = NULL;
    TRY(add_comments(origin, &text));
    TRY(config_to_yaml(config, &yaml));
    TRY(buffer_text(&text, yaml));
    return buffer_save(&text, run_folder, RUN_CONFIG);
}
