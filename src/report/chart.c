// SPDX-License-Identifier: MIT
// A chart of report.html: drawn here, so that it is there without the script and in print. It is as
// wide as a column of the page, whose text keeps a readable size on a phone.
#include "report/html.h"

#include "base/fail.h"
#include "report/plot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

// In tenths of a pixel of a column 400 pixels wide: whole numbers, which every locale prints alike.
#define WIDTH     4000.0
#define HEIGHT    2100.0
#define LEFT      440.0
#define RIGHT     (WIDTH - 100.0)
#define TOP       100.0
#define BOTTOM    (HEIGHT - 340.0)
#define N_Y       5
#define N_X       7
#define MAX_DRAWN 800 // points of a line: more are not seen at this width

struct axes {
    double x_min, x_max, y_min, y_max;
};

static double x_of(const struct axes *axes, double x) {
    double span = axes->x_max - axes->x_min;
    return LEFT + (span > 0.0 ? (x - axes->x_min) / span : 0.5) * (RIGHT - LEFT);
}

static double y_of(const struct axes *axes, double y) {
    return BOTTOM - (y - axes->y_min) / (axes->y_max - axes->y_min) * (BOTTOM - TOP);
}

static bool is_drawn(const struct chart_line *line, int i) {
    return isfinite(line->x[i]) && (line->y == NULL || isfinite(line->y[i]));
}

// False when there is nothing to draw.
static bool find_axes(const struct chart *chart, struct axes *out) {
    *out = (struct axes){INFINITY, -INFINITY, INFINITY, -INFINITY};
    bool has_bars = false;
    for (int k = 0; k < chart->n_lines; k++) {
        const struct chart_line *line = &chart->lines[k];
        for (int i = 0; i < line->n; i++) {
            // Where a value is missing its place still counts, so that charts of a run agree.
            if (isfinite(line->x[i])) {
                out->x_min = fmin(out->x_min, line->x[i]);
                out->x_max = fmax(out->x_max, line->x[i]);
            }
            if (line->y == NULL || !is_drawn(line, i))
                continue;
            out->y_min = fmin(out->y_min, line->y[i]);
            out->y_max = fmax(out->y_max, line->y[i]);
        }
        has_bars = has_bars || line->kind == CHART_BARS;
    }
    if (!isfinite(out->y_min))
        return false;
    bool is_share = out->y_min >= 0.0 && out->y_max <= 1.0;
    double margin = 0.06 * (out->y_max - out->y_min);
    if (margin <= 0.0)
        margin = out->y_max != 0.0 ? 0.1 * fabs(out->y_max) : 0.1;
    out->y_min = has_bars ? 0.0 : is_share ? fmax(0.0, out->y_min - margin) : out->y_min - margin;
    out->y_max = is_share ? fmin(1.0, out->y_max + margin) : out->y_max + margin;
    if (isfinite(chart->mark)) {
        out->x_min = fmin(out->x_min, chart->mark);
        out->x_max = fmax(out->x_max, chart->mark);
    }
    return true;
}

// ---- axes ---------------------------------------------------------------------------------------

static adele_status add_tick_text(struct buffer *html, double value, double step) {
    int n_decimals = step >= 1.0 ? 0 : (int)ceil(-log10(step) - 1e-9);
    double unit = step >= 1e6 ? 1e6 : step >= 1e3 ? 1e3 : 1.0;
    if (value == 0.0 && unit > 1.0)
        return buffer_text(html, "0");
    TRY(buffer_fixed(html, value / unit, n_decimals));
    return buffer_text(html, unit > 1e3 ? "M" : unit > 1.0 ? "k" : "");
}

static adele_status add_y_axis(struct buffer *html, const struct axes *axes) {
    double step = plot_nice_step(axes->y_max - axes->y_min, N_Y);
    for (int i = (int)ceil(axes->y_min / step - 1e-6); i * step <= axes->y_max + step * 1e-6; i++) {
        double y = y_of(axes, i * step);
        TRY(buffer_printf(html, "<path class=\"grid\" d=\"M%.0f %.0fH%.0f\"/>", LEFT, y, RIGHT));
        TRY(buffer_printf(html, "<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"end\">", LEFT - 60.0,
                          y + 40.0));
        TRY(add_tick_text(html, i * step, step));
        TRY(buffer_text(html, "</text>"));
    }
    return ADELE_OK;
}

static adele_status add_x_axis(struct buffer *html, const struct axes *axes, const char *title) {
    double step = fmax(1.0, plot_nice_step(axes->x_max - axes->x_min, N_X));
    TRY(buffer_printf(html, "<path class=\"axis\" d=\"M%.0f %.0fH%.0f\"/>", LEFT, BOTTOM, RIGHT));
    for (int i = (int)ceil(axes->x_min / step - 1e-6); i * step <= axes->x_max + step * 1e-6; i++)
        TRY(buffer_printf(html, "<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"middle\">%.0f</text>",
                          x_of(axes, i * step), BOTTOM + 150.0, i * step));
    return html_printf(html, "<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"middle\">%s</text>",
                       (LEFT + RIGHT) / 2.0, HEIGHT - 50.0, title);
}

// ---- lines --------------------------------------------------------------------------------------

