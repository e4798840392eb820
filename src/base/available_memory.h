// SPDX-License-Identifier: MIT
// How much memory this process can still fill before the system kills a process, or refuses.
#ifndef ADELE_BASE_AVAILABLE_MEMORY_H
#define ADELE_BASE_AVAILABLE_MEMORY_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

// The smallest of: what the machine has available, what the process's cgroup and each of those
// above it leave, and what `ulimit -v` and `ulimit -d` leave. SIZE_MAX when nothing says. Memory
// that was allocated and never written to is still available, but for the ulimits. Swap does not
// count: a training that swaps takes days for what takes minutes.
//
// Takes no memory itself, and leaves no error record: what cannot be read limits nothing.
size_t available_memory(void);

// The part of `ulimit -v` and `ulimit -d` in that: below it every allocation succeeds, whether or
// not there is memory for it. SIZE_MAX without them; then no file is read.
size_t available_address_space(void);

// What available_memory asks. A test has files of its own in these folders.
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
