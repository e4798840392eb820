// SPDX-License-Identifier: MIT
// Round trips, files of another program, damaged files and hostile ones.
#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/safetensors.h"
#include "support/golden.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const float f32_data[6] = {1.5f, -2.0f, 0.0f, 3.25f, 1e-30f, -1e30f};
static const uint8_t u8_data[3] = {1, 2, 255};
static const int64_t i64_data[1] = {-5};
static const int64_t shape_2_3[2] = {2, 3};
static const int64_t shape_3[1] = {3};
static const int64_t shape_1[1] = {1};
static const int64_t shape_empty[2] = {0, 7};

static adele_status write_example(const char *path, bool is_reversed) {
    struct safetensors_writer *writer = NULL;
    adele_status status;
    TRY(safetensors_writer_create(&writer));
    for (int i = 0; i < 4; i++) {
        switch (is_reversed ? 3 - i : i) {
        case 0:
            status =
                safetensors_writer_add(writer, "b.weight", SAFETENSORS_F32, 2, shape_2_3, f32_data);
            break;
        case 1:
            status =
                safetensors_writer_add(writer, "a.labels", SAFETENSORS_U8, 1, shape_3, u8_data);
            break;
        case 2:
            status = safetensors_writer_add(writer, "step", SAFETENSORS_I64, 0, shape_1, i64_data);
            break;
        default:
            status = safetensors_writer_add(writer, "none", SAFETENSORS_F16, 2, shape_empty, NULL);
            break;
        }
        if (status != ADELE_OK)
            goto done;
    }
    TRY_GOTO(safetensors_writer_metadata(writer, is_reversed ? "z" : "epoch", "7"), done);
    TRY_GOTO(safetensors_writer_metadata(writer, is_reversed ? "epoch" : "z", "7"), done);
    status = safetensors_writer_save(writer, path);
done:
    safetensors_writer_destroy(writer);
    return status;
}

static void test_round_trip(void **state) {
    const char *path = scratch_path(state, "a.safetensors");
    struct safetensors *file = NULL;
    assert_int_equal(write_example(path, false), ADELE_OK);
    assert_int_equal(safetensors_open(path, &file), ADELE_OK);
    assert_true(safetensors_is_hashed(file));
    assert_int_equal(safetensors_count(file), 4);
    assert_string_equal(safetensors_metadata(file, "epoch"), "7");
    assert_null(safetensors_metadata(file, "absent"));
    assert_null(safetensors_find(file, "absent"));
    assert_null(safetensors_at(file, 4));
    assert_null(safetensors_at(file, -1));

    const struct safetensors_entry *weight = safetensors_find(file, "b.weight");
    assert_non_null(weight);
    assert_int_equal(weight->dtype, SAFETENSORS_F32);
    assert_int_equal(weight->n_dimensions, 2);
    assert_memory_equal(weight->shape, shape_2_3, sizeof shape_2_3);
    assert_int_equal(weight->n_elements, 6);
    assert_int_equal(weight->bytes, sizeof f32_data);
    assert_int_equal((uintptr_t)weight->data % sizeof(float), 0);
    assert_memory_equal(weight->data, f32_data, sizeof f32_data);
    const struct safetensors_entry *step = safetensors_find(file, "step");
    assert_int_equal(step->n_elements, 1);
    assert_int_equal((uintptr_t)step->data % 8, 0);
    assert_memory_equal(step->data, i64_data, sizeof i64_data);
    assert_memory_equal(safetensors_find(file, "a.labels")->data, u8_data, sizeof u8_data);
    assert_int_equal(safetensors_find(file, "none")->n_elements, 0);
    safetensors_close(file);
    safetensors_close(NULL);
}

static void test_same_content_gives_the_same_bytes(void **state) {
    const char *path_a = scratch_path(state, "a");
    const char *path_b = scratch_path(state, "b");
    assert_int_equal(write_example(path_a, false), ADELE_OK);
    assert_int_equal(write_example(path_b, true), ADELE_OK);
    char *a = NULL, *b = NULL;
    size_t n_a = 0, n_b = 0;
    assert_int_equal(file_read(path_a, 0, &a, &n_a), ADELE_OK);
    assert_int_equal(file_read(path_b, 0, &b, &n_b), ADELE_OK);
    assert_int_equal(n_a, n_b);
    assert_memory_equal(a, b, n_a);
    memory_free(a);
    memory_free(b);
}