static adele_status add_values(struct buffer *html, const char *name, int n, int stride,
                               const double *values) {
    TRY(buffer_printf(html, " data-%s=\"", name));
    for (int i = 0; i < n; i += stride) {
        char text[40] = "";
        if (isfinite(values[i]))
            (void)snprintf(text, sizeof text, "%.4g", values[i]);
        if (fabs(values[i]) >= 1e4)
            (void)snprintf(text, sizeof text, "%.0f", values[i]);
        char *comma = strchr(text, ','); // of a locale
        if (comma != NULL)
            *comma = '.';
        TRY(buffer_printf(html, "%s%s", i > 0 ? "," : "", text));
    }
    return buffer_text(html, "\"");
}

static adele_status add_shape(struct buffer *html, const struct axes *axes,
                              const struct chart_line *line, int i, bool is_first) {
    double x = x_of(axes, line->x[i]);
    if (line->kind == CHART_TICKS)
        return buffer_printf(html, "M%.0f %.0fl35 70h-70z", x, BOTTOM - 70.0);
    double y = y_of(axes, line->y[i]);
    if (line->kind == CHART_LINE)
        return buffer_printf(html, "%c%.0f %.0f", is_first ? 'M' : 'L', x, y);
    if (line->kind == CHART_POINTS) // a stroke of no length with round ends
        return buffer_printf(html, "M%.0f %.0fh0", x, y);
    return buffer_printf(html, "M%.0f %.0fV%.0f", x, BOTTOM, y);
}

static adele_status add_line(struct buffer *html, const struct axes *axes,
                             const struct chart_line *line) {
    static const char *const widths[] = {"20", "45", "60", "0"};
    int stride = (line->n + MAX_DRAWN - 1) / MAX_DRAWN;
    bool is_first = true;
    TRY(buffer_printf(html, "<path class=\"%s %s\" style=\"stroke-width:%s\" d=\"",
                      line->kind == CHART_TICKS ? "tick" : "line", line->style,
                      widths[line->kind]));
    for (int i = 0; i < line->n; i += stride) {
        if (!is_drawn(line, i))
            continue;
        TRY(add_shape(html, axes, line, i, is_first));
        is_first = false;
    }
    TRY(buffer_text(html, "\""));
    if (line->y != NULL) {
        TRY(html_printf(html, " data-name=\"%s\"", line->name));
        TRY(add_values(html, "x", line->n, stride, line->x));
        TRY(add_values(html, "y", line->n, stride, line->y));
    }
    return buffer_text(html, "/>");
}

static adele_status add_key(struct buffer *html, const struct chart *chart) {
    if (chart->n_lines < 2 && !isfinite(chart->mark))
        return ADELE_OK;
    TRY(buffer_text(html, "<ul class=\"key\">"));
    for (int k = 0; k < chart->n_lines; k++) {
        const struct chart_line *line = &chart->lines[k];
        static const char *const shapes[] = {"M10 50H210", "M110 50h0", "M110 100V0",
                                             "M110 20l35 70h-70z"};
        static const char *const widths[] = {"25", "60", "60", "0"};
        if (line->n == 0)
            continue;
        TRY(html_printf(html,
                        "<li><svg viewBox=\"0 0 220 100\" aria-hidden=\"true\"><path class=\"%s "
                        "%s\" style=\"stroke-width:%s\" d=\"%s\"/></svg>%s</li>",
                        line->kind == CHART_TICKS ? "tick" : "line", line->style,
                        widths[line->kind], shapes[line->kind], line->name));
    }
    if (isfinite(chart->mark))
        TRY(html_printf(html,
                        "<li><svg viewBox=\"0 0 220 100\" aria-hidden=\"true\"><path "
                        "class=\"mark\" d=\"M10 50H210\"/></svg>%s</li>",
                        chart->mark_name));
    return buffer_text(html, "</ul>\n");
}

static adele_status add_plot(struct buffer *html, const struct chart *chart,
                             const struct axes *axes) {
    TRY(html_printf(html,
                    "<div class=\"plot\" role=\"img\" aria-label=\"%s\">\n"
                    "<svg viewBox=\"0 0 %.0f %.0f\" aria-hidden=\"true\" "
                    "data-left=\"%.0f\" data-right=\"%.0f\" data-top=\"%.0f\" "
                    "data-bottom=\"%.0f\" data-min=\"",
                    chart->title, WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM));
    TRY(buffer_number(html, axes->x_min, ""));
    TRY(buffer_text(html, "\" data-max=\""));
    TRY(buffer_number(html, axes->x_max, ""));
    TRY(html_printf(html, "\" data-axis=\"%s\">", chart->axis));
    TRY(add_y_axis(html, axes));
    TRY(add_x_axis(html, axes, chart->axis));
    if (isfinite(chart->mark))
        TRY(buffer_printf(html, "<path class=\"mark\" d=\"M%.0f %.0fV%.0f\"/>",
                          x_of(axes, chart->mark), TOP, BOTTOM));
    for (int k = 0; k < chart->n_lines; k++)
        TRY(add_line(html, axes, &chart->lines[k]));
    return buffer_text(html, "</svg>\n</div>\n");
}

adele_status html_chart(struct buffer *html, const struct chart *chart) {
    struct axes axes;
    if (!find_axes(chart, &axes))
        return ADELE_OK;
    TRY(html_printf(html, "<figure class=\"chart\">\n<figcaption><h4>%s</h4>", chart->title));
    if (chart->detail != NULL)
        TRY(html_printf(html, "<p>%s</p>", chart->detail));
    TRY(add_key(html, chart));
    TRY(buffer_text(html, "</figcaption>\n"));
    TRY(add_plot(html, chart, &axes));
    return buffer_text(html, "</figure>\n");
}
