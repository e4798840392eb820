// SPDX-License-Identifier: MIT
// Names that come from files and folders.
#ifndef ADELE_REPORT_TEXT_H
#define ADELE_REPORT_TEXT_H

// Invalid bytes of UTF-8 and control characters become '?': cairo refuses other text and draws
// nothing more, browsers refuse or misread it, and a folder's name may be any bytes.
void text_mend_utf8(char *text);

#endif
