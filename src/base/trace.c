// SPDX-License-Identifier: MIT
#include "base/trace.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

static struct {
    void (*push)(const char *name);
    void (*pop)(void);
} hook;

void trace_to(void (*push)(const char *name), void (*pop)(void)) {
    hook.push = push;
    hook.pop = pop;
}

void trace_push(const char *format, ...) {
    if (hook.push == NULL)
        return;
    char name[201];
    va_list values;
    va_start(values, format);
    (void)vsnprintf(name, sizeof name, format, values);
    va_end(values);
    hook.push(name);
}

void trace_pop(void) {
    if (hook.pop != NULL)
        hook.pop();
}
