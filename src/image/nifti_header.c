// SPDX-License-Identifier: MIT
// The fields of NIfTI headers that matter here, by their offsets in the two versions of the format.
#include "image/nifti_header.h"
#include "base/fail.h"
#include "base/memory.h"
#include "image/byte_order.h"
#include "image/image.h"
#include "image/nifti.h"
#include <math.h>

// Offsets of NIfTI-1 fields.
enum {
    N1_DIM = 40,
    N1_INTENT_P = 56,
    N1_INTENT_CODE = 68,
    N1_DATATYPE = 70,
    N1_BITPIX = 72,
    N1_PIXDIM = 76,
    N1_VOX_OFFSET = 108,
    N1_SCL_SLOPE = 112,
    N1_SCL_INTER = 116,
    N1_XYZT_UNITS = 123,
    N1_CAL_MAX = 124,
    N1_INTENT_NAME = 328,
    N1_MAGIC = 344
};

// Offsets of NIfTI-2 fields.
enum {
    N2_MAGIC = 4,
    N2_DATATYPE = 12,
    N2_BITPIX = 14,
    N2_DIM = 16,
    N2_INTENT_P = 80,
    N2_PIXDIM = 104,
    N2_VOX_OFFSET = 168,
    N2_SCL_SLOPE = 176,
    N2_SCL_INTER = 184,
    N2_CAL_MAX = 192,
    N2_XYZT_UNITS = 500,
    N2_INTENT_CODE = 504,
    N2_INTENT_NAME = 508
};

#define INTENT_NAME_BYTES 16
// A header is followed by four bytes, the first of which is not 0 where extensions follow.
#define EXTENDER_BYTES 4

static const char restore_hint[] = "Restore the file from its source.";

int nifti_datatype_bytes(int datatype) {
    switch (datatype) {
    case NIFTI_U8:
    case NIFTI_I8:
        return 1;
    case NIFTI_I16:
    case NIFTI_U16:
        return 2;
    case NIFTI_I32:
    case NIFTI_U32:
    case NIFTI_F32:
        return 4;
    case NIFTI_F64:
    case NIFTI_I64:
    case NIFTI_U64:
        return 8;
    default:
        return 0;
    }
}

adele_status nifti_header_detect(const char *path, const unsigned char start[4],
                                 struct nifti_header *out) {
    for (int is_big = 0; is_big < 2; ++is_big) {
        int32_t size = bytes_get_i32(start, is_big != 0);
        if (size != NIFTI1_HEADER_BYTES && size != NIFTI2_HEADER_BYTES)
            continue;
        *out = (struct nifti_header){.version = size == NIFTI1_HEADER_BYTES ? 1 : 2,
                                     .is_big_endian = is_big != 0};
        return ADELE_OK;
    }
    return FAIL(ADELE_FORMAT, "Convert the volume to NIfTI (.nii or .nii.gz).",
                "%s: no NIfTI file: its first bytes are %02x %02x %02x %02x", path, start[0],
                start[1], start[2], start[3]);
}

static adele_status check_magic(const char *path, const unsigned char *bytes, int version) {
    const unsigned char *magic = bytes + (version == 1 ? N1_MAGIC : N2_MAGIC);
    if (version == 1 && memcmp(magic, "n+1\0", 4) == 0)
        return ADELE_OK;
    if (version == 2 && memcmp(magic, "n+2\0\r\n\032\n", 8) == 0)
        return ADELE_OK;
    if (magic[0] == 'n' && magic[1] == 'i')
        return FAIL(ADELE_UNSUPPORTED, "Convert the pair to one .nii file.",
                    "%s: a NIfTI header whose voxels are in another file (.hdr/.img pair)", path);
    return FAIL(ADELE_FORMAT, "Convert the volume to NIfTI (.nii or .nii.gz).",
                "%s: no NIfTI file: the magic bytes are %02x %02x %02x %02x", path, magic[0],
                magic[1], magic[2], magic[3]);
}

