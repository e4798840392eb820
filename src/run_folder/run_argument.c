// SPDX-License-Identifier: MIT
#include "run_folder/run_argument.h"

#include "base/fail.h"
#include "base/file.h"

#include <string.h>
#include <sys/stat.h>

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), n_end = strlen(end);
    return n >= n_end && strcmp(text + n - n_end, end) == 0;
}

adele_status run_argument_check(const char *path, bool may_be_file) {
    struct stat info;
    if (file_is_directory(path))
        return ADELE_OK;
    if (stat(path, &info) != 0)
        return FAIL(ADELE_IO,
                    "Check the path. `adele train` writes a run into the folder of --run, or into "
                    "runs/NAME.",
                    "%s: no such %sfolder", path, may_be_file ? "file or " : "");
    if (ends_with(path, ".yaml") || ends_with(path, ".yml"))
        return FAIL(ADELE_INVALID_ARGUMENT,
                    may_be_file ? "Name the folder of a run that was trained with it (`adele train "
                                  "CONFIG.yaml --run DIR`), or a file of its folder checkpoints."
                                : "Name the folder of a run that was trained with it (`adele train "
                                  "CONFIG.yaml --run DIR`).",
                    "%s: is a configuration, not a run%s", path,
                    may_be_file ? " or a checkpoint" : "");
    if (!may_be_file)
        return FAIL(ADELE_INVALID_ARGUMENT, "Name the folder that `adele train --run` wrote.",
                    "%s: is a file, not the folder of a run", path);
    return ADELE_OK;
}
