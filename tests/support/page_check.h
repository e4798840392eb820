// SPDX-License-Identifier: MIT
// report.html of made-up runs, and what is in it. Every failure fails the running CMocka test.
#ifndef ADELE_TESTS_PAGE_CHECK_H
#define ADELE_TESTS_PAGE_CHECK_H

#include "adele/status.h"
#include "support/made_up_run.h"

#include <stddef.h>

#define PAGE_MAX_BYTES (size_t)1000000

// Six small examples of the class "heart".
extern const struct made_up_examples page_examples;

// A run with every file that the page shows; `last` as in made_up_metrics.
void page_write_run(const char *run, double last);
// RUN/labels/epoch_N.json, whose "flow" has these elements.
void page_write_flow(const char *run, int epoch, const char *class_name, const char *flow);

// The page of n <= 2 runs in the scratch folder, without the figures, which take longer;
// test_report writes them.
adele_status page_write_runs(void **state, int n, const char *const *paths, size_t max_bytes);
// The same, and its text. Free with memory_free.
char *page_of(void **state, int n, const char *const *runs);

// How often the part is in the text.
int page_count(const char *text, const char *part);
// The page, from that section's tag to its end. Free with memory_free.
char *page_section(const char *page, const char *id);
void page_assert_has(const char *page, const char *part);
void page_assert_section_has(const char *page, const char *id, const char *part);
// Every tag that is opened is closed, in order.
void page_assert_well_formed(const char *page);

#endif
