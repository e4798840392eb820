// SPDX-License-Identifier: MIT
#include "report/page.h"

#include "base/fail.h"
#include "report/figures.h"
#include "report/html.h"
#include "report/page_assets.h"

static const struct section {
    const char *id, *title;
    adele_status (*write)(struct page *page);
} sections[] = {
    {"summary", "Summary", page_summary},
    {"curves", "Curves", page_curves},
    {"onset", "Onset and fit", page_onset},
    {"changes", "Corrections", page_changes},
    {"gallery", "Gallery", page_gallery},
    {"doubt", "Doubtful labels", page_doubt},
    {"configuration", "Configuration", page_configuration},
};
#define N_SECTIONS (sizeof sections / sizeof sections[0])

// Nothing may come from elsewhere, whatever a name in a file says.
#define POLICY                                                                                     \
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"

static adele_status add_names(struct page *page) {
    for (int i = 0; i < page->n_runs; i++)
        TRY(html_printf(&page->html, "%s%s", i > 0 ? ", " : "", page->runs[i].name));
    return ADELE_OK;
}

static adele_status add_head(struct page *page) {
    struct buffer *html = &page->html;
    TRY(buffer_text(html,
                    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                    "<meta http-equiv=\"Content-Security-Policy\" content=\"" POLICY "\">\n"
                    "<meta name=\"generator\" content=\"adele " ADELE_VERSION "\">\n"
                    "<link rel=\"icon\" href=\"data:,\">\n<title>"));
    TRY(add_names(page));
    TRY(buffer_text(html, " \xE2\x80\x93 adele report</title>\n<style>\n"));
    TRY(buffer_text(html, page_css));
    return buffer_text(html, "</style>\n</head>\n");
}

static adele_status add_header(struct page *page) {
    struct buffer *html = &page->html;
    TRY(buffer_text(html, "<body>\n<a class=\"skip\" href=\"#summary\">To the summary</a>\n"
                          "<header>\n<h1>"));
    TRY(add_names(page));
    TRY(buffer_printf(html,
                      "</h1>\n<p class=\"soft\">Report of %d training run%s</p>\n"
                      "<nav aria-label=\"Sections\"><ul>",
                      page->n_runs, page->n_runs == 1 ? "" : "s"));
    for (size_t i = 0; i < N_SECTIONS; i++)
        TRY(buffer_printf(html, "<li><a href=\"#%s\">%s</a></li>", sections[i].id,
                          sections[i].title));
    return buffer_text(html, "</ul></nav>\n</header>\n<main>\n");
}

static adele_status add_page(struct page *page) {
    TRY(add_head(page));
    TRY(add_header(page));
    for (size_t i = 0; i < N_SECTIONS; i++)
        TRY(sections[i].write(page));
    TRY(buffer_text(&page->html, "</main>\n<footer><p>Written by adele " ADELE_VERSION
                                 ". Everything of this page is in this one file.</p></footer>\n"
                                 "<script>\n"));
    TRY(buffer_text(&page->html, page_js));
    return buffer_text(&page->html, "</script>\n</body>\n</html>\n");
}

adele_status page_run_heading(struct page *page, const struct report_run *run) {
    return page->n_runs > 1 ? html_printf(&page->html, "<h3>%s</h3>\n", run->name) : ADELE_OK;
}

adele_status page_table_begin(struct page *page, const char *label) {
    return html_printf(&page->html,
                       "<div class=\"scroll\" tabindex=\"0\" role=\"region\" "
                       "aria-label=\"%s\">\n<table>\n",
                       label);
}

adele_status page_run_names(struct page *page, const char *first, const char *attributes) {
    TRY(buffer_printf(&page->html, "<thead><tr><th scope=\"col\">%s</th>", first));
    for (int i = 0; i < page->n_runs; i++) {
        TRY(buffer_printf(&page->html, "<th scope=\"col\"%s>", attributes));
        TRY(html_printf(&page->html, "%s</th>", page->runs[i].name));
    }
    return buffer_text(&page->html, "</tr></thead>\n<tbody>\n");
}

adele_status page_write(int n_runs, const struct report_run *runs,
                        const struct report_summary *summaries, size_t max_bytes,
                        const char *folder) {
    struct page page = {
        .n_runs = n_runs, .runs = runs, .summaries = summaries, .max_bytes = max_bytes};
    adele_status status = add_page(&page);
    if (status == ADELE_OK)
        status = buffer_save(&page.html, folder, "report.html");
    buffer_deinit(&page.html);
    return status;
}
