// SPDX-License-Identifier: MIT
// The LZ4 block format: runs of literal bytes, and copies of what was written before. A byte in
// front of each holds both lengths; 15 says that more bytes of the length follow.
#include "cudart_room.h"

namespace ptx_cudart {

struct reader {
    const unsigned char *at, *end;
    unsigned next() {
        return at < end ? *at++ : 0;
    }
    size_t length(unsigned nibble) {
        size_t out = nibble;
        for (unsigned byte = nibble == 15 ? 255 : 0; byte == 255;) {
            byte = at < end ? *at++ : 0;
            out += byte;
        }
        return out;
    }
};

bool lz4_decode(const unsigned char *from, size_t bytes, size_t n_out, std::string *out) {
    struct reader in = {from, from + bytes};
    out->clear();
    while (in.at < in.end) {
        unsigned token = in.next();
        size_t n_literals = in.length(token >> 4);
        if (n_literals > (size_t)(in.end - in.at) || n_literals > n_out - out->size())
            return false;
        out->append((const char *)in.at, n_literals);
        in.at += n_literals;
        if (in.at == in.end)
            break; // the last run has no copy behind it
        size_t distance = in.next();
        distance |= (size_t)in.next() << 8;
        size_t n_copied = in.length(token & 15) + 4;
        if (distance == 0 || distance > out->size() || n_copied > n_out - out->size())
            return false;
        for (size_t k = 0; k < n_copied; k++) // may overlap
            out->push_back((*out)[out->size() - distance]);
    }
    return out->size() == n_out;
}

} // namespace ptx_cudart
