// SPDX-License-Identifier: MIT
// NIfTI volumes. The first byte says whether the others are the file, or what is compressed in it.
#include "fuzz.h"
#include "image/nifti.h"

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
    FUZZ_REQUIRE(nifti_save_floats(path, volume, volume->voxels) == ADELE_OK);
    FUZZ_REQUIRE(nifti_load(path, FUZZ_MEMORY_LIMIT, &again) == ADELE_OK);
    FUZZ_REQUIRE(again.nx == volume->nx && again.ny == volume->ny && again.nz == volume->nz);
    FUZZ_REQUIRE(memcmp(again.spacing, volume->spacing, sizeof again.spacing) == 0);
    for (size_t i = 0; i < n; i++) // NaN is not equal to itself
        FUZZ_REQUIRE(again.voxels[i] == volume->voxels[i] ||
                     volume->voxels[i] != volume->voxels[i]);
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
    int nx = 0, ny = 0, nz = 0;
    adele_status status = nifti_load(path, FUZZ_MEMORY_LIMIT, &volume);
    fuzz_check_status(status);
    adele_status probed = nifti_probe(path, &nx, &ny, &nz);
    fuzz_check_status(probed);
    if (status == ADELE_OK) {
        size_t n = (size_t)volume.nx * (size_t)volume.ny * (size_t)volume.nz;
        FUZZ_REQUIRE(n * sizeof(float) <= FUZZ_MEMORY_LIMIT);
        fuzz_touch(volume.voxels, n * sizeof(float));
        fuzz_touch(volume.header, volume.header_bytes);
        FUZZ_REQUIRE(probed == ADELE_OK && nx == volume.nx && ny == volume.ny && nz == volume.nz);
        if (n <= MAX_ROUND_TRIP)
            round_trip(&volume, is_packed);
    } else {
        FUZZ_REQUIRE(volume.voxels == NULL && volume.header == NULL);
    }
    nifti_deinit(&volume);
    free(packed);
    return 0;
}
