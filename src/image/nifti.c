// SPDX-License-Identifier: MIT
// Reading NIfTI volumes, plain or compressed.
// No number in the file is trusted before there are bytes for it: extents are compared with the
// file's size, and the memory of header and voxels grows chunk by chunk as data is read.
#include "image/nifti.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "image/byte_order.h"
#include "image/codec.h"
#include "image/nifti_header.h"
#include <errno.h>
#include <zlib.h>

#define CHUNK_BYTES 65536
// deflate shrinks at most by 1032.
#define MAX_RATIO 1032
// Header with extensions; tools put a few kilobytes of text there.
#define MAX_HEADER_BYTES ((uint64_t)64 << 20)
// Bytes after the last voxel are skipped. They are read nevertheless, because the checksum is at
// the end of the gzip stream.
#define MAX_TRAILING_BYTES ((uint64_t)1 << 20)

struct volume_reader {
    const char *path;
    gzFile gz;
    uint64_t file_bytes;
    uint64_t position; // in the unpacked stream
    struct nifti_header header;
    unsigned char *chunk; // CHUNK_BYTES
};

static adele_status fail_truncated(const struct volume_reader *reader, const char *what) {
    return FAIL(ADELE_FORMAT, "Restore the file from its source.",
                "%s: truncated NIfTI file: it ends at byte %llu, within %s", reader->path,
                (unsigned long long)reader->position, what);
}

// Up to `bytes` (at most CHUNK_BYTES); fewer only at the end of the file.
static adele_status read_some(struct volume_reader *reader, void *out, size_t bytes,
                              size_t *n_read) {
    int n = gzread(reader->gz, out, (unsigned)bytes);
    int code = Z_OK;
    const char *message = gzerror(reader->gz, &code);
    // Z_BUF_ERROR is an unexpected end of the file, for which the caller has a better message.
    if (n < 0 || (code != Z_OK && code != Z_BUF_ERROR)) {
        if (code == Z_ERRNO)
            return FAIL(ADELE_IO, file_hint(errno), "cannot read %s: %s", reader->path,
                        strerror(errno));
        if (code == Z_MEM_ERROR)
            return CHECK_MEMORY(NULL);
        if (code != Z_BUF_ERROR)
            return FAIL(ADELE_FORMAT, "Restore the file from its source.",
                        "%s: damaged gzip data near byte %llu: %s", reader->path,
                        (unsigned long long)reader->position, message);
        n = 0;
    }
    *n_read = (size_t)n;
    reader->position += (uint64_t)n;
    return ADELE_OK;
}

static adele_status read_all(struct volume_reader *reader, void *out, size_t bytes,
                             const char *what) {
    size_t n_read = 0;
    TRY(read_some(reader, out, bytes, &n_read));
    return n_read == bytes ? ADELE_OK : fail_truncated(reader, what);
}

static void reader_deinit(struct volume_reader *reader) {
    if (reader->gz != NULL)
        gzclose_r(reader->gz);
    memory_free(reader->chunk);
}

// Opens the file and parses its header, whose bytes stay in the chunk. The caller deinits the
// reader, also after a failure.
static adele_status reader_init(struct volume_reader *reader, const char *path) {
    *reader = (struct volume_reader){.path = path};
    TRY(image_file_bytes(path, &reader->file_bytes));
    reader->chunk = memory_calloc(CHUNK_BYTES, 1);
    TRY(CHECK_MEMORY(reader->chunk));
    errno = 0;
    reader->gz = gzopen(path, "rb");
    if (reader->gz == NULL)
        return FAIL(errno == 0 ? ADELE_NO_MEMORY : ADELE_IO, file_hint(errno == 0 ? ENOMEM : errno),
                    "cannot open %s: %s", path, strerror(errno == 0 ? ENOMEM : errno));
    TRY(read_all(reader, reader->chunk, NIFTI1_HEADER_BYTES, "the header"));
    TRY(nifti_header_detect(path, reader->chunk, &reader->header));
    if (reader->header.version == 2)
        TRY(read_all(reader, reader->chunk + NIFTI1_HEADER_BYTES,
                     NIFTI2_HEADER_BYTES - NIFTI1_HEADER_BYTES, "the header"));
    return nifti_header_parse(path, reader->chunk, &reader->header);
}

static uint64_t voxel_count(const struct nifti_header *header) {
    return (uint64_t)header->nx * (uint64_t)header->ny * (uint64_t)header->nz;
}

static adele_status check_claim(const struct volume_reader *reader, size_t memory_limit,
                                bool is_raw) {
    const struct nifti_header *header = &reader->header;
    uint64_t n_voxels = voxel_count(header), voxel_bytes = sizeof(float);
    if (is_raw && header->value_bytes > (int)sizeof(float))
        voxel_bytes = (uint64_t)header->value_bytes;
    if (n_voxels > SIZE_MAX / voxel_bytes ||
        (memory_limit > 0 && n_voxels * voxel_bytes > memory_limit))
        return FAIL(ADELE_DATA, "Cut the volume into parts or raise the limit.",
                    "%s: %d x %d x %d voxels take %llu bytes, the limit is %zu", reader->path,
                    header->nx, header->ny, header->nz,
                    (unsigned long long)(n_voxels * voxel_bytes), memory_limit);
    uint64_t most = gzdirect(reader->gz) ? reader->file_bytes : reader->file_bytes * MAX_RATIO;
    uint64_t claimed = header->voxel_offset + n_voxels * (uint64_t)header->value_bytes;
    if (claimed > most)
        return FAIL(ADELE_FORMAT, "Restore the file from its source.",
                    "%s: truncated NIfTI file: %llu bytes cannot hold %d x %d x %d voxels of %d "
                    "bytes behind byte %llu",
                    reader->path, (unsigned long long)reader->file_bytes, header->nx, header->ny,
                    header->nz, header->value_bytes, (unsigned long long)header->voxel_offset);
    if (header->voxel_offset > MAX_HEADER_BYTES)
        return FAIL(ADELE_FORMAT, "Restore the file from its source.",
                    "%s: the header says that the voxels start at byte %llu; at most %llu bytes of "
                    "extensions are read",
                    reader->path, (unsigned long long)header->voxel_offset,
                    (unsigned long long)MAX_HEADER_BYTES);
    return ADELE_OK;
}

