// SPDX-License-Identifier: MIT
#include "base/shared_memory.h"

#include "adele/status.h"
#include "base/available_memory.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define BYTES 100001

// The inode of the mapping that begins at `block`; 0: no file.
static unsigned long inode_at(const void *block) {
    FILE *file = fopen("/proc/self/maps", "r");
    char line[512];
    unsigned long found = 0;
    if (file == NULL)
        return 0;
    while (fgets(line, sizeof line, file) != NULL) {
        unsigned long from, inode;
        if (sscanf(line, "%lx-%*x %*s %*s %*s %lu", &from, &inode) == 2 &&
            from == (unsigned long)block)
            found = inode;
    }
    (void)fclose(file);
    return found;
}

static void create_filled(struct shared_memory *memory, struct shared_memory_key *key) {
    assert_int_equal(shared_memory_create(BYTES, memory, key), ADELE_OK);
    unsigned char *bytes = memory->block;
    for (size_t i = 0; i < BYTES; i++) {
        assert_int_equal(bytes[i], 0);
        bytes[i] = (unsigned char)(i % 251);
    }
}

// What the child of a test returns: 0, or the number of the check that failed.
static int look_at(const struct shared_memory_key *key, unsigned long inode) {
    struct shared_memory other;
    if (shared_memory_open(key, &other) != ADELE_OK)
        return 1;
    if (other.bytes != BYTES || inode_at(other.block) != inode)
        return 2;
    const unsigned char *bytes = other.block;
    for (size_t i = 0; i < BYTES; i++)
        if (bytes[i] != i % 251)
            return 3;
    shared_memory_release(&other);
    return 0;
}

static int exit_code_of(pid_t child) {
    int state = 0;
    assert_true(waitpid(child, &state, 0) == child);
    return WIFEXITED(state) ? WEXITSTATUS(state) : -1;
}

static void another_process_maps_the_same_pages(void **state) {
    (void)state;
    struct shared_memory memory;
    struct shared_memory_key key;
    create_filled(&memory, &key);
    unsigned long inode = inode_at(memory.block);
    assert_true(inode != 0);
    pid_t child = fork();
    if (child == 0)
        _exit(look_at(&key, inode));
    assert_int_equal(exit_code_of(child), 0);
    shared_memory_release(&memory);
    assert_null(memory.block);
}

static void pages_outlive_the_file_and_the_process(void **state) {
    (void)state;
    struct shared_memory memory, other;
    struct shared_memory_key key;
    int channel[2], done[2];
    char byte = 0;
    assert_int_equal(pipe(channel) | pipe(done), 0);
    pid_t child = fork();
    if (child == 0) {
        bool is_fine = shared_memory_create(BYTES, &memory, &key) == ADELE_OK;
        if (is_fine)
            memset(memory.block, 7, BYTES);
        is_fine = is_fine && write(channel[1], &key, sizeof key) == (ssize_t)sizeof key &&
                  read(done[0], &byte, 1) == 1;
        _exit(is_fine ? 0 : 1); // releases nothing
    }
    assert_true(read(channel[0], &key, sizeof key) == (ssize_t)sizeof key);
    assert_int_equal(shared_memory_open(&key, &other), ADELE_OK);
    assert_true(write(done[1], &byte, 1) == 1);
    assert_int_equal(exit_code_of(child), 0);
    const unsigned char *bytes = other.block;
    assert_true(bytes[0] == 7 && bytes[BYTES - 1] == 7);
    shared_memory_release(&other);
    // The process and its file are gone.
    assert_int_equal(shared_memory_open(&key, &other), ADELE_UNSUPPORTED);
    for (int i = 0; i < 2; i++) {
        (void)close(channel[i]);
        (void)close(done[i]);
    }
}

static void only_the_right_block_is_opened(void **state) {
    (void)state;
    struct shared_memory memory, other;
    struct shared_memory_key key, wrong;
    create_filled(&memory, &key);
    wrong = key;
    wrong.token[15] ^= 1;
    assert_int_equal(shared_memory_open(&wrong, &other), ADELE_UNSUPPORTED);
    assert_non_null(strstr(adele_error_message(), "other contents"));
    wrong = key;
    wrong.bytes--;
    assert_int_equal(shared_memory_open(&wrong, &other), ADELE_UNSUPPORTED);
    wrong.bytes = UINT64_MAX;
    assert_int_equal(shared_memory_open(&wrong, &other), ADELE_UNSUPPORTED);
    assert_non_null(strstr(adele_error_message(), "another size"));
    assert_null(other.block);
    shared_memory_close_file(&memory);
    assert_int_equal(shared_memory_open(&key, &other), ADELE_UNSUPPORTED);
    assert_int_equal(((unsigned char *)memory.block)[250], 250); // still mapped here
    shared_memory_release(&memory);
}

static void a_protected_block_is_read_only(void **state) {
    (void)state;
    struct shared_memory memory;
    struct shared_memory_key key;
    create_filled(&memory, &key);
    assert_int_equal(shared_memory_protect(&memory), ADELE_OK);
    pid_t child = fork();
    if (child == 0) {
        (void)signal(SIGSEGV, SIG_DFL);
        ((volatile unsigned char *)memory.block)[0] = 1;
        _exit(0);
    }
    int status = 0;
    assert_true(waitpid(child, &status, 0) == child);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    shared_memory_release(&memory);
}

static void too_much_is_refused(void **state) {
    (void)state;
    struct shared_memory memory;
    struct shared_memory_key key;
    if (available_memory() < SIZE_MAX / 4) {
        assert_int_equal(shared_memory_create(SIZE_MAX / 4, &memory, &key), ADELE_NO_MEMORY);
        assert_non_null(strstr(adele_error_message(), "available"));
        assert_null(memory.block);
    }
    pid_t child = fork(); // a limit that stays in it
    if (child == 0) {
        const struct rlimit limit = {BYTES / 2, BYTES / 2};
        _exit(setrlimit(RLIMIT_FSIZE, &limit) != 0 ||
              shared_memory_create(BYTES, &memory, &key) != ADELE_NO_MEMORY ||
              strstr(adele_error_message(), "ulimit -f") == NULL);
    }
    assert_int_equal(exit_code_of(child), 0);
}

static void zeroed_is_legal(void **state) {
    (void)state;
    struct shared_memory memory = {0};
    int copy = dup(STDIN_FILENO); // -1: there is none
    shared_memory_close_file(&memory);
    memory = (struct shared_memory){0};
    shared_memory_release(&memory);
    int again = dup(STDIN_FILENO); // was not closed
    assert_true((copy < 0) == (again < 0));
    (void)close(copy);
    (void)close(again);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_process_maps_the_same_pages),
        cmocka_unit_test(pages_outlive_the_file_and_the_process),
        cmocka_unit_test(only_the_right_block_is_opened),
        cmocka_unit_test(a_protected_block_is_read_only),
        cmocka_unit_test(too_much_is_refused),
        cmocka_unit_test(zeroed_is_legal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
