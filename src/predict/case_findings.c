// SPDX-License-Identifier: MIT
#include "predict/case_findings.h"

#include "base/buffer.h"
#include "base/fail.h"
#include "base/memory.h"
#include "data/notes.h"
#include "data/palette_check.h"

#include <string.h>

// Its first path, with the NUL, follows.
struct finding {
    uint8_t is_note; // else a colour
    uint8_t index;   // kind of the note, or index of the palette
    uint8_t rgb[3];
};

static adele_status add(struct buffer *buffer, const struct finding *finding, const char *path) {
    TRY(buffer_add(buffer, finding, sizeof *finding));
    return buffer_add(buffer, path, strlen(path) + 1);
}

static adele_status describe(const struct dataset *dataset, struct buffer *buffer) {
    const struct notes *notes = dataset->logged_notes;
    for (int kind = 0; kind < NOTE_KINDS; kind++)
        if (notes->n[kind] > 0)
            TRY(add(buffer, &(struct finding){.is_note = 1, .index = (uint8_t)kind},
                    notes->first[kind]));
    for (int i = 0; i < 256; i++) {
        struct finding finding = {.index = (uint8_t)i};
        const char *path = palette_check_get(dataset->palettes, i, finding.rgb);
        if (path != NULL)
            TRY(add(buffer, &finding, path));
    }
    return ADELE_OK;
}

// `all`: of the ranks in their order, which is that of the cases.
static adele_status take(const struct ranks *ranks, const struct dataset *dataset, const char *all,
                         const char *end) {
    struct notes logged = *dataset->logged_notes;
    OWNED_BY(palette_check_destroy) struct palette_check *palettes = NULL;
    TRY(palette_check_create(&palettes));
    while (all < end) {
        struct finding finding;
        memcpy(&finding, all, sizeof finding);
        const char *path = all + sizeof finding;
        if (!finding.is_note)
            TRY(palette_check_add_color(palettes, path, finding.index, finding.rgb));
        else if (ranks_index(ranks) == 0)
            notes_log_case(&logged, 1u << finding.index, path);
        all = path + strlen(path) + 1;
    }
    return ADELE_OK;
}

adele_status case_findings_share(struct ranks *ranks, const struct dataset *dataset) {
    CLEANUP(buffer_deinit) struct buffer buffer = {0};
    OWNED void *all = NULL;
    OWNED size_t *starts = NULL;
    if (ranks_count(ranks) == 1)
        return ADELE_OK;
    TRY(ALLOCATE(&starts, ranks_count(ranks) + 1));
    TRY(describe(dataset, &buffer));
    TRY(ranks_gather_sized(ranks, buffer.data, buffer.n_bytes, &all, starts));
    const char *end = (const char *)all + starts[ranks_count(ranks)];
    return ranks_agree(ranks, take(ranks, dataset, all, end));
}
