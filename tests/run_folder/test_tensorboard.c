// SPDX-License-Identifier: MIT
// The event file is read back by the few lines of a reader that shares no code with the writer.
#include "run_folder/tensorboard.h"

#include "base/file.h"
#include "base/memory.h"
#include "run_folder/metrics.h"
#include "support/scratch.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

// ---- a reader -----------------------------------------------------------------------------------

struct scalar {
    char tag[64];
    float value;
};

struct event {
    double wall_time;
    int64_t step;
    char version[32];
    struct scalar scalars[8];
    int n_scalars;
};

// The CRC32C by a table of 256, where the writer goes bit by bit.
static uint32_t table_crc(const unsigned char *data, size_t n_bytes) {
    uint32_t table[256];
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t value = i;
        for (int k = 0; k < 8; k++)
            value = value % 2 == 1 ? value / 2 ^ 0x82F63B78u : value / 2;
        table[i] = value;
    }
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < n_bytes; i++)
        crc = table[(crc ^ data[i]) % 256] ^ crc / 256;
    return crc ^ 0xFFFFFFFFu;
}

static uint64_t read_number(const unsigned char *data, int n_bytes) {
    uint64_t value = 0;
    for (int i = n_bytes - 1; i >= 0; i--)
        value = value * 256 + data[i];
    return value;
}

static void assert_crc(const unsigned char *data, size_t n_bytes, const unsigned char *stored) {
    uint32_t crc = table_crc(data, n_bytes);
    uint32_t masked = (uint32_t)((uint64_t)crc * 131072u % 4294967296u) + crc / 32768u;
    assert_int_equal(masked + 0xA282EAD8u, read_number(stored, 4));
}

static uint64_t read_varint(const unsigned char **at) {
    uint64_t value = 0;
    int shift = 0;
    do {
        assert_true(shift < 64);
        value |= (uint64_t)(**at & 127) << shift;
        shift += 7;
    } while (*(*at)++ >= 128);
    return value;
}

static void copy_text(const unsigned char **at, char *out, size_t capacity) {
    size_t n = (size_t)read_varint(at);
    assert_true(n < capacity);
    memcpy(out, *at, n);
    out[n] = '\0';
    *at += n;
}

static void read_scalar(const unsigned char **at, struct scalar *out) {
    const unsigned char *end = *at;
    size_t n_bytes = (size_t)read_varint(&end);
    *at = end;
    end += n_bytes;
    while (*at < end) {
        uint64_t key = read_varint(at);
        if (key == (1 << 3 | 2)) {
            copy_text(at, out->tag, sizeof out->tag);
        } else {
            assert_int_equal(key, 2 << 3 | 5);
            uint32_t bits = (uint32_t)read_number(*at, 4);
            memcpy(&out->value, &bits, 4);
            *at += 4;
        }
    }
    assert_ptr_equal(*at, end);
}

static void read_summary(const unsigned char **at, struct event *out) {
    size_t n_bytes = (size_t)read_varint(at);
    const unsigned char *end = *at + n_bytes;
    while (*at < end) {
        assert_int_equal(read_varint(at), 1 << 3 | 2);
        assert_true(out->n_scalars < 8);
        read_scalar(at, &out->scalars[out->n_scalars++]);
    }
    assert_ptr_equal(*at, end);
}

static void read_event(const unsigned char *at, size_t n_bytes, struct event *out) {
    const unsigned char *end = at + n_bytes;
    *out = (struct event){0};
    while (at < end) {
        switch (read_varint(&at)) {
        case 1 << 3 | 1: {
            uint64_t bits = read_number(at, 8);
            memcpy(&out->wall_time, &bits, 8);
            at += 8;
            break;
        }
        case 2 << 3 | 0:
            out->step = (int64_t)read_varint(&at);
            break;
        case 3 << 3 | 2:
            copy_text(&at, out->version, sizeof out->version);
            break;
        case 5 << 3 | 2:
            read_summary(&at, out);
            break;
        default:
            fail_msg("unknown field");
        }
    }
    assert_ptr_equal(at, end);
}