// The header's bytes are in the chunk; what lies between them and the first voxel follows.
static adele_status read_header_bytes(struct volume_reader *reader, struct nifti_volume *out) {
    size_t have = (size_t)reader->position;
    size_t want = (size_t)reader->header.voxel_offset;
    out->header = memory_calloc(have, 1);
    TRY(CHECK_MEMORY(out->header));
    memcpy(out->header, reader->chunk, have);
    while (have < want) {
        size_t step = want - have < CHUNK_BYTES ? want - have : CHUNK_BYTES;
        TRY(read_all(reader, reader->chunk, step, "the header extensions"));
        unsigned char *grown = memory_realloc(out->header, have + step, 1);
        TRY(CHECK_MEMORY(grown));
        out->header = grown;
        memcpy(out->header + have, reader->chunk, step);
        have += step;
    }
    out->header_bytes = have;
    return ADELE_OK;
}

static void convert(const struct nifti_header *header, const unsigned char *raw, size_t n_voxels,
                    float *out) {
    bool is_scaled = header->slope != 0.0;
    for (size_t i = 0; i < n_voxels; ++i) {
        double value = nifti_stored_value(raw + i * (size_t)header->value_bytes, header->datatype,
                                          header->is_big_endian);
        out[i] = (float)(is_scaled ? value * header->slope + header->intercept : value);
    }
}

// Floats, or the file's own bytes.
static adele_status read_voxels(struct volume_reader *reader, bool is_raw,
                                struct nifti_volume *out) {
    const struct nifti_header *header = &reader->header;
    size_t n_voxels = (size_t)voxel_count(header), value_bytes = (size_t)header->value_bytes;
    size_t per_chunk = CHUNK_BYTES / value_bytes;
    size_t n_room = 0, bytes = is_raw ? value_bytes : sizeof(float);
    for (size_t done = 0; done < n_voxels;) {
        size_t n = n_voxels - done < per_chunk ? n_voxels - done : per_chunk;
        TRY(read_all(reader, reader->chunk, n * value_bytes, "the voxels"));
        if (done + n > n_room) {
            n_room = n_room > n_voxels / 2 ? n_voxels : 2 * n_room;
            n_room = n_room < done + n ? done + n : n_room;
            void *grown = memory_realloc(is_raw ? (void *)out->raw : out->voxels, n_room, bytes);
            TRY(CHECK_MEMORY(grown));
            if (is_raw)
                out->raw = grown;
            else
                out->voxels = grown;
        }
        if (is_raw)
            memcpy(out->raw + done * bytes, reader->chunk, n * bytes);
        else
            convert(header, reader->chunk, n, out->voxels + done);
        done += n;
    }
    return ADELE_OK;
}

// Only at the end of a gzip stream does its checksum show whether the data was right.
static adele_status read_to_end(struct volume_reader *reader) {
    for (uint64_t n_trailing = 0; n_trailing <= MAX_TRAILING_BYTES;) {
        size_t n_read = 0;
        TRY(read_some(reader, reader->chunk, CHUNK_BYTES, &n_read));
        int code = Z_OK;
        (void)gzerror(reader->gz, &code);
        if (code == Z_BUF_ERROR)
            return fail_truncated(reader, "the end of the gzip data");
        if (n_read == 0)
            return ADELE_OK;
        n_trailing += n_read;
    }
    return FAIL(ADELE_FORMAT, "Restore the file from its source.",
                "%s: more than %llu bytes follow the last voxel", reader->path,
                (unsigned long long)MAX_TRAILING_BYTES);
}

static adele_status load(const char *path, size_t memory_limit, bool is_raw,
                         struct nifti_volume *out) {
    CLEANUP(reader_deinit) struct volume_reader reader = {0};
    CLEANUP(nifti_deinit) struct nifti_volume volume = {0};
    memset(out, 0, sizeof *out);
    TRY(reader_init(&reader, path));
    TRY(check_claim(&reader, memory_limit, is_raw));
    TRY(read_header_bytes(&reader, &volume));
    TRY(read_voxels(&reader, is_raw, &volume));
    TRY(read_to_end(&reader));
    nifti_volume_describe(&reader.header, &volume);
    *out = volume;
    volume = (struct nifti_volume){0};
    return ADELE_OK;
}

adele_status nifti_load(const char *path, size_t memory_limit, struct nifti_volume *out) {
    return load(path, memory_limit, false, out);
}

adele_status nifti_load_raw(const char *path, size_t memory_limit, struct nifti_volume *out) {
    return load(path, memory_limit, true, out);
}

adele_status nifti_probe_geometry(const char *path, struct nifti_geometry *out) {
    CLEANUP(reader_deinit) struct volume_reader reader = {0};
    TRY(reader_init(&reader, path));
    nifti_geometry_read(reader.chunk, &reader.header, out);
    return ADELE_OK;
}
