// SPDX-License-Identifier: MIT
// NIfTI volumes. The first byte says whether the others are the file, or what is compressed in it.
#include "fuzz.h"
#include "image/nifti.h"
#include "support/new_volume.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define MAX_ROUND_TRIP 4096 // voxels

static size_t pack(const uint8_t *data, size_t n_bytes, uint8_t *out, size_t n_room) {
    z_stream stream = {0};
    FUZZ_REQUIRE(deflateInit2(&stream, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    stream.next_in = (Bytef *)data;
    stream.avail_in = (uInt)n_bytes;
    stream.next_out = out;
    stream.avail_out = (uInt)n_room;
    FUZZ_REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    size_t n = stream.total_out;
    deflateEnd(&stream);
    return n;
}

// What was read can be written, and read again with the same values and geometry.
static void round_trip(const struct nifti_volume *volume, int is_packed) {
    struct nifti_volume again;
    char path[300];
    size_t n = (size_t)volume->nx * (size_t)volume->ny * (size_t)volume->nz;
    snprintf(path, sizeof path, "%s/volume.nii%s", fuzz_folder(), is_packed ? ".gz" : "");
    FUZZ_REQUIRE(new_volume_save(path, volume, volume->voxels) == ADELE_OK);
    FUZZ_REQUIRE(nifti_load(path, FUZZ_MEMORY_LIMIT, &again) == ADELE_OK);
    FUZZ_REQUIRE(again.nx == volume->nx && again.ny == volume->ny && again.nz == volume->nz);
    FUZZ_REQUIRE(memcmp(again.spacing, volume->spacing, sizeof again.spacing) == 0);
    for (size_t i = 0; i < n; i++) // NaN is not equal to itself
        FUZZ_REQUIRE(again.voxels[i] == volume->voxels[i] ||
                     volume->voxels[i] != volume->voxels[i]);
    nifti_deinit(&again);
}

// A volume lies where it lies, whatever its header says; and its voxels come back in their order.
static void check_geometry(const struct nifti_volume *volume) {
    const struct nifti_geometry *geometry = &volume->geometry;
    struct nifti_order order;
    char text[256];
    enum nifti_match match = nifti_geometry_match(geometry, geometry, &order, text, sizeof text);
    FUZZ_REQUIRE(match == NIFTI_SAME_PLACE && nifti_order_is_identity(&order));
    struct nifti_codes codes = nifti_geometry_codes(geometry);
    FUZZ_REQUIRE(nifti_codes_are_valid(codes.letters) == geometry->has_affine);
}

// The bytes of a file can be written as they are; a whole number that a voxel takes is read again.
static void round_trip_raw(const char *from, const struct nifti_volume *volume) {
    struct nifti_volume raw, again;
    char path[300], text[200];
    FUZZ_REQUIRE(nifti_load_raw(from, FUZZ_MEMORY_LIMIT, &raw) == ADELE_OK);
    size_t n = (size_t)raw.nx * (size_t)raw.ny * (size_t)raw.nz;
    for (size_t i = 0; i < n; i++) {
        float value = (float)nifti_raw_value(&raw, i);
        FUZZ_REQUIRE(value == volume->voxels[i] || value != value);
    }
    nifti_raw_text(&raw, n - 1, text, sizeof text);
    snprintf(path, sizeof path, "%s/raw.nii", fuzz_folder());
    bool is_set = nifti_raw_set(&raw, n - 1, 3);
    FUZZ_REQUIRE(!is_set || nifti_is_whole(nifti_raw_value(&raw, n - 1), 3.0));
    FUZZ_REQUIRE(nifti_save_raw(path, &raw) == ADELE_OK);
    FUZZ_REQUIRE(nifti_load_raw(path, FUZZ_MEMORY_LIMIT, &again) == ADELE_OK);
    FUZZ_REQUIRE(again.header_bytes == raw.header_bytes);
    FUZZ_REQUIRE(memcmp(again.header, raw.header, raw.header_bytes) == 0);
    FUZZ_REQUIRE(memcmp(again.raw, raw.raw, n * (size_t)raw.value_bytes) == 0);
    nifti_deinit(&raw);
    nifti_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    if (n_bytes < 1)
        return 0;
    int is_packed = data[0] & 1;
    data++;
    n_bytes--;
    uint8_t *packed = NULL;
    if (is_packed) {
        size_t n_room = n_bytes + n_bytes / 8 + 256;
        packed = malloc(n_room);
        FUZZ_REQUIRE(packed != NULL);
        n_bytes = pack(data, n_bytes, packed, n_room);
        data = packed;
    }
    const char *path = fuzz_file(0, data, n_bytes);
    struct nifti_volume volume;
    struct nifti_geometry geometry;
    adele_status status = nifti_load(path, FUZZ_MEMORY_LIMIT, &volume);
    fuzz_check_status(status);
    adele_status probed = nifti_probe_geometry(path, &geometry);
    fuzz_check_status(probed);
    if (status == ADELE_OK) {
        size_t n = (size_t)volume.nx * (size_t)volume.ny * (size_t)volume.nz;
        FUZZ_REQUIRE(n * sizeof(float) <= FUZZ_MEMORY_LIMIT);
        fuzz_touch(volume.voxels, n * sizeof(float));
        fuzz_touch(volume.header, volume.header_bytes);
        FUZZ_REQUIRE(probed == ADELE_OK && geometry.n[0] == volume.nx &&
                     geometry.n[1] == volume.ny && geometry.n[2] == volume.nz);
        check_geometry(&volume);
        if (n <= MAX_ROUND_TRIP) {
            round_trip(&volume, is_packed);
            round_trip_raw(path, &volume);
        }
    } else {
        FUZZ_REQUIRE(volume.voxels == NULL && volume.header == NULL);
    }
    nifti_deinit(&volume);
    free(packed);
    return 0;
}
