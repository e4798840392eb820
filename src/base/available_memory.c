// SPDX-License-Identifier: MIT
// Reads small files of the kernel into a buffer on the stack, so that measuring memory allocates
// none.
#include "base/available_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

// The longest of the files, memory.stat, has less than 4000 bytes.
#define TEXT_BYTES ((size_t)8192)
#define PATH_BYTES ((size_t)6144) // of a cgroup's folder and a file name in it

// Version 1 has no word for "no limit" and writes the largest number of pages, in bytes.
#define NO_LIMIT ((size_t)1 << 62)

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t minus(size_t limit, size_t used) {
    return limit > used ? limit - used : 0;
}

// ---- files --------------------------------------------------------------------------------------

// The text of FOLDER/NAME; false when it cannot be read. A file that does not fit is cut after its
// last whole line.
static bool read_text(const char *folder, const char *name, char text[TEXT_BYTES]) {
    char path[PATH_BYTES];
    int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    if (length < 0 || (size_t)length >= sizeof path)
        return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    size_t used = 0;
    ssize_t n = 1;
    while (n != 0 && used < TEXT_BYTES - 1) {
        n = read(fd, text + used, TEXT_BYTES - 1 - used);
        if (n < 0 && errno != EINTR)
            break;
        used += n > 0 ? (size_t)n : 0;
    }
    (void)close(fd);
    text[used] = '\0';
    if (used == TEXT_BYTES - 1) {
        char *last = strrchr(text, '\n');
        *(last ? last + 1 : text) = '\0';
    }
    return n >= 0;
}

// Parses a number of bytes, or of KiB when "kB" follows it, up to the end of the line. False for
// "max", for other text and for a number that does not fit into size_t.
static bool parse_bytes(const char *at, size_t *out) {
    at += strspn(at, " \t");
    if (*at < '0' || *at > '9')
        return false;
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(at, &end, 10);
    bool is_kib = strncmp(end, " kB", 3) == 0;
    end += is_kib ? 3 : 0;
    if (errno != 0 || (*end != '\n' && *end != '\0') || value > SIZE_MAX >> (is_kib ? 10 : 0))
        return false;
    *out = (size_t)value << (is_kib ? 10 : 0);
    return true;
}

static bool read_bytes(const char *folder, const char *name, size_t *out) {
    char text[TEXT_BYTES];
    return read_text(folder, name, text) && parse_bytes(text, out);
}

// The number after `key` in the line that begins with `key`.
static bool find_bytes(const char *text, const char *key, size_t *out) {
    size_t length = strlen(key);
    for (const char *line = text; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, length) == 0)
            return parse_bytes(line + length, out);
    }
    return false;
}

// ---- cgroups ------------------------------------------------------------------------------------

// File names and keys of the two versions. The kernel drops cached pages of files before it kills a
// process, so they do not count as used memory. (Pages of a tmpfs are counted elsewhere.)
struct cgroup_files {
    const char *limit, *usage;
    const char *inactive_file, *active_file; // of memory.stat
};
static const struct cgroup_files files_v1 = {"memory.limit_in_bytes", "memory.usage_in_bytes",
                                             "total_inactive_file ", "total_active_file "};
static const struct cgroup_files files_v2 = {"memory.max", "memory.current", "inactive_file ",
                                             "active_file "};

static size_t cgroup_leaves(const char *folder, const struct cgroup_files *files) {
    size_t limit = 0, usage = 0, inactive = 0, active = 0;
    char text[TEXT_BYTES];
    if (!read_bytes(folder, files->limit, &limit) || limit >= NO_LIMIT)
        return SIZE_MAX;
    if (!read_bytes(folder, files->usage, &usage))
        return limit;
    if (read_text(folder, "memory.stat", text)) {
        (void)find_bytes(text, files->inactive_file, &inactive);
        (void)find_bytes(text, files->active_file, &active);
    }
    return minus(limit, minus(minus(usage, inactive), active));
}

