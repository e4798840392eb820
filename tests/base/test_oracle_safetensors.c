// SPDX-License-Identifier: MIT
// Our safetensors beside a reading by Python's own json and struct: files that we write, and the
// same files damaged, which both refuse or both describe alike.
#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/safetensors.h"
#include "support/program.h"
#include "support/scratch.h"
#include "support/skip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#define N_DAMAGED 60
#define PYTHON    "/usr/bin/python3"

static const char *const dtype_names[] = {"U8", "I32", "I64", "F16", "BF16", "F32", "F64"};

struct text {
    char bytes[65536];
    size_t n;
};

static void say(struct text *text, const char *line) {
    text->n += (size_t)snprintf(text->bytes + text->n, sizeof text->bytes - text->n, "%s\n", line);
    assert_true(text->n < sizeof text->bytes);
}

// What we read, in the words of oracle_safetensors.py.
static void describe(const char *path, struct text *out) {
    struct safetensors *file = NULL;
    if (safetensors_open(path, &file) != ADELE_OK) {
        say(out, "refused");
    } else {
        static const char *const names[] = {"alpha", "beta", "empty", "gamma", "scalar"};
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            const struct safetensors_entry *entry = safetensors_find(file, names[i]);
            char line[256];
            if (entry == NULL)
                continue;
            int n = snprintf(line, sizeof line, "%s %s [", names[i], dtype_names[entry->dtype]);
            for (int k = 0; k < entry->n_dimensions; k++)
                n += snprintf(line + n, sizeof line - (size_t)n, "%s%lld", k > 0 ? " " : "",
                              (long long)entry->shape[k]);
            (void)snprintf(line + n, sizeof line - (size_t)n, "] %08lx",
                           crc32(0, entry->data, (uInt)entry->bytes));
            say(out, line);
        }
        char line[128];
        (void)snprintf(line, sizeof line, "step=%s", safetensors_metadata(file, "step"));
        say(out, line);
        safetensors_close(file);
    }
    say(out, "--");
}

static size_t put_json(char *out, size_t room) {
    return (size_t)snprintf(out, room,
                            "{\"__metadata__\":{\"step\":\"7\"},"
                            "\"alpha\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
                            "\"beta\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[24,32]},"
                            "\"empty\":{\"dtype\":\"U8\",\"shape\":[0,4],\"data_offsets\":[32,32]},"
                            "\"gamma\":{\"dtype\":\"BF16\",\"shape\":[3],\"data_offsets\":[32,38]},"
                            "\"scalar\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[38,39]}}");
}

// The file whole, or with a digit, a length byte or its end changed: no change that leaves the
// names as they are escapes either reader. Letters stay, because Python accepts names that we cut.
static void make_file(struct random_stream *random, const char *path, bool is_damaged) {
    char bytes[1024];
    size_t n_header = put_json(bytes + 8, sizeof bytes - 8), n = 8 + n_header + 39;
    for (int i = 0; i < 8; i++)
        bytes[i] = (char)(n_header >> (8 * i));
    for (size_t i = 8 + n_header; i < n; i++)
        bytes[i] = (char)random_below(random, 256);
    if (is_damaged && random_below(random, 5) == 0) {
        n -= 1 + random_below(random, (uint32_t)n - 1);
    } else if (is_damaged && random_below(random, 5) == 0) {
        bytes[random_below(random, 8)] ^= (char)(1 << random_below(random, 8));
    } else if (is_damaged) {
        size_t at = 8 + random_below(random, (uint32_t)n_header);
        while (bytes[at] < '0' || bytes[at] > '9')
            at = at + 1 < 8 + n_header ? at + 1 : 8;
        static const char other[] = "0123456789-.,]";
        bytes[at] = other[random_below(random, sizeof other - 1)];
    }
    assert_int_equal(file_write(path, bytes, n), ADELE_OK);
}

static void both_say_the_same(void **state) {
    struct random_stream random;
    static struct text want;
    const char *arguments[N_DAMAGED + 4] = {PYTHON,
                                            PROJECT_DIR "/tests/base/oracle_safetensors.py"};
    char *paths[N_DAMAGED + 1];
    want.n = 0;
    random_stream_init(&random, 9, RANDOM_TEST, 0, 0);
    for (int i = 0; i <= N_DAMAGED; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "file%d.safetensors", i);
        paths[i] = memory_strdup(scratch_path(state, name));
        assert_non_null(paths[i]);
        make_file(&random, paths[i], i > 0);
        arguments[2 + i] = paths[i];
        describe(paths[i], &want);
    }
    arguments[N_DAMAGED + 3] = NULL;
    struct program_result result;
    program_run(arguments, &result);
    assert_int_equal(result.code, 0);
    assert_string_equal(result.err, "");
    assert_string_equal(result.out, want.bytes);
    int n_refused = 0;
    for (const char *at = want.bytes; (at = strstr(at, "refused")) != NULL; at++)
        n_refused++;
    print_message("%d damaged files: both refuse %d\n", N_DAMAGED, n_refused);
    assert_true(n_refused > N_DAMAGED / 2 && n_refused <= N_DAMAGED);
    program_result_deinit(&result);
    for (int i = 0; i <= N_DAMAGED; i++)
        memory_free(paths[i]);
}

// Every dtype as the writer writes it.
static void written_files(void **state) {
    static const char *const names[] = {"alpha", "beta", "gamma"};
    static struct text want;
    unsigned char data[8 * 6];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(31 * i);
    for (int dtype = 0; dtype < 7; dtype++) {
        struct safetensors_writer *writer = NULL;
        const char *path = scratch_path(state, "written.safetensors");
        assert_int_equal(safetensors_writer_create(&writer), ADELE_OK);
        for (int i = 0; i < 3; i++) {
            int64_t shape[] = {i + 1, 2};
            assert_int_equal(safetensors_writer_add(writer, names[i], (enum safetensors_dtype)dtype,
                                                    i + 1 > 2 ? 2 : i, shape, data),
                             ADELE_OK);
        }
        assert_int_equal(safetensors_writer_metadata(writer, "step", "7"), ADELE_OK);
        assert_int_equal(safetensors_writer_save(writer, path), ADELE_OK);
        safetensors_writer_destroy(writer);
        want.n = 0;
        describe(path, &want);
        struct program_result result;
        program_run((const char *const[]){PYTHON, PROJECT_DIR "/tests/base/oracle_safetensors.py",
                                          path, NULL},
                    &result);
        // Python also lists the hashes that our metadata has.
        const char *line = strstr(want.bytes, "step=");
        assert_non_null(line);
        assert_true(strncmp(result.out, want.bytes, (size_t)(line - want.bytes)) == 0);
        assert_non_null(strstr(result.out, "step=7\n"));
        program_result_deinit(&result);
    }
}

int main(void) {
    if (access(PYTHON, X_OK) != 0)
        return skip_program(PYTHON);
#define CASE(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {CASE(both_say_the_same), CASE(written_files)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
