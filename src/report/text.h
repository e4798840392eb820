// SPDX-License-Identifier: MIT
// Names that come from files and folders, which may be any bytes.
#ifndef ADELE_REPORT_TEXT_H
#define ADELE_REPORT_TEXT_H

// The number of bytes of the character at `text`; 0 when it is not UTF-8, or a control character.
int text_character_bytes(const char *text);
// Invalid bytes and control characters become '?': cairo refuses other text and draws nothing more.
void text_mend_utf8(char *text);

#endif
