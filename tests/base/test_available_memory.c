// SPDX-License-Identifier: MIT
// Trees of files as /proc and /sys/fs/cgroup have them, written out, and what they leave.
#include "base/available_memory.h"

#include "base/file.h"
#include "support/scratch.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#define KIB    ((size_t)1 << 10)
#define MIB    ((size_t)1 << 20)
#define GIB    ((size_t)1 << 30)
#define NUMBER "9223372036854771712\n" // version 1's for no limit

// A new tree for each test, so that tests do not share files.
static int n_trees;

static const char *tree(void *const *state, const char *name) {
    char path[600];
    (void)snprintf(path, sizeof path, "tree%d/%s", n_trees, name);
    return scratch_path(state, path);
}

static int new_tree(void **state) {
    n_trees++;
    check_ok(file_make_directory(tree(state, "proc/self")));
    check_ok(file_make_directory(tree(state, "cgroup")));
    return 0;
}

static void put(void *const *state, const char *name, const char *text) {
    char folder[512];
    (void)snprintf(folder, sizeof folder, "%.*s", (int)(file_base_name(name) - name), name);
    check_ok(file_make_directory(tree(state, folder)));
    check_ok(file_write(tree(state, name), text, strlen(text)));
}

static size_t available_with(void *const *state, size_t address_space, size_t data) {
    const struct memory_sources sources = {.proc = tree(state, "proc"),
                                           .cgroups = tree(state, "cgroup"),
                                           .address_space = address_space,
                                           .data = data};
    return available_memory_by(&sources);
}

static size_t available(void *const *state) {
    return available_with(state, SIZE_MAX, SIZE_MAX);
}

static void put_meminfo(void *const *state) {
    put(state, "proc/meminfo",
        "MemTotal:       24683656 kB\nMemFree:        20743308 kB\nMemAvailable:    8388608 kB\n"
        "Buffers:           12424 kB\n");
}

// ---- the machine --------------------------------------------------------------------------------

static void nothing_to_read_limits_nothing(void **state) {
    assert_true(available(state) == SIZE_MAX);
    const struct memory_sources nowhere = {"/nowhere/proc", "/nowhere/cgroup", SIZE_MAX, SIZE_MAX};
    assert_true(available_memory_by(&nowhere) == SIZE_MAX);
    const struct memory_sources limited = {"/nowhere/proc", "/nowhere/cgroup", GIB, GIB};
    assert_true(available_memory_by(&limited) == SIZE_MAX);
}

static void the_machine_says_what_is_available(void **state) {
    put_meminfo(state);
    assert_true(available(state) == 8 * GIB);
}

static void meminfo_that_says_nothing(void **state) {
    static const char *const texts[] = {
        "",
        "\n",
        "\n\n\n",
        "MemTotal: 100 kB\nMemFree: 50 kB\n", // of a kernel before 3.14
        "MemAvailable:",
        "MemAvailable: kB\n",
        "MemAvailable: many kB\n",
        "MemAvailable: -5 kB\n",
        "MemAvailable: 5 MB\n",
        "MemAvailable: 5 kB kB\n",
        "MemAvailable: 18446744073709551616 kB\n",  // 2^64
        "MemAvailable: 18014398509481984 kB\n",     // 2^64 bytes
        "MemAvailable: 99999999999999999999999 kB", // more than any type has room for
        "NoMemAvailable: 5 kB\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        put(state, "proc/meminfo", texts[i]);
        if (available(state) != SIZE_MAX)
            fail_msg("'%s' gives %zu", texts[i], available(state));
    }
    put(state, "proc/meminfo", "MemAvailable: 18014398509481983 kB\n");
    assert_true(available(state) == SIZE_MAX - 1023);
    put(state, "proc/meminfo", "MemAvailable: 0 kB"); // without a line's end
    assert_true(available(state) == 0);
}

// A number that the end of the buffer truncates is ignored.
static void a_file_longer_than_the_buffer(void **state) {
    static char text[20000];
    memset(text, 'x', sizeof text - 1);
    memcpy(text, "MemAvailable: 64 kB\n", 20);
    put(state, "proc/meminfo", text);
    assert_true(available(state) == 64 * KIB);
    for (size_t i = 0; i < sizeof text - 1; i++)
        text[i] = i % 100 == 99 ? '\n' : 'x';
    memcpy(text + 8200 - 30, "\nMemAvailable: 1111111111111111 kB\n", 35);
    put(state, "proc/meminfo", text);
    assert_true(available(state) == SIZE_MAX);
}

