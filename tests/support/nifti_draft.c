// SPDX-License-Identifier: MIT
#include "support/nifti_draft.h"

#include "base/file.h"
#include "image/byte_order.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

void nifti_draft_set_dimension(struct nifti_draft *draft, int i, int64_t extent) {
    if (draft->version == 1)
        bytes_put(draft->bytes + 40 + 2 * i, 2, draft->is_big, (uint64_t)extent);
    else
        bytes_put(draft->bytes + 16 + 8 * i, 8, draft->is_big, (uint64_t)extent);
}

void nifti_draft_set_real(struct nifti_draft *draft, int at_1, int at_2, double value) {
    if (draft->version == 1)
        bytes_put_f32(draft->bytes + at_1, draft->is_big, (float)value);
    else
        bytes_put_f64(draft->bytes + at_2, draft->is_big, value);
}

void nifti_draft_set_size(struct nifti_draft *draft, int i, double mm) {
    nifti_draft_set_real(draft, 76 + 4 * (i + 1), 104 + 8 * (i + 1), mm);
}

void nifti_draft_set_slope(struct nifti_draft *draft, double slope, double intercept) {
    nifti_draft_set_real(draft, 112, 176, slope);
    nifti_draft_set_real(draft, 116, 184, intercept);
}

void nifti_draft_set_offset(struct nifti_draft *draft, double offset) {
    if (draft->version == 1)
        bytes_put_f32(draft->bytes + 108, draft->is_big, (float)offset);
    else
        bytes_put(draft->bytes + 168, 8, draft->is_big, (uint64_t)offset);
}

void nifti_draft_set_datatype(struct nifti_draft *draft, int datatype) {
    bytes_put(draft->bytes + (draft->version == 1 ? 70 : 12), 2, draft->is_big, (uint64_t)datatype);
}

struct nifti_draft nifti_draft_begin(int version, bool is_big) {
    struct nifti_draft draft = {.version = version, .is_big = is_big};
    size_t header = version == 1 ? 348 : 540;
    bytes_put(draft.bytes, 4, is_big, header);
    if (version == 1)
        memcpy(draft.bytes + 344, "n+1\0", 4);
    else
        memcpy(draft.bytes + 4, "n+2\0\r\n\032\n", 8);
    nifti_draft_set_dimension(&draft, 0, 3);
    for (int i = 1; i < 8; ++i)
        nifti_draft_set_dimension(&draft, i, i == 1 ? 3 : i < 4 ? 2 : 1);
    for (int i = 0; i < 3; ++i)
        nifti_draft_set_size(&draft, i, 1.5 + 0.5 * i);
    nifti_draft_set_datatype(&draft, 4);
    nifti_draft_set_offset(&draft, (double)header + 4);
    nifti_draft_set_real(&draft, 56, 80, 7.0);   // intent_p1
    nifti_draft_set_real(&draft, 124, 192, 9.0); // cal_max
    bytes_put(draft.bytes + (version == 1 ? 68 : 504), version == 1 ? 2 : 4, is_big, 1002);
    memcpy(draft.bytes + (version == 1 ? 328 : 508), "labels", 6);
    memcpy(draft.bytes + (version == 1 ? 148 : 240), "a description", 13);
    draft.n = header + 4;
    return draft;
}

void nifti_draft_add_i16(struct nifti_draft *draft, int n) {
    for (int i = 0; i < n; ++i, draft->n += 2)
        bytes_put(draft->bytes + draft->n, 2, draft->is_big, (uint64_t)(int64_t)(i * 100 - 500));
}

const char *nifti_draft_store(void *const *state, const struct nifti_draft *draft) {
    const char *path = scratch_path(state, "volume.nii");
    assert_int_equal(file_write(path, draft->bytes, draft->n), ADELE_OK);
    return path;
}

const char *nifti_draft_store_packed(void *const *state, const struct nifti_draft *draft) {
    const char *path = scratch_path(state, "packed.nii.gz");
    gzFile gz = gzopen(path, "wb");
    assert_non_null(gz);
    assert_int_equal(gzwrite(gz, draft->bytes, (unsigned)draft->n), (int)draft->n);
    assert_int_equal(gzclose(gz), Z_OK);
    return path;
}