static int read_events(const void *data, size_t n_bytes, struct event *events, int capacity) {
    const unsigned char *at = data;
    const unsigned char *end = at + n_bytes;
    int n = 0;
    while (at < end) {
        assert_true(end - at >= 16 && n < capacity);
        assert_crc(at, 8, at + 8);
        size_t length = (size_t)read_number(at, 8);
        assert_true(length <= (size_t)(end - at) - 16);
        assert_crc(at + 12, length, at + 12 + length);
        read_event(at + 12, length, &events[n++]);
        at += 16 + length;
    }
    return n;
}

// ---- tests --------------------------------------------------------------------------------------

// Known answers: the check value of CRC-32C, and the four of RFC 3720, appendix B.4.
static void test_crc_vectors(void **state) {
    (void)state;
    unsigned char bytes[32];
    assert_int_equal(tensorboard_crc32c("123456789", 9), 0xE3069283u);
    assert_int_equal(tensorboard_crc32c("", 0), 0u);
    memset(bytes, 0, 32);
    assert_int_equal(tensorboard_crc32c(bytes, 32), 0x8A9136AAu);
    memset(bytes, 0xFF, 32);
    assert_int_equal(tensorboard_crc32c(bytes, 32), 0x62A8AB43u);
    for (int i = 0; i < 32; i++)
        bytes[i] = (unsigned char)i;
    assert_int_equal(tensorboard_crc32c(bytes, 32), 0x46DD794Eu);
    for (int i = 0; i < 32; i++)
        bytes[i] = (unsigned char)(31 - i);
    assert_int_equal(tensorboard_crc32c(bytes, 32), 0x113FDB5Cu);
}

static void test_mask(void **state) {
    (void)state;
    assert_int_equal(tensorboard_mask(0), 0xA282EAD8u);
    assert_int_equal(tensorboard_mask(0x00008000u), 0xA282EAD9u); // bit 15 comes to bit 0
    assert_int_equal(tensorboard_mask(1), 0xA284EAD8u);           // and bit 0 to bit 17
}

static void test_version_record_is_literal(void **state) {
    (void)state;
    struct buffer file = {0};
    assert_int_equal(tensorboard_add_version(&file, 0.0), ADELE_OK);
    assert_int_equal(file.n_bytes, 12 + 24 + 4);
    assert_memory_equal(file.data, "\x18\0\0\0\0\0\0\0", 8);
    assert_memory_equal(file.data + 12,
                        "\x09\0\0\0\0\0\0\0\0\x1A\x0D"
                        "brain.Event:2",
                        24);
    buffer_deinit(&file);
}

static void test_scalars_come_back(void **state) {
    (void)state;
    static const double values[] = {0.1, -2.5, 1e300, -1e300, NAN, INFINITY, 1e-50, FLT_MAX};
    struct buffer summary = {0};
    struct buffer file = {0};
    for (int i = 0; i < 8; i++)
        assert_int_equal(tensorboard_add_scalar(&summary, i == 0 ? "train/loss" : "x", values[i]),
                         ADELE_OK);
    assert_int_equal(tensorboard_add_version(&file, 0.0), ADELE_OK);
    assert_int_equal(tensorboard_add_event(&file, 3.5, 1234567890123, &summary), ADELE_OK);
    struct event events[2];
    assert_int_equal(read_events(file.data, file.n_bytes, events, 2), 2);
    assert_string_equal(events[0].version, "brain.Event:2");
    assert_true(events[1].wall_time == 3.5);
    assert_int_equal(events[1].step, 1234567890123);
    assert_int_equal(events[1].n_scalars, 8);
    const struct scalar *scalars = events[1].scalars;
    assert_string_equal(scalars[0].tag, "train/loss");
    assert_true(scalars[0].value == 0.1f && scalars[1].value == -2.5f);
    assert_true(scalars[2].value == INFINITY && scalars[3].value == -INFINITY);
    assert_true(isnan(scalars[4].value) && isnan(scalars[5].value));
    assert_true(scalars[6].value == 0.0f && scalars[7].value == FLT_MAX);
    buffer_deinit(&summary);
    buffer_deinit(&file);
}

