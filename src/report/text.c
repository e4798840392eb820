// SPDX-License-Identifier: MIT
#include "report/text.h"

int text_character_bytes(const char *text) {
    const unsigned char *c = (const unsigned char *)text;
    int n = *c < 0x80 ? 1 : *c >= 0xC2 && *c < 0xE0 ? 2 : *c >= 0xE0 && *c < 0xF0 ? 3 : 0;
    if (*c >= 0xF0 && *c < 0xF5)
        n = 4;
    if (*c < 0x20)
        return 0;
    for (int i = 1; i < n; i++)
        if ((c[i] & 0xC0) != 0x80)
            return 0;
    // Longer than needed, a surrogate, or beyond U+10FFFF.
    if (n > 1 && ((*c == 0xE0 && c[1] < 0xA0) || (*c == 0xED && c[1] >= 0xA0) ||
                  (*c == 0xF0 && c[1] < 0x90) || (*c == 0xF4 && c[1] >= 0x90)))
        return 0;
    return n;
}

void text_mend_utf8(char *text) {
    while (*text != '\0') {
        int n = text_character_bytes(text);
        if (n == 0)
            *text = '?';
        text += n > 0 ? n : 1;
    }
}
