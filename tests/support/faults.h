// SPDX-License-Identifier: MIT
// Makes one chosen call of ours to the heap or to the system fail. A test that is linked with the
// options of ADELE_FAULT_WRAPS (tests/CMakeLists.txt) routes every such call of the library and of
// the command line through here; calls inside other libraries are not affected.
#ifndef ADELE_TESTS_FAULTS_H
#define ADELE_TESTS_FAULTS_H

// X(kind, name, the errno that an even and an odd call number fail with)
#define FAULT_KINDS(X)                                                                             \
    X(MEMORY, "allocation", ENOMEM, ENOMEM)                                                        \
    X(JSON, "JSON allocation", ENOMEM, ENOMEM)                                                     \
    X(OPEN, "open", EACCES, EMFILE)                                                                \
    X(READ, "read", EIO, EISDIR)                                                                   \
    X(WRITE, "write", ENOSPC, EIO)                                                                 \
    X(SYNC, "fsync", EIO, ENOSPC)                                                                  \
    X(RENAME, "rename", EACCES, EIO)                                                               \
    X(FOLDER, "folder", EACCES, EIO)                                                               \
    X(DEVICE, "cudaMalloc", ENOMEM, ENOMEM) // of the emulated GPU

enum fault_kind {
#define FAULT_ENUM(kind, name, even, odd) FAULT_##kind,
    FAULT_KINDS(FAULT_ENUM)
#undef FAULT_ENUM
        FAULT_COUNT
};

const char *fault_name(enum fault_kind kind);

// Counts from zero; call `i` of that kind (0 = the next one) fails, once. A negative number: none.
void fault_arm(enum fault_kind kind, long i);
// Calls of that kind since then.
long fault_calls(enum fault_kind kind);

#endif
