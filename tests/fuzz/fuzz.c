// SPDX-License-Identifier: MIT
#define _GNU_SOURCE // memfd_create
#include "fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define N_SLOTS 4

void fuzz_require(int is_true, const char *text) {
    if (is_true)
        return;
    fprintf(stderr, "fuzz: not so: %s (last message: %s)\n", text, adele_error_message());
    abort();
}

static void write_all(int fd, const void *data, size_t n_bytes) {
    FUZZ_REQUIRE(ftruncate(fd, 0) == 0);
    FUZZ_REQUIRE(pwrite(fd, data, n_bytes, 0) == (ssize_t)n_bytes);
}

const char *fuzz_file(int i_slot, const void *data, size_t n_bytes) {
    static int fds[N_SLOTS];
    static char paths[N_SLOTS][64];
    if (fds[i_slot] == 0) {
        fds[i_slot] = memfd_create("fuzz", MFD_CLOEXEC);
        FUZZ_REQUIRE(fds[i_slot] > 0);
        snprintf(paths[i_slot], sizeof paths[i_slot], "/proc/self/fd/%d", fds[i_slot]);
    }
    write_all(fds[i_slot], data, n_bytes);
    return paths[i_slot];
}

const char *fuzz_folder(void) {
    static char folder[256];
    if (folder[0] != '\0')
        return folder;
    const char *parent = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/fuzz.XXXXXX", parent != NULL ? parent : "/tmp");
    FUZZ_REQUIRE(mkdtemp(folder) != NULL);
    return folder;
}

void fuzz_store(const char *name, const void *data, size_t n_bytes) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", fuzz_folder(), name);
    for (char *slash = path + strlen(fuzz_folder()) + 1; (slash = strchr(slash, '/')) != NULL;) {
        *slash = '\0';
        (void)mkdir(path, 0700);
        *slash++ = '/';
    }
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    FUZZ_REQUIRE(fd >= 0);
    write_all(fd, data, n_bytes);
    close(fd);
}

void fuzz_check_status(adele_status status) {
    if (status == ADELE_OK)
        return;
    const char *message = adele_error_message();
    FUZZ_REQUIRE(message[0] != '\0');
    for (; *message != '\0'; message++)
        FUZZ_REQUIRE((unsigned char)*message >= ' ' && *message != 0x7f);
}

void fuzz_touch(const void *data, size_t n_bytes) {
    static volatile unsigned char sink;
    const unsigned char *bytes = data;
    unsigned char sum = 0;
    for (size_t i = 0; i < n_bytes; i++)
        sum ^= bytes[i];
    sink = sum;
    (void)sink;
}

void fuzz_rows(const char *path, adele_status loaded, const struct image *image) {
    struct image_rows *rows = NULL;
    adele_status status = image_rows_open(path, &rows);
    fuzz_check_status(status);
    FUZZ_REQUIRE(status == ADELE_OK || rows == NULL);
    if (rows == NULL)
        return;
    const struct image *header = image_rows_describe(rows);
    size_t row_bytes = image_row_bytes(header);
    FUZZ_REQUIRE(loaded != ADELE_OK ||
                 (header->width == image->width && header->height == image->height &&
                  header->n_channels == image->n_channels && header->n_bits == image->n_bits));
    unsigned char *row = malloc(row_bytes);
    FUZZ_REQUIRE(row != NULL);
    for (int y = 0; y < header->height && status == ADELE_OK; y++) {
        status = image_rows_read(rows, 1, row);
        if (status == ADELE_OK)
            fuzz_touch(row, row_bytes);
        FUZZ_REQUIRE(status != ADELE_OK || loaded != ADELE_OK ||
                     memcmp(row, (char *)image->pixels + (size_t)y * row_bytes, row_bytes) == 0);
    }
    fuzz_check_status(status);
    FUZZ_REQUIRE(loaded != ADELE_OK || status == ADELE_OK);
    free(row);
    image_rows_close(rows);
}

void fuzz_codec(const struct fuzz_codec *codec, const uint8_t *data, size_t n_bytes) {
    const char *path = fuzz_file(0, data, n_bytes);
    struct image image;
    struct image_traits traits = {0};
    int width = 0, height = 0;
    adele_status probed = codec->probe(path, &width, &height);
    fuzz_check_status(probed);
    bool has_traits = codec->traits(path, &traits);
    for (int keep_values = 0; keep_values < 2; keep_values++) {
        adele_status status = codec->load(path, keep_values != 0, FUZZ_MEMORY_LIMIT, &image);
        fuzz_check_status(status);
        if (status == ADELE_OK) {
            fuzz_touch(image.pixels, (size_t)image.width * (size_t)image.height *
                                         (size_t)image.n_channels * (size_t)(image.n_bits / 8));
            FUZZ_REQUIRE(probed == ADELE_OK && width == image.width && height == image.height);
            FUZZ_REQUIRE(has_traits && traits.n_bits == image.n_bits);
            FUZZ_REQUIRE(keep_values || traits.n_channels == image.n_channels);
        }
        if (keep_values == 0)
            fuzz_rows(path, status, &image);
        image_deinit(&image);
    }
    adele_status status = image_load_label(path, FUZZ_MEMORY_LIMIT, &image);
    fuzz_check_status(status);
    FUZZ_REQUIRE(status == ADELE_OK || image.pixels == NULL);
    image_deinit(&image);
}
