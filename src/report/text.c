// SPDX-License-Identifier: MIT
#include "report/text.h"

#include <stdbool.h>

void text_mend_utf8(char *text) {
    unsigned char *c = (unsigned char *)text;
    while (*c != 0) {
        int n = *c < 0x80 ? 1 : *c >= 0xC2 && *c < 0xE0 ? 2 : *c >= 0xE0 && *c < 0xF0 ? 3 : 0;
        if (*c >= 0xF0 && *c < 0xF5)
            n = 4;
        bool good = n > 0;
        for (int i = 1; good && i < n; i++)
            good = (c[i] & 0xC0) == 0x80;
        // Longer than needed, a surrogate, or beyond U+10FFFF.
        if (good && ((*c == 0xE0 && c[1] < 0xA0) || (*c == 0xED && c[1] >= 0xA0) ||
                     (*c == 0xF0 && c[1] < 0x90) || (*c == 0xF4 && c[1] >= 0x90)))
            good = false;
        if (!good || *c < 0x20)
            *c = '?';
        c += good ? n : 1;
    }
}