static void test_every_flipped_bit_is_found(void **state) {
    const char *path = scratch_path(state, "a");
    const char *damaged = scratch_path(state, "damaged");
    assert_int_equal(write_example(path, false), ADELE_OK);
    char *bytes = NULL;
    size_t n = 0;
    assert_int_equal(file_read(path, 0, &bytes, &n), ADELE_OK);
    size_t n_passed = 0;
    for (size_t i = 0; i < n; i++) {
        bytes[i] ^= 1;
        FILE *out = fopen(damaged, "wb");
        assert_non_null(out);
        assert_int_equal(fwrite(bytes, 1, n, out), n);
        assert_int_equal(fclose(out), 0);
        struct safetensors *file = NULL;
        adele_status status = safetensors_open(damaged, &file);
        // A file without "xxh3" in its header, because that word is hit, loses one check.
        bool may_pass = status == ADELE_OK && !safetensors_is_hashed(file);
        n_passed += status == ADELE_OK;
        assert_true(status == ADELE_FORMAT || may_pass);
        safetensors_close(file);
        bytes[i] ^= 1;
    }
    assert_in_range(n_passed, 0, 30);
    memory_free(bytes);
}

static void test_every_truncation_is_found(void **state) {
    const char *path = scratch_path(state, "a");
    const char *cut = scratch_path(state, "cut");
    assert_int_equal(write_example(path, false), ADELE_OK);
    char *bytes = NULL;
    size_t n = 0;
    assert_int_equal(file_read(path, 0, &bytes, &n), ADELE_OK);
    for (size_t n_kept = 0; n_kept < n; n_kept += n_kept < 16 ? 1 : 13) {
        FILE *out = fopen(cut, "wb");
        assert_non_null(out);
        assert_int_equal(fwrite(bytes, 1, n_kept, out), n_kept);
        assert_int_equal(fclose(out), 0);
        struct safetensors *file = NULL;
        assert_int_equal(safetensors_open(cut, &file), ADELE_FORMAT);
        assert_null(file);
    }
    memory_free(bytes);
}

// Opens a file of this header and n_data zero bytes.
static adele_status open_text(void **state, const char *header, size_t n_data,
                              struct safetensors **out) {
    const char *path = scratch_path(state, "hostile");
    size_t n_header = strlen(header);
    char *bytes = calloc(1, 8 + n_header + n_data);
    assert_non_null(bytes);
    for (int i = 0; i < 8; i++)
        bytes[i] = (char)((uint64_t)n_header >> (8 * i));
    memcpy(bytes + 8, header, n_header);
    assert_int_equal(file_write(path, bytes, 8 + n_header + n_data), ADELE_OK);
    free(bytes);
    return safetensors_open(path, out);
}

static const struct {
    const char *header, *message;
    size_t n_data;
} hostile_headers[] = {
    {"", "not one JSON object", 0},
    {"[]", "not one JSON object", 0},
    {" {}", "not one JSON object", 0},
    {"{}{}", "not one JSON object", 0},
    {"{}", "belong to no tensor", 4},
    {"{\"__metadata__\":3}", "__metadata__", 0},
    {"{\"__metadata__\":{\"k\":3}}", "not a string", 0},
    {"{\"__metadata__\":{},\"__metadata__\":{}}", "twice", 0},
    {"{\"a\":7}", "not an object", 0},
    {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", "dtype", 4},
    {"{\"a\":{\"dtype\":\"F8\",\"shape\":[1],\"data_offsets\":[0,1]}}", "dtype \"F8\"", 1},
    {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", "no shape", 4},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", "not a count", 4},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,4]}}", "not a count", 4},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[\"1\"],\"data_offsets\":[0,4]}}", "not a count", 4},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1e300],\"data_offsets\":[0,4]}}", "not a count", 4},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}",
     "dimensions", 4},
    // 2^32 * 2^32 elements are 0 in 64 bits.
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}",
     "too many", 0},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4294967296,4294967296,0],\"data_offsets\":[0,0]}}",
     "too many", 0},
    // 2^61 elements of 8 bytes are 0 bytes in 64 bits.
    {"{\"a\":{\"dtype\":\"F64\",\"shape\":[2147483648,1073741824],\"data_offsets\":[0,0]}}",
     "too many", 0},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", "data_offsets", 4},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", "data_offsets", 4},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", "outside", 4},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}}", "data_offsets", 4},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", "outside", 4},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", "requires 8", 4},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", "no tensor", 8},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
     "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[2,6]}}",
     "overlaps", 6},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
     "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
     "overlaps", 4},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
     "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
     "\"a\" twice", 8},
    {"{\"__metadata__\":{\"xxh3.a\":\"0000000000000000\"},"
     "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
     "damaged", 4},
    {"{\"__metadata__\":{\"xxh3.b\":\"0000000000000000\"}}", "not the tensor", 0},
    {"{\"__metadata__\":{\"xxh3\":\"0000000000000000\"}}", "header is damaged", 0},
};