static int64_t dimension(const unsigned char *bytes, const struct nifti_header *header, int i) {
    if (header->version == 1)
        return bytes_get_i16(bytes + N1_DIM + 2 * i, header->is_big_endian);
    return bytes_get_i64(bytes + N2_DIM + 8 * i, header->is_big_endian);
}

static adele_status parse_dimensions(const char *path, const unsigned char *bytes,
                                     struct nifti_header *header) {
    int64_t n_dimensions = dimension(bytes, header, 0);
    if (n_dimensions < 1 || n_dimensions > 7)
        return FAIL(ADELE_FORMAT, restore_hint, "%s: the header says %lld dimensions (1 to 7)",
                    path, (long long)n_dimensions);
    int extents[3] = {1, 1, 1};
    for (int i = 1; i <= n_dimensions; ++i) {
        int64_t extent = dimension(bytes, header, i);
        if (i > 3) {
            if (extent > 1)
                return FAIL(ADELE_DATA,
                            "Save each channel as a volume of three dimensions (NAME_0000.nii.gz, "
                            "NAME_0001.nii.gz, ..; in Python nibabel.four_to_three) and name them "
                            "in channel_names of dataset.json; of a series in time, save the "
                            "volumes to train on.",
                            "%s: dimension %d has %lld entries; volumes of up to three dimensions "
                            "are read",
                            path, i, (long long)extent);
            continue;
        }
        if (extent < 1)
            return FAIL(ADELE_FORMAT, restore_hint, "%s: dimension %d has %lld voxels", path, i,
                        (long long)extent);
        if (extent > IMAGE_MAX_EXTENT)
            return FAIL(ADELE_DATA, "Cut the volume into parts.",
                        "%s: dimension %d has %lld voxels, the largest accepted extent is %d", path,
                        i, (long long)extent, IMAGE_MAX_EXTENT);
        extents[i - 1] = (int)extent;
    }
    header->nx = extents[0];
    header->ny = extents[1];
    header->nz = extents[2];
    return ADELE_OK;
}

// Voxel sizes in mm. A size that is not a positive number (2-D files leave the third one 0) is 1.
static void parse_spacing(const unsigned char *bytes, struct nifti_header *header) {
    bool is_big = header->is_big_endian;
    int units = header->version == 1 ? bytes[N1_XYZT_UNITS]
                                     : (int)bytes_get_i32(bytes + N2_XYZT_UNITS, is_big);
    header->mm_per_unit = 1.0;
    if ((units & 7) == 1) // metres
        header->mm_per_unit = 1000.0;
    else if ((units & 7) == 3) // micrometres
        header->mm_per_unit = 0.001;
    for (int i = 0; i < 3; ++i) {
        double size = header->version == 1
                          ? (double)bytes_get_f32(bytes + N1_PIXDIM + 4 * (i + 1), is_big)
                          : bytes_get_f64(bytes + N2_PIXDIM + 8 * (i + 1), is_big);
        size = fabs(size) * header->mm_per_unit;
        header->spacing[i] = isfinite((float)size) && (float)size > 0.0F ? (float)size : 1.0F;
    }
}

static adele_status parse_offset(const char *path, const unsigned char *bytes,
                                 struct nifti_header *header) {
    bool is_big = header->is_big_endian;
    double offset = header->version == 1 ? (double)bytes_get_f32(bytes + N1_VOX_OFFSET, is_big)
                                         : (double)bytes_get_i64(bytes + N2_VOX_OFFSET, is_big);
    int header_bytes = header->version == 1 ? NIFTI1_HEADER_BYTES : NIFTI2_HEADER_BYTES;
    // The comparison also refuses NaN.
    if (!(offset >= header_bytes + EXTENDER_BYTES && offset < 9e15) || offset != floor(offset))
        return FAIL(ADELE_FORMAT, restore_hint,
                    "%s: the header says that the voxels start at byte %g; they can start at %d",
                    path, offset, header_bytes + EXTENDER_BYTES);
    header->voxel_offset = (uint64_t)offset;
    return ADELE_OK;
}

