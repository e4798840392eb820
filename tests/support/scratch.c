// SPDX-License-Identifier: MIT
#include "support/scratch.h"

#include "base/file.h"
#include "base/memory.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int scratch_setup(void **state) {
    const char *parent = getenv("TMPDIR");
    size_t bytes = 64 + (parent != NULL ? strlen(parent) : 0);
    char *path = malloc(bytes);
    if (path == NULL)
        return -1;
    (void)snprintf(path, bytes, "%s/adele_test_XXXXXX", parent != NULL ? parent : P_tmpdir);
    if (mkdtemp(path) == NULL) {
        free(path);
        return -1;
    }
    *state = path;
    return 0;
}

int scratch_teardown(void **state) {
    adele_status status = file_remove_tree(*state);
    free(*state);
    *state = NULL;
    return status == ADELE_OK ? 0 : -1;
}

const char *scratch_path(void *const *state, const char *name) {
    static char paths[8][4096];
    static unsigned i_next;
    char *path = paths[i_next++ % 8];
    (void)snprintf(path, sizeof paths[0], "%s/%s", (const char *)*state, name);
    return path;
}

adele_status scratch_copy(const char *from, const char *to) {
    char *bytes = NULL;
    size_t n = 0;
    TRY(file_read(from, 0, &bytes, &n));
    adele_status status = file_write(to, bytes, n);
    memory_free(bytes);
    return status;
}
