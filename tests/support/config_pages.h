// SPDX-License-Identifier: MIT
// The pages in configs/ that are written from the table of keys. Tests compare them, and write them
// with ADELE_WRITE_KEYS=1.
#ifndef ADELE_TESTS_CONFIG_PAGES_H
#define ADELE_TESTS_CONFIG_PAGES_H

#include "adele/status.h"

// configs/KEYS.md: a table of every key, default and meaning. Caller frees *out with memory_free.
ADELE_MUST_CHECK adele_status config_write_keys(char **out);
// configs/schema.json: the JSON schema (draft 7) of a configuration, for editors: names, types,
// ranges, defaults and meanings. Caller frees.
ADELE_MUST_CHECK adele_status config_write_schema(char **out);
#endif