static void test_file_of_a_run(void **state) {
    struct metrics *metrics = NULL;
    double before = (double)time(NULL);
    assert_int_equal(metrics_open(*state, 0, &metrics), ADELE_OK);
    for (int epoch = 1; epoch <= 3; epoch++) {
        assert_int_equal(metrics_begin(metrics, epoch, 10L * epoch), ADELE_OK);
        assert_int_equal(metrics_add(metrics, 0.25 * epoch, "val/iou/%s", "heart"), ADELE_OK);
        assert_int_equal(metrics_end(metrics), ADELE_OK);
    }
    metrics_close(metrics);
    double after = (double)time(NULL) + 1.0;
    char *data = NULL;
    size_t n_bytes = 0;
    const char *path = scratch_path(state, "events.out.tfevents.0.adele");
    assert_int_equal(file_read(path, 0, &data, &n_bytes), ADELE_OK);
    struct event events[8];
    assert_int_equal(read_events(data, n_bytes, events, 8), 4);
    for (int epoch = 1; epoch <= 3; epoch++) {
        assert_int_equal(events[epoch].step, epoch);
        // When the epoch ended, as TensorBoard's other writers have it: between the two readings of
        // the clock around all of them.
        assert_true(events[epoch].wall_time >= before && events[epoch].wall_time <= after);
        assert_int_equal(events[epoch].n_scalars, 1);
        assert_string_equal(events[epoch].scalars[0].tag, "val/iou/heart");
        assert_true(events[epoch].scalars[0].value == 0.25f * (float)epoch);
    }
    memory_free(data);
}

// Whole records are found one by one; a changed byte anywhere in one, or an end that is missing, is
// the end.
static void test_records_are_read_back(void **state) {
    (void)state;
    struct buffer summary = {0}, file = {0};
    size_t at = 0, begin = 0, ends[3];
    int64_t step = -1;
    assert_int_equal(tensorboard_add_scalar(&summary, "x", 1.0), ADELE_OK);
    assert_int_equal(tensorboard_add_version(&file, 7.0), ADELE_OK);
    ends[0] = file.n_bytes;
    assert_int_equal(tensorboard_add_event(&file, 8.0, 5, &summary), ADELE_OK);
    ends[1] = file.n_bytes;
    assert_int_equal(tensorboard_add_event(&file, 9.0, 1234567890123, &summary), ADELE_OK);
    ends[2] = file.n_bytes;
    const int64_t steps[3] = {0, 5, 1234567890123};
    for (int i = 0; i < 3; i++) {
        assert_true(tensorboard_next_record(file.data, file.n_bytes, &at, &begin, &step));
        assert_int_equal(begin, i > 0 ? ends[i - 1] : 0);
        assert_int_equal(at, ends[i]);
        assert_int_equal(step, steps[i]);
    }
    assert_false(tensorboard_next_record(file.data, file.n_bytes, &at, &begin, &step));
    for (size_t n = ends[1]; n < ends[2]; n++) {
        at = ends[1];
        assert_false(tensorboard_next_record(file.data, n, &at, &begin, &step));
    }
    for (size_t i = ends[1]; i < ends[2]; i++) {
        file.data[i] = (char)(file.data[i] ^ 1);
        at = ends[1];
        assert_false(tensorboard_next_record(file.data, file.n_bytes, &at, &begin, &step));
        file.data[i] = (char)(file.data[i] ^ 1);
    }
    buffer_deinit(&summary);
    buffer_deinit(&file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc_vectors),
        cmocka_unit_test(test_mask),
        cmocka_unit_test(test_version_record_is_literal),
        cmocka_unit_test(test_scalars_come_back),
        cmocka_unit_test(test_records_are_read_back),
        cmocka_unit_test_setup_teardown(test_file_of_a_run, scratch_setup, scratch_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
