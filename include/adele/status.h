// SPDX-License-Identifier: MIT
// What a function of the library returns: a status code, and, for a failure, one message with the
// offending file, place and value, and one hint that says what to do. The library never prints,
// exits or aborts; only the command line turns a failure into text and an exit code.
#ifndef ADELE_STATUS_H
#define ADELE_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

// X(code, text): the one list of status codes.
#define ADELE_STATUS_LIST(X)                                                                       \
    X(OK, "ok")                                                                                    \
    X(INVALID_ARGUMENT, "invalid argument")                                                        \
    X(NO_MEMORY, "out of memory")                                                                  \
    X(IO, "input/output error")                                                                    \
    X(FORMAT, "malformed file")                                                                    \
    X(DATA, "invalid data")                                                                        \
    X(CONFIG, "invalid configuration")                                                             \
    X(DEVICE, "device error")                                                                      \
    X(NUMERIC, "numeric error")                                                                    \
    X(INTERRUPTED, "interrupted")                                                                  \
    X(UNSUPPORTED, "unsupported")                                                                  \
    X(RUN_EXISTS, "the folder holds a run already")

typedef enum adele_status {
#define ADELE_STATUS_ENUM(code, text) ADELE_##code,
    ADELE_STATUS_LIST(ADELE_STATUS_ENUM)
#undef ADELE_STATUS_ENUM
        ADELE_STATUS_COUNT
} adele_status;

#if defined(__GNUC__)
#define ADELE_MUST_CHECK                __attribute__((warn_unused_result))
#define ADELE_PRINTF(i_format, i_first) __attribute__((format(printf, i_format, i_first)))
#else
#define ADELE_MUST_CHECK
#define ADELE_PRINTF(i_format, i_first)
#endif

// The text of a code, "unknown status" for a number that is none. Static storage.
const char *adele_status_text(adele_status status);

// The message of the last failure on this thread: what, where, the value. Never NULL; borrowed
// until the next failure on this thread.
const char *adele_error_message(void);

// What the user can do about the last failure on this thread; "" when there is nothing to add. An
// option in it has the name that it has on the command line: --batch is adele_inference.batch,
// --run is run_folder, --overwrite is overwrite.
const char *adele_error_hint(void);

// "file.c:123" of the place in the library that reported the last failure on this thread.
const char *adele_error_place(void);

#ifdef __cplusplus
}
#endif
#endif
