// SPDX-License-Identifier: MIT
// Writing NIfTI volumes with the header of the volume they come from. zlib is used through its
// stream interface, because gzopen cannot write atomically. The gzip header has no name and no
// time, so that the same voxels give the same bytes.
#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "image/byte_order.h"
#include "image/nifti.h"
#include "image/nifti_header.h"
#include <zlib.h>

#define CHUNK_BYTES 65536
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
        TRY(CHECK_MEMORY(writer->packed));
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
static adele_status write_bytes(struct volume_writer *writer, const void *data, size_t bytes,
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

static adele_status write_header(struct volume_writer *writer, const struct nifti_volume *like,
                                 int datatype) {
    OWNED unsigned char *header = NULL;
    TRY(ALLOCATE(&header, like->header_bytes));
    memcpy(header, like->header, like->header_bytes);
    if (datatype != 0)
        nifti_header_set_datatype(header, like->version, like->is_big_endian != 0,
                                  (enum nifti_datatype)datatype);
    return write_bytes(writer, header, like->header_bytes, false);
}

// The values to write and how they are converted to bytes of the file. Values that have the file's
// format already are written directly.
struct voxel_source {
    const void *values;
    size_t value_bytes; // in memory and in the file
    bool is_ready;      // bytes in memory are those of the file
};

// `chunk`: work space of CHUNK_BYTES.
static adele_status write_voxels(struct volume_writer *writer, const struct voxel_source *source,
                                 size_t n_voxels, bool is_big_endian, unsigned char *chunk) {
    size_t per_chunk = CHUNK_BYTES / source->value_bytes;
    for (size_t done = 0; done < n_voxels;) {
        size_t n = n_voxels - done < per_chunk ? n_voxels - done : per_chunk;
        const unsigned char *from =
            (const unsigned char *)source->values + done * source->value_bytes;
        for (size_t i = 0; i < n && !source->is_ready; ++i) {
            uint32_t bits;
            memcpy(&bits, from + i * sizeof bits, sizeof bits);
            bytes_put(chunk + i * sizeof bits, sizeof bits, is_big_endian, bits);
        }
        TRY(write_bytes(writer, source->is_ready ? from : chunk, n * source->value_bytes,
                        done + n == n_voxels));
        done += n;
    }
    return ADELE_OK;
}

// `datatype` 0: the header stays as it is.
static adele_status save(const char *path, const struct nifti_volume *like, int datatype,
                         const struct voxel_source *source) {
    size_t least = like->version == 2 ? NIFTI2_HEADER_BYTES : NIFTI1_HEADER_BYTES;
    if (like->header == NULL || like->header_bytes < least || like->nx < 1 || like->ny < 1 ||
        like->nz < 1 || source->values == NULL)
        return FAIL(ADELE_INVALID_ARGUMENT, "",
                    "%s: no geometry to write: %d x %d x %d voxels, a header of %zu bytes", path,
                    like->nx, like->ny, like->nz, like->header_bytes);
    size_t n_voxels = (size_t)like->nx * (size_t)like->ny * (size_t)like->nz;
    CLEANUP(writer_deinit) struct volume_writer writer = {0};
    OWNED unsigned char *chunk = NULL;
    TRY(ALLOCATE(&chunk, CHUNK_BYTES));
    TRY(writer_init(&writer, path));
    TRY(write_header(&writer, like, datatype));
    TRY(write_voxels(&writer, source, n_voxels, like->is_big_endian != 0, chunk));
    return file_writer_commit(&writer.file);
}

adele_status nifti_save_labels(const char *path, const struct nifti_volume *like,
                               const uint8_t *labels) {
    return save(path, like, NIFTI_U8, &(struct voxel_source){labels, 1, true});
}

adele_status nifti_save_integers(const char *path, const struct nifti_volume *like,
                                 const int32_t *values) {
    return save(path, like, NIFTI_I32, &(struct voxel_source){values, sizeof *values, false});
}

adele_status nifti_save_raw(const char *path, const struct nifti_volume *volume) {
    return save(path, volume, 0,
                &(struct voxel_source){volume->raw, (size_t)volume->value_bytes, true});
}