// ---- version 2 ----------------------------------------------------------------------------------

static void a_limit_of_version_2(void **state) {
    put_meminfo(state);
    put(state, "proc/self/cgroup", "0::/slice/job\n");
    put(state, "cgroup/slice/job/memory.max", "4294967296\n");
    put(state, "cgroup/slice/job/memory.current", "1073741824\n");
    assert_true(available(state) == 3 * GIB);
    // Files' pages are dropped before anything is killed, whichever list they are on.
    put(state, "cgroup/slice/job/memory.stat",
        "anon 104857600\nfile 900000000\nshmem 0\ninactive_anon 5\nactive_anon 6\n"
        "inactive_file 268435456\nactive_file 536870912\n");
    assert_true(available(state) == 3 * GIB + 768 * MIB);
    put(state, "cgroup/slice/job/memory.stat", "inactive_file 99999999999\nactive_file what\n");
    assert_true(available(state) == 4 * GIB);
    put(state, "cgroup/slice/job/memory.stat", "");
    put(state, "cgroup/slice/job/memory.current", "4294967297\n");
    assert_true(available(state) == 0);
    put(state, "cgroup/slice/job/memory.current", "");
    assert_true(available(state) == 4 * GIB);
}

static void the_machine_may_have_less_than_the_limit(void **state) {
    put_meminfo(state);
    put(state, "proc/self/cgroup", "0::/job\n");
    put(state, "cgroup/job/memory.max", "17179869184\n");
    put(state, "cgroup/job/memory.current", "0\n");
    assert_true(available(state) == 8 * GIB);
}

static void any_cgroup_above_may_have_the_least(void **state) {
    put(state, "proc/self/cgroup", "0::/a/b/c\n");
    put(state, "cgroup/a/b/c/memory.max", "max\n");
    put(state, "cgroup/a/b/c/memory.current", "1048576\n");
    assert_true(available(state) == SIZE_MAX);
    put(state, "cgroup/a/memory.max", "104857600\n");
    put(state, "cgroup/a/memory.current", "10485760\n");
    assert_true(available(state) == 90 * MIB);
    put(state, "cgroup/a/b/memory.max", "20971520\n"); // its own limit, but little of it is used
    put(state, "cgroup/a/b/memory.current", "1048576\n");
    assert_true(available(state) == 19 * MIB);
    put(state, "cgroup/a/b/c/memory.max", "3145728\n");
    assert_true(available(state) == 2 * MIB);
}

// The container's own limits are in the mount's root, and the path is one of the host's.
static void in_a_container_the_path_is_not_there(void **state) {
    put(state, "cgroup/memory.max", "2147483648\n");
    put(state, "cgroup/memory.current", "1073741824\n");
    static const char *const paths[] = {"0::/\n",         "0::/system.slice/docker-4711.scope\n",
                                        "0::/../other\n", "0::/..\n",
                                        "0::\n",          "0::relative\n"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        put(state, "proc/self/cgroup", paths[i]);
        if (available(state) != GIB)
            fail_msg("'%s' gives %zu", paths[i], available(state));
    }
}

static void limits_that_are_none(void **state) {
    static const char *const limits[] = {
        "max\n", "", "\n", "lots\n", "-1\n", "12 34", "0x10", NUMBER, "99999999999999999999999\n"};
    put(state, "proc/self/cgroup", "0::/job\n");
    put(state, "cgroup/job/memory.current", "4096\n");
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        put(state, "cgroup/job/memory.max", limits[i]);
        if (available(state) != SIZE_MAX)
            fail_msg("'%s' gives %zu", limits[i], available(state));
    }
    put(state, "cgroup/job/memory.max", "0\n");
    assert_true(available(state) == 0);
}

// ---- version 1 ----------------------------------------------------------------------------------

static void a_limit_of_version_1(void **state) {
    put_meminfo(state);
    put(state, "proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/jobs/7\n1:name=systemd:/y\n0::/\n");
    put(state, "cgroup/memory/memory.limit_in_bytes", NUMBER);
    put(state, "cgroup/memory/memory.usage_in_bytes", "5000000000\n");
    put(state, "cgroup/memory/jobs/memory.limit_in_bytes", NUMBER);
    put(state, "cgroup/memory/jobs/memory.usage_in_bytes", "3000000000\n");
    assert_true(available(state) == 8 * GIB);
    put(state, "cgroup/memory/jobs/7/memory.limit_in_bytes", "1073741824\n");
    put(state, "cgroup/memory/jobs/7/memory.usage_in_bytes", "536870912\n");
    assert_true(available(state) == 512 * MIB);
    // Without its children, and with them.
    put(state, "cgroup/memory/jobs/7/memory.stat",
        "inactive_file 1048576\nactive_file 0\ntotal_inactive_file 104857600\n"
        "total_active_file 1048576\n");
    assert_true(available(state) == 613 * MIB);
    put(state, "cgroup/memory/jobs/memory.limit_in_bytes", "3000000000\n");
    assert_true(available(state) == 0);
}

