// SPDX-License-Identifier: MIT
// The error record of each thread: one message, one hint, one place in the source.
#include "base/fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MESSAGE_BYTES 2048
#define HINT_BYTES    512

struct error_record {
    char message[MESSAGE_BYTES];
    char hint[HINT_BYTES];
    const char *file; // base name, static storage of the compiler
    int line;
    char place[128];
};

static _Thread_local struct error_record record;

void text_make_plain(char *text) {
    for (char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
}

const char *adele_status_text(adele_status status) {
    static const char *const texts[] = {
#define STATUS_TEXT(code, text) text,
        ADELE_STATUS_LIST(STATUS_TEXT)
#undef STATUS_TEXT
    };
    // The number may come from a caller's cast, so the range is checked as an unsigned value.
    unsigned i = (unsigned)status;
    return i < (unsigned)ADELE_STATUS_COUNT ? texts[i] : "unknown status";
}

const char *adele_error_message(void) {
    return record.message;
}

const char *adele_error_hint(void) {
    return record.hint;
}

const char *adele_error_place(void) {
    if (record.file == NULL)
        return "";
    (void)snprintf(record.place, sizeof record.place, "%s:%d", record.file, record.line);
    return record.place;
}

adele_status fail_record(adele_status status, const char *file, int line, const char *hint,
                         const char *format, ...) {
    // The arguments may point into the old message or the old hint, so both are formatted into
    // copies first.
    char message[MESSAGE_BYTES];
    char new_hint[HINT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(message, sizeof message, format, arguments) < 0)
        message[0] = '\0';
    va_end(arguments);
    (void)snprintf(new_hint, sizeof new_hint, "%s", hint != NULL ? hint : "");
    text_make_plain(message);
    text_make_plain(new_hint);
    memcpy(record.message, message, sizeof message);
    memcpy(record.hint, new_hint, sizeof new_hint);
    const char *slash = strrchr(file, '/');
    record.file = slash != NULL ? slash + 1 : file;
    record.line = line;
    return status;
}

adele_status fail_context(adele_status status, const char *format, ...) {
    // The context first, then as much of the old message as fits.
    char message[MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    if (n < 0)
        return status;
    text_make_plain(message);
    size_t used = strlen(message);
    const char *const parts[] = {": ", record.message};
    for (int i_part = 0; i_part < 2; i_part++) {
        for (const char *c = parts[i_part]; *c != '\0' && used + 1 < sizeof message; c++)
            message[used++] = *c;
    }
    message[used] = '\0';
    memcpy(record.message, message, sizeof message);
    return status;
}
