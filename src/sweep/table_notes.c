// SPDX-License-Identifier: MIT
// The notes of a table: what its means do not show, in a sentence for all rows.
#include "sweep/table_rows.h"

#include "base/buffer.h"
#include "base/fail.h"

#include <stdbool.h>

// The first row begins the sentence, the others follow after a semicolon.
static adele_status add_row(struct buffer *out, const char *sentence,
                            const struct adele_table_row *row) {
    TRY(buffer_text(out, out->n_bytes == 0 ? sentence : "; "));
    TRY(buffer_text(out, row->config));
    return row->noise[0] != '\0' ? buffer_printf(out, " with %s", row->noise) : ADELE_OK;
}

static adele_status add_uncorrected(const struct adele_table *table, struct buffer *out) {
    for (int i = 0; i < table->n_rows; i++) {
        const struct adele_table_corrected *corrected = &table->rows[i].corrected;
        if (corrected->n > 0 && corrected->max == 0)
            TRY(add_row(out,
                        "Correction is enabled, but no run corrected a class: ", &table->rows[i]));
    }
    return out->n_bytes > 0 ? buffer_text(out, ". The end of each run's .out file says why.")
                            : ADELE_OK;
}

static adele_status add_low_classes(const struct adele_table_row *row, struct buffer *out) {
    bool is_first = true;
    for (int c = 0; c < row->n_classes; c++) {
        const struct adele_table_class *class = &row->classes[c];
        if (class->n_below == 0)
            continue;
        if (is_first)
            TRY(add_row(out, "A class ended with an IoU below 0.05: ", row));
        TRY(buffer_printf(out, "%s class %s has IoU ", is_first ? ":" : ",", class->name));
        TRY(buffer_fixed(out, class->lowest, 2));
        TRY(buffer_printf(out, " (%d of %d runs)", class->n_below, row->n_runs));
        is_first = false;
    }
    return ADELE_OK;
}

static adele_status add_low(const struct adele_table *table, struct buffer *out) {
    for (int i = 0; i < table->n_rows; i++)
        TRY(add_low_classes(&table->rows[i], out));
    return out->n_bytes > 0 ? buffer_text(out, ".") : ADELE_OK;
}

typedef adele_status add_note(const struct adele_table *table, struct buffer *out);

adele_status table_notes_create(const struct adele_table *table, char *out[MAX_NOTES]) {
    add_note *const notes[MAX_NOTES] = {add_uncorrected, add_low};
    int n = 0;
    for (int i = 0; i < MAX_NOTES; i++) {
        CLEANUP(buffer_deinit) struct buffer text = {0};
        TRY(notes[i](table, &text));
        if (text.n_bytes == 0)
            continue;
        text_make_plain(text.data);
        out[n++] = text.data; // freed with memory_free
        text = (struct buffer){0};
    }
    return ADELE_OK;
}
