// SPDX-License-Identifier: MIT
// The configuration of each run, what differs between them, and what the results were made by.
#include "report/page.h"

#include "base/fail.h"
#include "base/memory.h"
#include "report/html.h"
#include "report/settings.h"

#include <string.h>

static adele_status add_header(struct page *page, const char *label, const char *first) {
    TRY(page_table_begin(page, label));
    return page_run_names(page, first, " class=\"text\"");
}

// ---- differences --------------------------------------------------------------------------------

static bool differs(const struct page *page, const struct settings *settings, const char *key) {
    const char *first = settings_find(&settings[0], key);
    for (int i = 1; i < page->n_runs; i++) {
        const char *other = settings_find(&settings[i], key);
        if (first == NULL || other == NULL ? first != other : strcmp(first, other) != 0)
            return true;
    }
    return false;
}

static adele_status add_difference(struct page *page, const struct settings *settings,
                                   const char *key) {
    TRY(html_printf(&page->html, "<tr><th scope=\"row\">%s</th>", key));
    for (int i = 0; i < page->n_runs; i++) {
        const char *value = settings_find(&settings[i], key);
        TRY(html_printf(&page->html, "<td class=\"text\">%s</td>",
                        value != NULL ? value : "\xE2\x80\x93"));
    }
    return buffer_text(&page->html, "</tr>\n");
}

static bool is_in_earlier(const struct settings *settings, int i_run, const char *key) {
    for (int i = 0; i < i_run; i++)
        if (settings_find(&settings[i], key) != NULL)
            return true;
    return false;
}

static adele_status add_differences(struct page *page, const struct settings *settings) {
    bool any = false;
    if (page->n_runs < 2)
        return ADELE_OK;
    TRY(buffer_text(&page->html, "<h3>Settings that differ</h3>\n"));
    for (int i = 0; i < page->n_runs; i++)
        for (int k = 0; k < settings[i].n; k++) {
            const char *key = settings[i].items[k].key;
            if (is_in_earlier(settings, i, key) || !differs(page, settings, key))
                continue;
            if (!any)
                TRY(add_header(page, "Settings that differ", "Key"));
            any = true;
            TRY(add_difference(page, settings, key));
        }
    return buffer_text(&page->html, any ? PAGE_TABLE_END : "<p>None.</p>\n");
}

// ---- machine ------------------------------------------------------------------------------------

// The part of "adele 0.1.0 / compiler gcc 12.2.0 / ..." behind this name.
static adele_status add_made_by(struct page *page, const char *made_by, const char *name) {
    size_t n = strlen(name);
    for (const char *part = made_by; part != NULL && *part != '\0';) {
        const char *end = strstr(part, " / ");
        size_t n_part = end != NULL ? (size_t)(end - part) : strlen(part);
        if (strncmp(part, name, n) == 0 && part[n] == ' ') {
            OWNED char *text = memory_printf("%.*s", (int)(n_part - n - 1), part + n + 1);
            TRY(CHECK_MEMORY(text));
            return html_text(&page->html, text);
        }
        part = end != NULL ? end + 3 : NULL;
    }
    return buffer_text(&page->html, "\xE2\x80\x93");
}

static adele_status add_machine(struct page *page, const struct settings *settings) {
    static const char *const rows[] = {"adele",  "compiler",        "device",
                                       "engine", "instruction set", "libraries"};
    TRY(buffer_text(&page->html, "<h3>Machine</h3>\n"));
    TRY(add_header(page, "Machine", "Made by"));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        TRY(buffer_printf(&page->html, "<tr><th scope=\"row\">%s</th>", rows[i]));
        for (int k = 0; k < page->n_runs; k++) {
            TRY(buffer_text(&page->html, "<td class=\"text\">"));
            TRY(add_made_by(page, settings[k].made_by, rows[i]));
            TRY(buffer_text(&page->html, "</td>"));
        }
        TRY(buffer_text(&page->html, "</tr>\n"));
    }
    return buffer_text(&page->html, PAGE_TABLE_END);
}

static adele_status add_texts(struct page *page) {
    struct buffer *html = &page->html;
    for (int i = 0; i < page->n_runs; i++) {
        const struct report_run *run = &page->runs[i];
        if (run->config == NULL) {
            TRY(html_absent(html, run->name, "no config.resolved.yaml in the run folder."));
            continue;
        }
        TRY(html_printf(html,
                        "<details><summary>Configuration of %s</summary>\n<pre tabindex=\"0\">%s"
                        "</pre>\n</details>\n",
                        run->name, run->config));
    }
    return ADELE_OK;
}

static adele_status add_all(struct page *page, struct settings *settings) {
    for (int i = 0; i < page->n_runs; i++)
        TRY(settings_parse(page->runs[i].config, &settings[i]));
    TRY(buffer_text(&page->html, "<section id=\"configuration\">\n<h2>Configuration and "
                                 "machine</h2>\n"));
    TRY(add_differences(page, settings));
    TRY(add_machine(page, settings));
    TRY(add_texts(page));
    return buffer_text(&page->html, "</section>\n");
}

adele_status page_configuration(struct page *page) {
    OWNED struct settings *settings = NULL;
    TRY(ALLOCATE(&settings, page->n_runs));
    adele_status status = add_all(page, settings);
    for (int i = 0; i < page->n_runs; i++)
        settings_deinit(&settings[i]);
    return status;
}
