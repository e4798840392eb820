// SPDX-License-Identifier: MIT
#include "support/new_volume.h"

#include "base/fail.h"
#include "base/memory.h"
#include "image/byte_order.h"
#include "image/nifti_header.h"

#include <math.h>
#include <string.h>

// Offsets of NIfTI-1 fields.
enum {
    N1_DIM = 40,
    N1_PIXDIM = 76,
    N1_VOX_OFFSET = 108,
    N1_XYZT_UNITS = 123,
    N1_QFORM_CODE = 252,
    N1_SFORM_CODE = 254,
    N1_SROW = 280,
    N1_MAGIC = 344
};

#define EXTENDER_BYTES 4

// Little endian, type float32, both transforms scaled identities.
static void fill_new_header(unsigned char *bytes, const int extents[3], const float spacing[3]) {
    bytes_put(bytes, 4, false, NIFTI1_HEADER_BYTES);
    bytes_put(bytes + N1_DIM, 2, false, 3);
    for (int i = 0; i < 7; ++i)
        bytes_put(bytes + N1_DIM + 2 * (i + 1), 2, false, i < 3 ? (uint64_t)extents[i] : 1);
    bytes_put_f32(bytes + N1_PIXDIM, false, 1.0F); // handedness of the quaternion
    for (int i = 0; i < 3; ++i) {
        bytes_put_f32(bytes + N1_PIXDIM + 4 * (i + 1), false, spacing[i]);
        bytes_put_f32(bytes + N1_SROW + 16 * i + 4 * i, false, spacing[i]);
    }
    bytes_put_f32(bytes + N1_VOX_OFFSET, false, NIFTI1_HEADER_BYTES + EXTENDER_BYTES);
    bytes[N1_XYZT_UNITS] = 2; // mm
    bytes_put(bytes + N1_QFORM_CODE, 2, false, 1);
    bytes_put(bytes + N1_SFORM_CODE, 2, false, 1);
    memcpy(bytes + N1_MAGIC, "n+1\0", 4);
    nifti_header_set_datatype(bytes, 1, false, NIFTI_F32);
}

adele_status new_volume_init(struct nifti_volume *out, int nx, int ny, int nz,
                             const float spacing[3]) {
    memset(out, 0, sizeof *out);
    // NIfTI-1 counts voxels in 16 bits with a sign.
    if (nx < 1 || ny < 1 || nz < 1 || nx > INT16_MAX || ny > INT16_MAX || nz > INT16_MAX)
        return FAIL(ADELE_INVALID_ARGUMENT, "", "a volume of %d x %d x %d voxels: 1 to %d each", nx,
                    ny, nz, INT16_MAX);
    for (int i = 0; i < 3; ++i)
        if (!(spacing[i] > 0.0F) || !isfinite(spacing[i]))
            return FAIL(ADELE_INVALID_ARGUMENT, "", "voxels of %g x %g x %g mm", (double)spacing[0],
                        (double)spacing[1], (double)spacing[2]);
    size_t n_voxels = (size_t)nx * (size_t)ny * (size_t)nz;
    out->header_bytes = NIFTI1_HEADER_BYTES + EXTENDER_BYTES;
    struct nifti_header header = {.version = 1};
    adele_status status;
    out->header = memory_calloc(out->header_bytes, 1);
    TRY_GOTO(CHECK_MEMORY(out->header), fail);
    TRY_GOTO(ALLOCATE(&out->voxels, n_voxels), fail);
    fill_new_header(out->header, (const int[3]){nx, ny, nz}, spacing);
    TRY_GOTO(nifti_header_parse("a new volume", out->header, &header), fail);
    nifti_volume_describe(&header, out);
    return ADELE_OK;
fail:
    nifti_deinit(out);
    return status;
}

adele_status new_volume_save(const char *path, const struct nifti_volume *like,
                             const float *voxels) {
    struct nifti_volume volume = *like;
    bool is_big_endian = like->is_big_endian != 0;
    size_t n_voxels = (size_t)like->nx * (size_t)like->ny * (size_t)like->nz;
    OWNED unsigned char *header = NULL, *raw = NULL;
    TRY(ALLOCATE(&header, like->header_bytes));
    TRY(ALLOCATE(&raw, n_voxels * sizeof *voxels));
    memcpy(header, like->header, like->header_bytes);
    nifti_header_set_datatype(header, like->version, is_big_endian, NIFTI_F32);
    for (size_t i = 0; i < n_voxels; i++)
        bytes_put_f32(raw + i * sizeof *voxels, is_big_endian, voxels[i]);
    volume.header = header;
    volume.raw = raw;
    volume.value_bytes = sizeof *voxels;
    return nifti_save_raw(path, &volume);
}
