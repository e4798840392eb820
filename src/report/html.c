// SPDX-License-Identifier: MIT
#include "report/html.h"

#include "base/fail.h"
#include "report/class_colour.h"
#include "report/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define EN_DASH "\xE2\x80\x93"

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

// With that many decimals; an en dash where the value is not finite. `with_sign`: also a plus.
static adele_status add_number(struct buffer *html, double value, int n_decimals, bool with_sign) {
    if (!isfinite(value))
        return buffer_text(html, EN_DASH);
    if (with_sign && value >= 0.0)
        TRY(buffer_text(html, "+"));
    return buffer_fixed(html, value, n_decimals);
}

static adele_status add_count(struct buffer *html, double value) {
    char digits[32];
    if (!(fabs(value) < 1e15))
        return buffer_text(html, EN_DASH);
    (void)snprintf(digits, sizeof digits, "%.0f", fabs(value));
    size_t n = strlen(digits);
    if (value < 0.0)
        TRY(buffer_text(html, "-"));
    for (size_t i = 0; i < n; i++)
        TRY(buffer_printf(html, "%s%c", i > 0 && (n - i) % 3 == 0 ? "," : "", digits[i]));
    return ADELE_OK;
}

// `conversion` is "%", flags and a letter, n of them before the letter.
static adele_status add_conversion(struct buffer *html, const char *conversion, size_t n,
                                   va_list *arguments) {
    char flag = conversion[1], letter = conversion[n];
    if (letter == 's')
        return html_text(html, va_arg(*arguments, const char *));
    if (letter == 'd')
        return buffer_printf(html, "%d", va_arg(*arguments, int));
    if (letter == 'f' && flag == '\'')
        return add_count(html, va_arg(*arguments, double));
    if (letter == 'f')
        return add_number(html, va_arg(*arguments, double), conversion[n - 1] - '0', flag == '+');
    return buffer_text(html, "%");
}

adele_status html_printf(struct buffer *html, const char *format, ...) {
    adele_status status = ADELE_OK;
    va_list arguments;
    va_start(arguments, format);
    for (const char *c = format; status == ADELE_OK && *c != '\0';) {
        size_t n = strcspn(c, "%");
        if (n > 0) {
            status = buffer_add(html, c, n);
            c += n;
            continue;
        }
        n = 1 + strspn(c + 1, "+'.0123456789");
        status = add_conversion(html, c, n, &arguments);
        c += n + 1;
    }
    va_end(arguments);
    return status;
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
    return html_printf(html, "<p class=\"absent\">%s%s%s</p>\n", run != NULL ? run : "",
                       run != NULL ? ": " : "", what);
}

adele_status html_class(struct buffer *html, int category, const char *name) {
    TRY(buffer_printf(html, "<span class=\"swatch\" style=\"background:#%06x\"></span>",
                      (unsigned)class_colour(category)));
    return html_text(html, name);
}
