// SPDX-License-Identifier: MIT
#include "cli/shell.h"

#include <string.h>

static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                            "_-./=,:+@%";

static void print_quoted(FILE *to, const char *text, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\'')
            fputs("'\\''", to);
        else
            fputc(text[i], to);
    }
}

void shell_print_word(FILE *to, const char *word) {
    size_t n = strlen(word);
    if (n > 0 && strspn(word, plain) == n) {
        fputs(word, to);
        return;
    }
    fputc('\'', to);
    print_quoted(to, word, n);
    fputc('\'', to);
}

void shell_print_path(FILE *to, const char *path, const char *suffix) {
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    const char *before = path[0] == '-' ? "./" : "";
    if (strspn(path, plain) >= n && strspn(suffix, plain) == strlen(suffix) && n > 0) {
        fprintf(to, "%s%.*s%s", before, (int)n, path, suffix);
        return;
    }
    fprintf(to, "'%s", before);
    print_quoted(to, path, n);
    print_quoted(to, suffix, strlen(suffix));
    fputc('\'', to);
}