// Every cgroup from ROOT/PATH up to ROOT may have a limit. In a container PATH is often the host's
// and does not exist; the files in ROOT are then the container's own.
static size_t path_leaves(const char *root, const char *path, const struct cgroup_files *files) {
    char folder[PATH_BYTES];
    // The kernel writes ".." for a cgroup outside of this process's cgroup namespace.
    bool is_seen = path[0] == '/' && path[1] != '\0' && !strstr(path, "/..");
    int length = snprintf(folder, sizeof folder, "%s%s", root, is_seen ? path : "");
    if (length < 0 || (size_t)length >= sizeof folder)
        (void)snprintf(folder, sizeof folder, "%s", root);
    size_t n_root = strlen(root), least = SIZE_MAX;
    for (;;) {
        least = smaller(least, cgroup_leaves(folder, files));
        char *slash = strrchr(folder, '/');
        if (!slash || slash < folder + n_root)
            return least;
        *slash = '\0';
    }
}

// Whether the list "cpu,memory:..." has the entry "memory".
static bool has_memory(const char *list, const char *end) {
    for (const char *at = list; at < end; at++) {
        size_t length = strcspn(at, ",:");
        if (length == 6 && strncmp(at, "memory", 6) == 0)
            return true;
        at += length;
    }
    return false;
}

// Lines "NUMBER:CONTROLLERS:PATH"; version 2 has no controllers there.
static size_t cgroups_leave(const struct memory_sources *sources) {
    char text[TEXT_BYTES], root[PATH_BYTES];
    if (!read_text(sources->proc, "self/cgroup", text))
        return SIZE_MAX;
    (void)snprintf(root, sizeof root, "%s/memory", sources->cgroups);
    size_t least = SIZE_MAX;
    for (char *line = text, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        char *controllers = strchr(line, ':');
        char *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path)
            continue;
        controllers++;
        if (path == controllers)
            least = smaller(least, path_leaves(sources->cgroups, path + 1, &files_v2));
        else if (has_memory(controllers, path))
            least = smaller(least, path_leaves(root, path + 1, &files_v1));
    }
    return least;
}

// ---- the minimum --------------------------------------------------------------------------------

static size_t limits_leave(const struct memory_sources *sources) {
    char text[TEXT_BYTES];
    size_t used = 0, least = SIZE_MAX;
    if (sources->address_space == SIZE_MAX && sources->data == SIZE_MAX)
        return SIZE_MAX;
    if (!read_text(sources->proc, "self/status", text))
        return SIZE_MAX;
    if (sources->address_space != SIZE_MAX && find_bytes(text, "VmSize:", &used))
        least = minus(sources->address_space, used);
    if (sources->data != SIZE_MAX && find_bytes(text, "VmData:", &used))
        least = smaller(least, minus(sources->data, used));
    return least;
}

size_t available_memory_by(const struct memory_sources *sources) {
    char text[TEXT_BYTES];
    size_t machine = SIZE_MAX;
    if (read_text(sources->proc, "meminfo", text))
        (void)find_bytes(text, "MemAvailable:", &machine);
    return smaller(machine, smaller(cgroups_leave(sources), limits_leave(sources)));
}

static size_t limit_of(int resource) {
    struct rlimit limit;
    bool is_limited = getrlimit(resource, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
    return is_limited ? (size_t)limit.rlim_cur : SIZE_MAX;
}

static struct memory_sources sources_of_process(void) {
    return (struct memory_sources){.proc = "/proc",
                                   .cgroups = "/sys/fs/cgroup",
                                   .address_space = limit_of(RLIMIT_AS),
                                   .data = limit_of(RLIMIT_DATA)};
}

size_t available_memory(void) {
    const struct memory_sources sources = sources_of_process();
    return available_memory_by(&sources);
}

size_t available_address_space(void) {
    const struct memory_sources sources = sources_of_process();
    return limits_leave(&sources);
}
