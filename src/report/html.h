// SPDX-License-Identifier: MIT
// Parts of report.html. Constant markup is added with buffer_text; whatever comes from a file goes
// through html_printf or html_text.
#ifndef ADELE_REPORT_HTML_H
#define ADELE_REPORT_HTML_H

#include "base/buffer.h"
#include <stdbool.h>
#include <stdint.h>

// Text, or the value of an attribute in double quotes: &, <, >, " and ' are escaped, invalid UTF-8
// becomes '?'. Line feeds stay.
ADELE_MUST_CHECK adele_status html_text(struct buffer *html, const char *text);
// printf with the conversions %s, %d, %.3f (any one digit), %+.3f and %'.0f: texts as by html_text,
// numbers with a point in every locale, an en dash where a value is not finite, the last one in
// groups of three digits: 12,345. %% is '%'.
ADELE_MUST_CHECK adele_status html_printf(struct buffer *html, const char *format, ...)
    ADELE_PRINTF(2, 3);
// "data:TYPE;base64,..." of n bytes.
ADELE_MUST_CHECK adele_status html_data_uri(struct buffer *html, const char *type,
                                            const void *bytes, size_t n);
// <p class="absent">: what a run folder does not hold, "RUN: WHAT". NULL `run`: of no run.
ADELE_MUST_CHECK adele_status html_absent(struct buffer *html, const char *run, const char *what);
// A colour square before a class's name, and the name. Category 255: ignored pixels.
ADELE_MUST_CHECK adele_status html_class(struct buffer *html, int category, const char *name);

// ---- chart.c ------------------------------------------------------------------------------------
enum chart_kind { CHART_LINE, CHART_POINTS, CHART_BARS, CHART_TICKS };

struct chart_line {
    const char *name;
    const char *style; // classes of page.css: "s1" .. "s8" and "s0" colours, "dash", "dot", "long"
    enum chart_kind kind;
    int n;
    const double *x, *y; // (n); y is NULL for CHART_TICKS, which mark places on the x axis
};
struct chart {
    const char *title, *detail; // detail may be NULL
    const char *axis;           // "epoch"
    int n_lines;
    const struct chart_line *lines;
    double mark; // a vertical line there; NaN: none
    const char *mark_name;
};
// A <figure> with an inline SVG, which page.js makes answer to pointer and keyboard. Nothing is
// added when no line has a finite value.
ADELE_MUST_CHECK adele_status html_chart(struct buffer *html, const struct chart *chart);
#endif
