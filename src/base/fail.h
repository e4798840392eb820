// SPDX-License-Identifier: MIT
// How the library reports a failure internally: FAIL() where it happens, TRY() in the callers.
#ifndef ADELE_BASE_FAIL_H
#define ADELE_BASE_FAIL_H

#include "adele/status.h"
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

// Records the failure for this thread and returns `status`, so that `return FAIL(...)` reads as
// one statement. `hint` says what the user can do ("" for nothing); the message names file, place
// and value.
adele_status fail_record(adele_status status, const char *file, int line, const char *hint,
                         const char *format, ...) ADELE_PRINTF(5, 6);

// Puts "CONTEXT: " before the recorded message (a file's name, say) and returns `status`.
adele_status fail_context(adele_status status, const char *format, ...) ADELE_PRINTF(2, 3);

// Control characters become '?': names in messages come from files, and a name with a line break or
// an escape sequence must not add lines to a log or send commands to a terminal.
void text_make_plain(char *text);

// The value is `status` itself, not what the function returns, so that the compiler knows that it
// is not ADELE_OK after a failure.
#define FAIL(status, hint, ...)                                                                    \
    (fail_record((status), __FILE__, __LINE__, (hint), __VA_ARGS__), (adele_status)(status))

#define FAIL_NO_MEMORY(bytes)                                                                      \
    FAIL(ADELE_NO_MEMORY,                                                                          \
         "Close other programs, or make the batch, the images or the model smaller.",              \
         "cannot allocate %zu bytes", (size_t)(bytes))

// Returns from the calling function when `expression` fails.
#define TRY(expression)                                                                            \
    do {                                                                                           \
        adele_status try_status = (expression);                                                    \
        if (try_status != ADELE_OK)                                                                \
            return try_status;                                                                     \
    } while (0)

// Goes to `label` when `expression` fails, with the code in the local variable `status`.
#define TRY_GOTO(expression, label)                                                                \
    do {                                                                                           \
        status = (expression);                                                                     \
        if (status != ADELE_OK)                                                                    \
            goto label;                                                                            \
    } while (0)

#ifdef __cplusplus
}
#endif
#endif
