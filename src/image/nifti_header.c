// SPDX-License-Identifier: MIT
// The fields of NIfTI headers that matter here, by their offsets in the two versions of the format.
#include "image/nifti_header.h"
#include "base/fail.h"
#include "base/memory.h"
#include "image/byte_order.h"
#include "image/image.h"
#include "image/nifti.h"
#include <math.h>

static const struct nifti_field dim = {40, 16};
static const struct nifti_field intent_p = {56, 80};
static const struct nifti_field intent_code = {68, 504};
static const struct nifti_field datatype_field = {70, 12};
static const struct nifti_field bitpix = {72, 14};
static const struct nifti_field vox_offset = {108, 168};
static const struct nifti_field scl_slope = {112, 176};
static const struct nifti_field scl_inter = {116, 184};
static const struct nifti_field xyzt_units = {123, 500};
static const struct nifti_field cal_max = {124, 192};
static const struct nifti_field intent_name = {328, 508};
static const struct nifti_field magic_field = {344, 4};

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

static int place_of(struct nifti_field field, int version) {
    return version == 1 ? field.at_1 : field.at_2;
}

static adele_status check_magic(const char *path, const unsigned char *bytes, int version) {
    const unsigned char *magic = bytes + place_of(magic_field, version);
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
        return bytes_get_i16(bytes + dim.at_1 + 2 * i, header->is_big_endian);
    return bytes_get_i64(bytes + dim.at_2 + 8 * i, header->is_big_endian);
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
    int units = header->version == 1
                    ? bytes[xyzt_units.at_1]
                    : (int)bytes_get_i32(bytes + xyzt_units.at_2, header->is_big_endian);
    header->mm_per_unit = 1.0;
    if ((units & 7) == 1) // metres
        header->mm_per_unit = 1000.0;
    else if ((units & 7) == 3) // micrometres
        header->mm_per_unit = 0.001;
    for (int i = 0; i < 3; ++i) {
        double size = nifti_field_real(bytes, header, nifti_pixdim, i + 1);
        size = fabs(size) * header->mm_per_unit;
        header->spacing[i] = isfinite((float)size) && (float)size > 0.0F ? (float)size : 1.0F;
    }
}

static adele_status parse_offset(const char *path, const unsigned char *bytes,
                                 struct nifti_header *header) {
    bool is_big = header->is_big_endian;
    double offset = header->version == 1 ? (double)bytes_get_f32(bytes + vox_offset.at_1, is_big)
                                         : (double)bytes_get_i64(bytes + vox_offset.at_2, is_big);
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
    TRY(check_magic(path, bytes, header->version));
    TRY(parse_dimensions(path, bytes, header));
    header->datatype =
        bytes_get_i16(bytes + place_of(datatype_field, header->version), header->is_big_endian);
    header->value_bytes = nifti_datatype_bytes(header->datatype);
    if (header->value_bytes == 0)
        return FAIL(ADELE_UNSUPPORTED, "Convert the volume to one of these types.",
                    "%s: voxels of NIfTI data type %d; 2, 4, 8, 16, 64, 256, 512, 768, 1024 and "
                    "1280 (whole numbers, float, double) are read",
                    path, header->datatype);
    TRY(parse_offset(path, bytes, header));
    parse_spacing(bytes, header);
    header->slope = nifti_field_real(bytes, header, scl_slope, 0);
    header->intercept = nifti_field_real(bytes, header, scl_inter, 0);
    // The format: a slope of 0 means no scaling. Some writers leave NaN where nothing was set.
    if (!isfinite(header->slope))
        header->slope = 0.0;
    if (!isfinite(header->intercept))
        header->intercept = 0.0;
    return ADELE_OK;
}

static void put_real(unsigned char *at, int version, bool is_big_endian, double value) {
    if (version == 1)
        bytes_put_f32(at, is_big_endian, (float)value);
    else
        bytes_put_f64(at, is_big_endian, value);
}

void nifti_header_set_datatype(unsigned char *bytes, int version, bool is_big_endian,
                               enum nifti_datatype datatype) {
    const size_t real_bytes = version == 1 ? 4 : 8, code_bytes = real_bytes / 2;
    uint64_t bits = 8 * (uint64_t)nifti_datatype_bytes(datatype);
    bytes_put(bytes + place_of(datatype_field, version), 2, is_big_endian, datatype);
    bytes_put(bytes + place_of(bitpix, version), 2, is_big_endian, bits);
    put_real(bytes + place_of(scl_slope, version), version, is_big_endian, 1.0);
    put_real(bytes + place_of(scl_inter, version), version, is_big_endian, 0.0);
    memset(bytes + place_of(cal_max, version), 0, 2 * real_bytes); // and cal_min
    memset(bytes + place_of(intent_p, version), 0, 3 * real_bytes);
    memset(bytes + place_of(intent_code, version), 0, code_bytes);
    memset(bytes + place_of(intent_name, version), 0, INTENT_NAME_BYTES);
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
