// SPDX-License-Identifier: MIT
// report.html: one file for a browser, with its style, script and pictures inside. One function for
// each section, in the order of the page; what a run folder does not hold is named in its section.
#ifndef ADELE_REPORT_PAGE_H
#define ADELE_REPORT_PAGE_H

#include "base/buffer.h"
#include "report/examples.h"
#include "report/run.h"

struct page {
    int n_runs;
    const struct report_run *runs;          // (n_runs)
    const struct report_summary *summaries; // (n_runs)
    size_t max_bytes;                       // no picture is added to a page that is larger
    struct buffer html;
};

ADELE_MUST_CHECK adele_status page_summary(struct page *page);
ADELE_MUST_CHECK adele_status page_curves(struct page *page);
ADELE_MUST_CHECK adele_status page_onset(struct page *page);
// page_gate.c: when the method ensemble corrects, and what its gate measured; nothing for other
// runs.
ADELE_MUST_CHECK adele_status page_gate(struct page *page, const struct report_run *run);
ADELE_MUST_CHECK adele_status page_changes(struct page *page);
ADELE_MUST_CHECK adele_status page_gallery(struct page *page);
ADELE_MUST_CHECK adele_status page_doubt(struct page *page);
ADELE_MUST_CHECK adele_status page_configuration(struct page *page);

// ---- parts of sections --------------------------------------------------------------------------
// The name of a run above what a section says of it; nothing where the page is of one run.
ADELE_MUST_CHECK adele_status page_run_heading(struct page *page, const struct report_run *run);
// A table that scrolls on a narrow screen; PAGE_TABLE_END ends it behind its rows.
ADELE_MUST_CHECK adele_status page_table_begin(struct page *page, const char *label);
// The head of a table with a column for each run, and `first` above the first one.
ADELE_MUST_CHECK adele_status page_run_names(struct page *page, const char *first,
                                             const char *attributes);
#define PAGE_TABLE_END "</tbody>\n</table>\n</div>\n"

// ---- page_case.c --------------------------------------------------------------------------------
// The toggles of a gallery, and what the colours mean. Classes are those of `examples`.
struct page_layers {
    bool is_there[LAYER_COUNT]; // some picture of the gallery has it
    bool has_difference, has_ignored;
    bool lacks_truth; // some picture does: its differences have the colours of the new classes
    bool occurs[256]; // the class is in some label
    int n_classes;
    char *const *classes;
};
ADELE_MUST_CHECK adele_status page_gallery_begin(struct page *page,
                                                 const struct page_layers *layers);
// The panels of one example, with `example->rgb` below its labels. `name` is for those who hear the
// page; `with_picture`: false where the element around it has the same picture already.
ADELE_MUST_CHECK adele_status page_panels(struct page *page, const struct examples *size,
                                          const struct example *example, const char *name,
                                          bool with_picture);
// style="--picture:url(data:...)" for the element around.
ADELE_MUST_CHECK adele_status page_picture_style(struct page *page, const struct examples *size,
                                                 const struct example *example);
#endif