static void test_hostile_headers(void **state) {
    for (size_t i = 0; i < sizeof hostile_headers / sizeof hostile_headers[0]; i++) {
        struct safetensors *file = NULL;
        adele_status status =
            open_text(state, hostile_headers[i].header, hostile_headers[i].n_data, &file);
        if (status != ADELE_FORMAT ||
            strstr(adele_error_message(), hostile_headers[i].message) == NULL)
            fail_msg("%s: %s, \"%s\" lacks \"%s\"", hostile_headers[i].header,
                     adele_status_text(status), adele_error_message(), hostile_headers[i].message);
        assert_non_null(strstr(adele_error_message(), "hostile"));
        assert_null(file);
    }
}

static void test_hostile_header_length(void **state) {
    static const unsigned char lengths[][8] = {
        {3, 0, 0, 0, 0, 0, 0, 0},                         // one more than there is
        {0x01, 0xe1, 0xf5, 0x05, 0, 0, 0, 0},             // 100,000,001
        {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, // 2^64 - 1
        {0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, // 8 + n is 0 in 64 bits
    };
    const char *path = scratch_path(state, "length");
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        unsigned char bytes[10] = {0, 0, 0, 0, 0, 0, 0, 0, '{', '}'};
        memcpy(bytes, lengths[i], 8);
        struct safetensors *file = NULL;
        assert_int_equal(file_write(path, bytes, sizeof bytes), ADELE_OK);
        assert_int_equal(safetensors_open(path, &file), ADELE_FORMAT);
        assert_null(file);
    }
}

static void test_files_of_other_programs(void **state) {
    struct safetensors *file = NULL;
    assert_int_equal(open_text(state, "{}  ", 0, &file), ADELE_OK);
    assert_int_equal(safetensors_count(file), 0);
    assert_false(safetensors_is_hashed(file));
    safetensors_close(file);
    // An empty tensor between two others, and the header's order not that of the data.
    assert_int_equal(open_text(state,
                               "{\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[4,7]},"
                               "\"e\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[4,4]},"
                               "\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}",
                               7, &file),
                     ADELE_OK);
    assert_int_equal(safetensors_count(file), 3);
    assert_string_equal(safetensors_at(file, 0)->name, "b");
    assert_int_equal(safetensors_find(file, "a")->n_elements, 1);
    safetensors_close(file);
    // Written by the reference implementation in Python.
    file = golden_open("unet_w8.safetensors");
    assert_true(safetensors_count(file) > 50);
    assert_false(safetensors_is_hashed(file));
    const struct safetensors_entry *entry = golden_entry(file, "weights.inc.double_conv.0.weight");
    assert_int_equal(entry->n_dimensions, 4);
    assert_int_equal(entry->n_elements, 72);
    safetensors_close(file);
}

static void test_read_f32_of_each_type(void **state) {
    const char *path = scratch_path(state, "types");
    // 1, -2, smallest subnormal, largest, infinity, NaN in binary16; 1, -2.5, 2^127 in bfloat16.
    static const uint16_t f16[] = {0x3c00, 0xc000, 0x0001, 0x7bff, 0x7c00, 0x7e00};
    static const uint16_t bf16[] = {0x3f80, 0xc020, 0x7f00};
    static const double f64[] = {0.1, -3.0};
    const int64_t n_f16 = 6, n_bf16 = 3, n_f64 = 2, n_u8 = 3;
    struct safetensors_writer *writer = NULL;
    assert_int_equal(safetensors_writer_create(&writer), ADELE_OK);
    assert_int_equal(safetensors_writer_add(writer, "f16", SAFETENSORS_F16, 1, &n_f16, f16), 0);
    assert_int_equal(safetensors_writer_add(writer, "bf16", SAFETENSORS_BF16, 1, &n_bf16, bf16), 0);
    assert_int_equal(safetensors_writer_add(writer, "f64", SAFETENSORS_F64, 1, &n_f64, f64), 0);
    assert_int_equal(safetensors_writer_add(writer, "u8", SAFETENSORS_U8, 1, &n_u8, u8_data), 0);
    assert_int_equal(safetensors_writer_save(writer, path), ADELE_OK);
    safetensors_writer_destroy(writer);

    struct safetensors *file = NULL;
    float out[6];
    assert_int_equal(safetensors_open(path, &file), ADELE_OK);
    assert_int_equal(safetensors_read_f32(file, "f16", 6, out), ADELE_OK);
    assert_true(out[0] == 1.0f && out[1] == -2.0f && out[2] == ldexpf(1.0f, -24));
    assert_true(out[3] == 65504.0f && isinf(out[4]) && isnan(out[5]));
    assert_int_equal(safetensors_read_f32(file, "bf16", 3, out), ADELE_OK);
    assert_true(out[0] == 1.0f && out[1] == -2.5f && out[2] == ldexpf(1.0f, 127));
    assert_int_equal(safetensors_read_f32(file, "f64", 2, out), ADELE_OK);
    assert_true(out[0] == 0.1f && out[1] == -3.0f);
    assert_int_equal(safetensors_read_f32(file, "u8", 3, out), ADELE_FORMAT);
    assert_int_equal(safetensors_read_f32(file, "f64", 3, out), ADELE_FORMAT);
    assert_non_null(strstr(adele_error_message(), "\"f64\" has 2 elements, expected 3"));
    assert_int_equal(safetensors_read_f32(file, "absent", 3, out), ADELE_FORMAT);
    safetensors_close(file);
}

static void test_the_writer_refuses(void **state) {
    (void)state;
    const int64_t negative = -1;
    const int64_t huge[2] = {INT64_MAX / 2, 3};
    struct safetensors_writer *w = NULL;
    assert_int_equal(safetensors_writer_create(&w), ADELE_OK);
    assert_int_equal(safetensors_writer_add(w, "a", SAFETENSORS_F32, 1, shape_1, f32_data), 0);
    adele_status statuses[] = {
        safetensors_writer_add(w, "a", SAFETENSORS_F32, 1, shape_1, f32_data),
        safetensors_writer_add(w, "", SAFETENSORS_F32, 1, shape_1, f32_data),
        safetensors_writer_add(w, "__metadata__", SAFETENSORS_F32, 1, shape_1, f32_data),
        safetensors_writer_add(w, "b", SAFETENSORS_F32, 9, shape_1, f32_data),
        safetensors_writer_add(w, "b", SAFETENSORS_F32, 1, &negative, f32_data),
        safetensors_writer_add(w, "b", SAFETENSORS_F32, 2, huge, f32_data),
        safetensors_writer_add(w, "b", (enum safetensors_dtype)99, 1, shape_1, f32_data),
        safetensors_writer_add(w, "b", SAFETENSORS_F32, 1, shape_1, NULL),
        safetensors_writer_metadata(w, "xxh3", "x"),
        safetensors_writer_metadata(w, "xxh3.a", "x"),
    };
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
        assert_int_equal(statuses[i], ADELE_INVALID_ARGUMENT);
    assert_int_equal(safetensors_writer_metadata(w, "k", "x"), ADELE_OK);
    assert_int_equal(safetensors_writer_metadata(w, "k", "y"), ADELE_INVALID_ARGUMENT);
    assert_int_equal(safetensors_writer_save(w, "/nonexistent/folder/a"), ADELE_IO);
    safetensors_writer_destroy(w);
    safetensors_writer_destroy(NULL);
}

static void test_every_allocation_may_fail(void **state) {
    const char *path = scratch_path(state, "a");
    long n = 0;
    for (; n < 1000; n++) {
        memory_fail_at(n);
        struct safetensors *file = NULL;
        adele_status status = write_example(path, false);
        if (status == ADELE_OK)
            status = safetensors_open(path, &file);
        safetensors_close(file);
        if (status == ADELE_OK)
            break;
        assert_int_equal(status, ADELE_NO_MEMORY);
    }
    memory_fail_at(-1);
    assert_in_range(n, 20, 200);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(test_round_trip),
        WITH_FOLDER(test_same_content_gives_the_same_bytes),
        WITH_FOLDER(test_every_flipped_bit_is_found),
        WITH_FOLDER(test_every_truncation_is_found),
        WITH_FOLDER(test_hostile_headers),
        WITH_FOLDER(test_hostile_header_length),
        WITH_FOLDER(test_files_of_other_programs),
        WITH_FOLDER(test_read_f32_of_each_type),
        cmocka_unit_test(test_the_writer_refuses),
        WITH_FOLDER(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
