// SPDX-License-Identifier: MIT
// page.css and page.js as strings. tools/embed-page.cmake makes them when adele is built.
#ifndef ADELE_REPORT_PAGE_ASSETS_H
#define ADELE_REPORT_PAGE_ASSETS_H

extern const char page_css[];
extern const char page_js[];

#endif