static void controllers_that_share_a_hierarchy(void **state) {
    put(state, "cgroup/memory/memory.limit_in_bytes", "1048576\n");
    put(state, "cgroup/memory/memory.usage_in_bytes", "0\n");
    put(state, "proc/self/cgroup", "3:cpu,memory:/not/there\n");
    assert_true(available(state) == MIB);
    put(state, "proc/self/cgroup", "3:memory,cpu:/a:b\n");
    assert_true(available(state) == MIB);
    put(state, "proc/self/cgroup", "3:memoryx,xmemory,name=memory:/\n");
    assert_true(available(state) == SIZE_MAX);
}

static void lines_that_name_no_cgroup(void **state) {
    put(state, "cgroup/memory.max", "1048576\n");
    put(state, "cgroup/memory/memory.limit_in_bytes", "1048576\n");
    static const char *const texts[] = {"", "\n", ":", "0\n\n1\n", "0:memory\n", "memory"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        put(state, "proc/self/cgroup", texts[i]);
        if (available(state) != SIZE_MAX)
            fail_msg("'%s' gives %zu", texts[i], available(state));
    }
}

static void a_path_as_long_as_they_come(void **state) {
    static char text[9000];
    (void)snprintf(text, sizeof text, "0::/");
    memset(text + 4, 'p', 7000);
    put(state, "proc/self/cgroup", text);
    put(state, "cgroup/memory.max", "1048576\n");
    put(state, "cgroup/memory.current", "0\n");
    assert_true(available(state) == MIB);
}

// ---- ulimit -------------------------------------------------------------------------------------

static void ulimits_leave_what_is_not_mapped(void **state) {
    put_meminfo(state);
    put(state, "proc/self/status",
        "Name:\tadele\nVmPeak:\t  999999 kB\nVmSize:\t  262144 kB\nVmRSS:\t 4 kB\n"
        "VmData:\t   65536 kB\nVmStk:\t     132 kB\n");
    assert_true(available(state) == 8 * GIB);
    assert_true(available_with(state, GIB, SIZE_MAX) == 768 * MIB);
    assert_true(available_with(state, SIZE_MAX, GIB) == 960 * MIB);
    assert_true(available_with(state, GIB, GIB) == 768 * MIB);
    assert_true(available_with(state, GIB, 128 * MIB) == 64 * MIB);
    assert_true(available_with(state, 256 * MIB, SIZE_MAX) == 0);
    assert_true(available_with(state, 0, 0) == 0);
    assert_true(available_with(state, 100 * GIB, SIZE_MAX) == 8 * GIB);
    put(state, "proc/self/status", "VmSize: lots\nVmData:\n");
    assert_true(available_with(state, GIB, GIB) == 8 * GIB);
}

// ---- this machine -------------------------------------------------------------------------------

static void this_process_has_some(void **state) {
    (void)state;
    assert_true(available_memory() > 0);
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_AS, &limit), 0);
    if (limit.rlim_cur != RLIM_INFINITY)
        skip();
    assert_true(available_memory() <= available_address_space());
}

#define ROW(test) cmocka_unit_test_setup(test, new_tree)

int main(void) {
    const struct CMUnitTest tests[] = {
        ROW(nothing_to_read_limits_nothing),
        ROW(the_machine_says_what_is_available),
        ROW(meminfo_that_says_nothing),
        ROW(a_file_longer_than_the_buffer),
        ROW(a_limit_of_version_2),
        ROW(the_machine_may_have_less_than_the_limit),
        ROW(any_cgroup_above_may_have_the_least),
        ROW(in_a_container_the_path_is_not_there),
        ROW(limits_that_are_none),
        ROW(a_limit_of_version_1),
        ROW(controllers_that_share_a_hierarchy),
        ROW(lines_that_name_no_cgroup),
        ROW(a_path_as_long_as_they_come),
        ROW(ulimits_leave_what_is_not_mapped),
        ROW(this_process_has_some),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
