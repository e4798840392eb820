// SPDX-License-Identifier: MIT
// What a run is made by, in its files. A run that was resumed elsewhere keeps what made its earlier
// steps, so that nobody expects its bytes of one machine alone.
#include "run/trainer_state.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"

#include <string.h>

#define EARLIER "made.earlier"

adele_status trainer_add_provenance(const struct trainer *trainer,
                                    struct safetensors_writer *writer) {
    TRY(provenance_add(&trainer->made_by, writer));
    return trainer->earlier ? safetensors_writer_metadata(writer, EARLIER, trainer->earlier)
                            : ADELE_OK;
}

adele_status trainer_read_provenance(struct trainer *trainer, const struct safetensors *file) {
    const char *earlier = safetensors_metadata(file, EARLIER);
    memory_free(trainer->earlier);
    trainer->earlier = NULL;
    provenance_read(file, &trainer->resumed_of);
    if (trainer->step == 0 || provenance_is_same(&trainer->made_by, &trainer->resumed_of)) {
        trainer->earlier = memory_strdup(earlier);
        return trainer->earlier || !earlier ? ADELE_OK : FAIL_NO_MEMORY(strlen(earlier));
    }
    char line[PROVENANCE_LINE_BYTES];
    provenance_print(&trainer->resumed_of, line, sizeof line);
    trainer->earlier = memory_printf("%s%suntil step %ld: %s", earlier ? earlier : "",
                                     earlier ? "\n" : "", trainer->step, line);
    return trainer->earlier ? ADELE_OK : FAIL_NO_MEMORY(sizeof line);
}

void trainer_compare_provenance(const struct trainer *trainer) {
    if (provenance_is_same(&trainer->made_by, &trainer->resumed_of))
        return;
    char here[PROVENANCE_LINE_BYTES], there[PROVENANCE_LINE_BYTES];
    provenance_print_differences(&trainer->made_by, &trainer->resumed_of, here, sizeof here);
    provenance_print_differences(&trainer->resumed_of, &trainer->made_by, there, sizeof there);
    log_line(LOG_WARNING,
             "resumed with %s; the checkpoint was made with %s: training goes on, but may not end "
             "with the same bytes",
             here, there);
}

// A comment ends where YAML sees the end of a line, which is not only at '\n'; what was read from a
// checkpoint must not become a key of the configuration.
static void make_printable(char *text) {
    for (char *c = text; *c != '\0'; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
}

// "# LINE\n" behind *text.
static adele_status add_comment(char **text, const char *line, size_t n) {
    char *comment = memory_printf("%.*s", (int)n, line), *longer = NULL;
    if (comment) {
        make_printable(comment);
        longer = memory_printf("%s# %s\n", *text ? *text : "", comment);
    }
    memory_free(comment);
    if (!longer)
        return FAIL_NO_MEMORY(n);
    memory_free(*text);
    *text = longer;
    return ADELE_OK;
}

static adele_status add_comments(const struct trainer *trainer, char **text) {
    char line[PROVENANCE_LINE_BYTES] = "made by ";
    provenance_print(&trainer->made_by, line + strlen(line), sizeof line - strlen(line));
    TRY(add_comment(text, line, strlen(line)));
    for (const char *at = trainer->earlier; at && *at != '\0';) {
        size_t n = strcspn(at, "\n");
        TRY(add_comment(text, at, n));
        at += n + (at[n] == '\n');
    }
    return ADELE_OK;
}

adele_status trainer_save_config(const struct trainer *trainer) {
    char *comments = NULL, *yaml = NULL, *path = NULL, *text = NULL;
    adele_status status;
    TRY_GOTO(add_comments(trainer, &comments), done);
    TRY_GOTO(config_to_yaml(trainer->config, &yaml), done);
    TRY_GOTO(trainer_path(trainer, "config.resolved.yaml", &path), done);
    text = memory_printf("%s%s", comments, yaml);
    status = text ? file_write(path, text, strlen(text)) : FAIL_NO_MEMORY(strlen(yaml));
done:
    memory_free(comments);
    memory_free(yaml);
    memory_free(path);
    memory_free(text);
    return status;
}
