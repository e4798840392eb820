// SPDX-License-Identifier: MIT
// Names that the library uses inside. A program may have functions of these names: linking must not
// find them twice, and the library must not call them.
#include <stdio.h>
#include <stdlib.h>

int file_read(void);
int log_line(void);
int json_read(void);

static int called_by_library(const char *name) {
    fprintf(stderr, "the library called the program's %s\n", name);
    abort();
}
int file_read(void) {
    return called_by_library("file_read");
}
int log_line(void) {
    return called_by_library("log_line");
}
int json_read(void) {
    return called_by_library("json_read");
}
