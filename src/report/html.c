// SPDX-License-Identifier: MIT
#include "report/html.h"

#include "base/fail.h"
#include "report/class_colour.h"
#include "report/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

// What stands for the character at `c` of n bytes (text_character_bytes); NULL: itself.
static const char *escape_of(const char *c, int n) {
    switch (*c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    case '\n':
        return NULL;
    default:
        return n == 0 ? "?" : NULL;
    }
}

adele_status html_text(struct buffer *html, const char *text) {
    const char *done = text; // up to here, all is in `html`
    for (const char *c = text; *c != '\0';) {
        int n = text_character_bytes(c);
        const char *escape = escape_of(c, n);
        const char *next = c + (n > 0 ? n : 1);
        if (escape != NULL) {
            TRY(buffer_add(html, done, (size_t)(c - done)));
            TRY(buffer_text(html, escape));
            done = next;
        }
        c = next;
    }
    return buffer_text(html, done);
}

adele_status html_number(struct buffer *html, double value, int n_decimals, bool with_sign) {
    if (!isfinite(value))
        return buffer_text(html, "\xE2\x80\x93");
    if (with_sign && value >= 0.0)
        TRY(buffer_text(html, "+"));
    return buffer_fixed(html, value, n_decimals);
}

adele_status html_count(struct buffer *html, double value) {
    char digits[32];
    if (!(fabs(value) < 1e15))
        return buffer_text(html, "\xE2\x80\x93");
    (void)snprintf(digits, sizeof digits, "%.0f", fabs(value));
    size_t n = strlen(digits);
    if (value < 0.0)
        TRY(buffer_text(html, "-"));
    for (size_t i = 0; i < n; i++)
        TRY(buffer_printf(html, "%s%c", i > 0 && (n - i) % 3 == 0 ? "," : "", digits[i]));
    return ADELE_OK;
}

adele_status html_data_uri(struct buffer *html, const char *type, const void *bytes, size_t n) {
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *in = bytes;
    TRY(buffer_printf(html, "data:%s;base64,", type));
    for (size_t i = 0; i < n; i += 3) {
        uint32_t group = (uint32_t)in[i] << 16;
        group |= i + 1 < n ? (uint32_t)in[i + 1] << 8 : 0;
        group |= i + 2 < n ? in[i + 2] : 0;
        const char out[4] = {letters[group >> 18], letters[group >> 12 & 63],
                             i + 1 < n ? letters[group >> 6 & 63] : '=',
                             i + 2 < n ? letters[group & 63] : '='};
        TRY(buffer_add(html, out, sizeof out));
    }
    return ADELE_OK;
}

adele_status html_absent(struct buffer *html, const char *run, const char *what) {
    TRY(buffer_text(html, "<p class=\"absent\">"));
    if (run != NULL) {
        TRY(html_text(html, run));
        TRY(buffer_text(html, ": "));
    }
    TRY(html_text(html, what));
    return buffer_text(html, "</p>\n");
}

adele_status html_class(struct buffer *html, int category, const char *name) {
    TRY(buffer_printf(html, "<span class=\"swatch\" style=\"background:#%06x\"></span>",
                      (unsigned)class_colour(category)));
    return html_text(html, name);
}
