// SPDX-License-Identifier: MIT
// Fat binaries: what nvcc puts into an object file, and hands over before main runs. Each holds the
// PTX of one source file (kind 1), as it is or packed by LZ4, and the machine code of GPUs, which
// is passed over. The layout is that of NVIDIA's fatbinary_section.h and of what nvcc writes.
#include "cudart_room.h"

#include <map>
#include <memory>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

namespace ptx_cudart {

#define FATBIN_MAGIC 0xba55ed50u
#define KIND_PTX     1
#define FLAG_LZ4     0x2000u
#define FLAG_ZSTD    0x8000u
#define LEAST_SM     80

struct fatbin_wrapper {
    int magic, version;
    const unsigned char *data;
    void *more;
};
struct fatbin_header {
    uint32_t magic;
    uint16_t version, header_bytes;
    uint64_t bytes; // of the entries behind
};
struct fatbin_entry {
    uint16_t kind, version;
    uint32_t header_bytes;
    uint64_t bytes; // of the text behind, with padding
    uint32_t packed_bytes, name_offset;
    uint16_t minor, major;
    uint32_t sm;
    uint32_t unknown[2];
    uint64_t flags, unknown_too;
    uint64_t unpacked_bytes;
};

struct fat_binary {
    const unsigned char *begin, *end; // of the entries
    struct ptx_module *module = nullptr;
};

static std::map<const void *, std::unique_ptr<struct function>> &functions() {
    static auto *all = new std::map<const void *, std::unique_ptr<struct function>>;
    return *all;
}

struct function *function_of(const void *stub) {
    auto found = functions().find(stub);
    return found == functions().end() ? nullptr : found->second.get();
}

// The text of an entry; "" when it is packed in a way that is not known here.
static std::string text_of(const struct fatbin_entry &entry, const unsigned char *data) {
    std::string out;
    if ((entry.flags & FLAG_ZSTD) != 0)
        return "";
    if ((entry.flags & FLAG_LZ4) == 0)
        out.assign((const char *)data, entry.bytes);
    else if (!lz4_decode(data, entry.packed_bytes, entry.unpacked_bytes, &out))
        return "";
    size_t begin = out.find(".version"); // fillers stand before and behind
    return begin == std::string::npos ? "" : std::string(out.c_str() + begin);
}

// The PTX for the device, or for the latest one before it.
static std::string find_text(const struct fat_binary *binary) {
    std::string out;
    uint32_t best = 0;
    for (const unsigned char *at = binary->begin; at < binary->end;) {
        struct fatbin_entry entry;
        memcpy(&entry, at, sizeof entry);
        if (entry.kind == KIND_PTX && entry.sm >= LEAST_SM && entry.sm > best &&
            entry.sm <= (uint32_t)sm()) {
            best = entry.sm;
            out = text_of(entry, at + entry.header_bytes);
        }
        at += entry.header_bytes + entry.bytes;
    }
    return out;
}

static bool load_module(struct function *f) {
    std::string text = find_text(f->binary);
    const char *error;
    if (text.empty()) {
        fail(cudaErrorNoKernelImageForDevice, f->name + ": no PTX for sm_" + std::to_string(sm()) +
                                                  ", or packed otherwise than nvcc "
                                                  "--compress-mode=speed does it");
        return false;
    }
    f->binary->module = ptx_module_load(text.data(), text.size(), &error);
    if (f->binary->module == nullptr)
        fail(cudaErrorInvalidPtx, "the PTX with " + f->name + ": " + error);
    return f->binary->module != nullptr;
}

bool resolve(struct function *f) {
    if (f->kernel != nullptr)
        return true;
    if (f->binary->module == nullptr && !load_module(f))
        return false;
    f->kernel = ptx_kernel_find(f->binary->module, f->name.c_str());
    if (f->kernel == nullptr)
        fail(cudaErrorInvalidDeviceFunction, "no kernel " + f->name);
    return f->kernel != nullptr;
}

// Before main there is nobody to answer an error to.
static void refuse(const char *what) {
    fprintf(stderr, "ptx: %s\n", what);
    abort();
}

} // namespace ptx_cudart

using namespace ptx_cudart;

extern "C" void **__cudaRegisterFatBinary(void *raw) {
    const struct fatbin_wrapper *wrapper = (const struct fatbin_wrapper *)raw;
    struct fatbin_header header;
    memcpy(&header, wrapper->data, sizeof header);
    if (header.magic != FATBIN_MAGIC)
        refuse("a fat binary of an unknown kind");
    const unsigned char *begin = wrapper->data + header.header_bytes;
    // Functions point to it until the end.
    struct fat_binary *out = new fat_binary{begin, begin + header.bytes};
    return (void **)out;
}

extern "C" void __cudaRegisterFatBinaryEnd(void **) {
}

extern "C" void __cudaUnregisterFatBinary(void **) {
}

extern "C" char __cudaInitModule(void **) {
    return 1;
}

extern "C" void __cudaRegisterFunction(void **binary, const char *stub, char *, const char *name,
                                       int, uint3 *, uint3 *, dim3 *, dim3 *, int *) {
    functions()[stub].reset(new function{(struct fat_binary *)binary, name, nullptr, -1});
    ptx_report_kernel(name);
}

extern "C" void __cudaRegisterVar(void **, char *, char *, const char *, int, size_t, int, int) {
    refuse("a __device__ variable that the host could name: not known here");
}