adele_status nifti_header_parse(const char *path, const unsigned char *bytes,
                                struct nifti_header *header) {
    bool is_first = header->version == 1, is_big = header->is_big_endian;
    TRY(check_magic(path, bytes, header->version));
    TRY(parse_dimensions(path, bytes, header));
    header->datatype = bytes_get_i16(bytes + (is_first ? N1_DATATYPE : N2_DATATYPE), is_big);
    header->value_bytes = nifti_datatype_bytes(header->datatype);
    if (header->value_bytes == 0)
        return FAIL(ADELE_UNSUPPORTED, "Convert the volume to one of these types.",
                    "%s: voxels of NIfTI data type %d; 2, 4, 8, 16, 64, 256, 512, 768, 1024 and "
                    "1280 (whole numbers, float, double) are read",
                    path, header->datatype);
    TRY(parse_offset(path, bytes, header));
    parse_spacing(bytes, header);
    if (is_first) {
        header->slope = (double)bytes_get_f32(bytes + N1_SCL_SLOPE, is_big);
        header->intercept = (double)bytes_get_f32(bytes + N1_SCL_INTER, is_big);
    } else {
        header->slope = bytes_get_f64(bytes + N2_SCL_SLOPE, is_big);
        header->intercept = bytes_get_f64(bytes + N2_SCL_INTER, is_big);
    }
    // The format: a slope of 0 means no scaling. Some writers leave NaN where nothing was set.
    if (!isfinite(header->slope))
        header->slope = 0.0;
    if (!isfinite(header->intercept))
        header->intercept = 0.0;
    return ADELE_OK;
}

void nifti_header_set_datatype(unsigned char *bytes, int version, bool is_big_endian,
                               enum nifti_datatype datatype) {
    uint64_t bits = 8 * (uint64_t)nifti_datatype_bytes(datatype);
    if (version == 1) {
        bytes_put(bytes + N1_DATATYPE, 2, is_big_endian, datatype);
        bytes_put(bytes + N1_BITPIX, 2, is_big_endian, bits);
        bytes_put_f32(bytes + N1_SCL_SLOPE, is_big_endian, 1.0F);
        bytes_put_f32(bytes + N1_SCL_INTER, is_big_endian, 0.0F);
        memset(bytes + N1_CAL_MAX, 0, 8);
        memset(bytes + N1_INTENT_P, 0, 12);
        memset(bytes + N1_INTENT_CODE, 0, 2);
        memset(bytes + N1_INTENT_NAME, 0, INTENT_NAME_BYTES);
        return;
    }
    bytes_put(bytes + N2_DATATYPE, 2, is_big_endian, datatype);
    bytes_put(bytes + N2_BITPIX, 2, is_big_endian, bits);
    bytes_put_f64(bytes + N2_SCL_SLOPE, is_big_endian, 1.0);
    bytes_put_f64(bytes + N2_SCL_INTER, is_big_endian, 0.0);
    memset(bytes + N2_CAL_MAX, 0, 16);
    memset(bytes + N2_INTENT_P, 0, 24);
    memset(bytes + N2_INTENT_CODE, 0, 4);
    memset(bytes + N2_INTENT_NAME, 0, INTENT_NAME_BYTES);
}

void nifti_deinit(struct nifti_volume *volume) {
    if (volume == NULL)
        return;
    memory_free(volume->voxels);
    memory_free(volume->raw);
    memory_free(volume->header);
    memset(volume, 0, sizeof *volume);
}

void nifti_volume_describe(const struct nifti_header *header, struct nifti_volume *out) {
    out->nx = header->nx;
    out->ny = header->ny;
    out->nz = header->nz;
    memcpy(out->spacing, header->spacing, sizeof out->spacing);
    out->is_big_endian = header->is_big_endian;
    out->version = header->version;
    out->datatype = header->datatype;
    out->value_bytes = header->value_bytes;
    out->slope = header->slope;
    out->intercept = header->intercept;
    nifti_geometry_read(out->header, header, &out->geometry);
}
