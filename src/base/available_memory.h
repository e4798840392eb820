// SPDX-License-Identifier: MIT
// How much memory this process can still fill before the system kills a process, or refuses.
#ifndef ADELE_BASE_AVAILABLE_MEMORY_H
#define ADELE_BASE_AVAILABLE_MEMORY_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

// The smallest of: what the machine has available, what the process's cgroup and each of those
// above it leave, and what `ulimit -v` and `ulimit -d` leave. SIZE_MAX when there is no limit.
// Memory that was allocated and never written to still counts as available, except for the ulimits.
// Swap does not count: a training that swaps is slower by orders of magnitude. Allocates nothing
// and records no error: a file that cannot be read sets no limit.
size_t available_memory(void);

// What `ulimit -v` and `ulimit -d` leave: below it every allocation succeeds, whether or not there
// is memory for it. SIZE_MAX without such limits; no file is read then.
size_t available_address_space(void);

// Where available_memory reads. A test passes folders with its own files.
struct memory_sources {
    const char *proc;           // "/proc"
    const char *cgroups;        // "/sys/fs/cgroup"
    size_t address_space, data; // ulimit -v and ulimit -d in bytes; SIZE_MAX: none
};
size_t available_memory_by(const struct memory_sources *sources);

#ifdef __cplusplus
}
#endif
#endif
