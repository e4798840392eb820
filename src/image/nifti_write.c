// SPDX-License-Identifier: MIT
// Writing NIfTI volumes with the header of the volume they come from. zlib is used through its
// stream interface, because gzopen cannot write to a file that appears whole or not at all; the
// gzip header it makes carries no name and no time, so same voxels give same bytes.
#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "image/byte_order.h"
#include "image/nifti.h"
#include "image/nifti_header.h"
#include <zlib.h>

#define CHUNK_BYTES  65536
#define CHUNK_FLOATS 16384
// windowBits: the largest window, and 16 for the gzip wrapping.
#define GZIP_WINDOW_BITS  (15 + 16)
#define ZLIB_MEMORY_LEVEL 8

struct volume_writer {
    const char *path;
    struct file_writer *file;
    bool is_packed;
    z_stream stream;
    unsigned char *packed; // CHUNK_BYTES
};

static voidpf on_malloc(voidpf context, uInt count, uInt size) {
    (void)context;
    return memory_calloc(count, size);
}

static void on_free(voidpf context, voidpf block) {
    (void)context;
    memory_free(block);
}

static adele_status writer_init(struct volume_writer *writer, const char *path) {
    *writer = (struct volume_writer){.path = path};
    if (file_has_suffix(path, ".gz")) {
        writer->packed = memory_calloc(CHUNK_BYTES, 1);
        if (writer->packed == NULL)
            return FAIL_NO_MEMORY(CHUNK_BYTES);
        writer->stream.zalloc = on_malloc;
        writer->stream.zfree = on_free;
        if (deflateInit2(&writer->stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW_BITS,
                         ZLIB_MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
            return FAIL(ADELE_NO_MEMORY, "Close other programs.",
                        "%s: no memory to start the compression", path);
        writer->is_packed = true;
    }
    return file_writer_begin(path, &writer->file);
}

static void writer_deinit(struct volume_writer *writer) {
    if (writer->is_packed)
        deflateEnd(&writer->stream);
    memory_free(writer->packed);
    file_writer_abandon(writer->file);
}

// `bytes` is at most a chunk or a header; zlib counts in 32 bits.
static adele_status put(struct volume_writer *writer, const void *data, size_t bytes,
                        bool is_last) {
    if (!writer->is_packed)
        return file_writer_write(writer->file, data, bytes);
    writer->stream.next_in = (z_const Bytef *)data;
    writer->stream.avail_in = (uInt)bytes;
    do {
        writer->stream.next_out = writer->packed;
        writer->stream.avail_out = CHUNK_BYTES;
        // Fails only on a broken stream structure, and then the count of bytes below is 0.
        (void)deflate(&writer->stream, is_last ? Z_FINISH : Z_NO_FLUSH);
        TRY(file_writer_write(writer->file, writer->packed,
                              CHUNK_BYTES - (size_t)writer->stream.avail_out));
    } while (writer->stream.avail_out == 0);
    return ADELE_OK;
}

static adele_status put_header(struct volume_writer *writer, const struct nifti_volume *like,
                               enum nifti_datatype datatype) {
    unsigned char *header = memory_calloc(like->header_bytes, 1);
    if (header == NULL)
        return FAIL_NO_MEMORY(like->header_bytes);
    memcpy(header, like->header, like->header_bytes);
    nifti_header_set_datatype(header, like->version, like->is_big_endian != 0, datatype);
    adele_status status = put(writer, header, like->header_bytes, false);
    memory_free(header);
    return status;
}

static adele_status put_labels(struct volume_writer *writer, const uint8_t *labels,
                               size_t n_voxels) {
    for (size_t done = 0; done < n_voxels;) {
        size_t n = n_voxels - done < CHUNK_BYTES ? n_voxels - done : CHUNK_BYTES;
        TRY(put(writer, labels + done, n, done + n == n_voxels));
        done += n;
    }
    return ADELE_OK;
}

// `chunk` is work space for n floats.
static adele_status put_float_chunk(struct volume_writer *writer, const float *voxels, size_t n,
                                    bool is_big_endian, bool is_last, unsigned char *chunk) {
    for (size_t i = 0; i < n; ++i)
        bytes_put_f32(chunk + i * sizeof(float), is_big_endian, voxels[i]);
    return put(writer, chunk, n * sizeof(float), is_last);
}

static adele_status put_floats(struct volume_writer *writer, const float *voxels, size_t n_voxels,
                               bool is_big_endian) {
    unsigned char *chunk = memory_calloc(CHUNK_FLOATS, sizeof(float));
    if (chunk == NULL)
        return FAIL_NO_MEMORY(CHUNK_BYTES);
    adele_status status = ADELE_OK;
    for (size_t done = 0; done < n_voxels && status == ADELE_OK;) {
        size_t n = n_voxels - done < CHUNK_FLOATS ? n_voxels - done : CHUNK_FLOATS;
        status =
            put_float_chunk(writer, voxels + done, n, is_big_endian, done + n == n_voxels, chunk);
        done += n;
    }
    memory_free(chunk);
    return status;
}

// Exactly one of `labels` and `floats` is given.
static adele_status save(const char *path, const struct nifti_volume *like, const uint8_t *labels,
                         const float *floats) {
    size_t least = like->version == 2 ? NIFTI2_HEADER_BYTES : NIFTI1_HEADER_BYTES;
    if (like->header == NULL || like->header_bytes < least || like->nx < 1 || like->ny < 1 ||
        like->nz < 1)
        return FAIL(ADELE_INVALID_ARGUMENT, "",
                    "%s: no geometry to write: %d x %d x %d voxels, a header of %zu bytes", path,
                    like->nx, like->ny, like->nz, like->header_bytes);
    size_t n_voxels = (size_t)like->nx * (size_t)like->ny * (size_t)like->nz;
    adele_status status = ADELE_OK;
    struct volume_writer writer;
    TRY_GOTO(writer_init(&writer, path), done);
    TRY_GOTO(put_header(&writer, like, labels != NULL ? NIFTI_U8 : NIFTI_F32), done);
    if (labels != NULL)
        TRY_GOTO(put_labels(&writer, labels, n_voxels), done);
    else
        TRY_GOTO(put_floats(&writer, floats, n_voxels, like->is_big_endian != 0), done);
    status = file_writer_commit(writer.file);
    writer.file = NULL;
done:
    writer_deinit(&writer);
    return status;
}

adele_status nifti_save_labels(const char *path, const struct nifti_volume *like,
                               const uint8_t *labels) {
    return save(path, like, labels, NULL);
}

adele_status nifti_save_floats(const char *path, const struct nifti_volume *like,
                               const float *voxels) {
    return save(path, like, NULL, voxels);
}
