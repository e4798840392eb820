// SPDX-License-Identifier: MIT
// What the parser hands to the machine: instructions whose operands are places in the registers of
// a warp, and what belongs to a kernel and to a module.
#ifndef ADELE_PTX_PROGRAM_H
#define ADELE_PTX_PROGRAM_H

#include "ptx.h"

#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace ptx {

// The windows of the address space. Global memory has the host's own addresses, which lie far
// above.
constexpr uint64_t SHARED_BASE = 0x00100000;
// Shared memory of the blocks of a cluster, one window each by their rank, as mapa names it. The
// window of a thread's own block is at SHARED_BASE too.
constexpr uint64_t CLUSTER_BASE = 0x00200000;
constexpr uint64_t CLUSTER_STEP = 0x00100000;
constexpr unsigned MOST_CLUSTER_BLOCKS = 16;
constexpr uint64_t LOCAL_BASE = 0x02000000;
constexpr uint64_t PARAM_BASE = 0x04000000;
constexpr uint64_t WINDOWS_END = 0x06000000;

constexpr int N_LANES = 32;
constexpr uint32_t ALL_LANES = 0xffffffffu;

struct warp;
struct inst;
typedef void (*inst_fn)(struct warp &w, const struct inst &i, uint32_t lanes);

// How lanes come to an instruction: each for itself, or together with others.
enum inst_kind : uint8_t {
    INST_PLAIN,
    INST_BRANCH,
    INST_EXIT,
    INST_BARRIER, // of the block
    INST_SHUFFLE, // of the lanes that its mask names
    INST_ALIGNED  // of the whole warp
};
enum space : uint8_t {
    SPACE_GENERIC,
    SPACE_GLOBAL,
    SPACE_SHARED, // of the own block
    SPACE_LOCAL,
    SPACE_PARAM,
    SPACE_CLUSTER // shared memory of any block of the cluster
};

constexpr uint32_t NO_PLACE = 0; // no operand lies there

// Two lines of the processor's cache, of which most instructions need the first alone: kernels are
// larger than that cache.
struct alignas(64) inst {
    inst_fn run = nullptr;
    enum inst_kind kind = INST_PLAIN;
    enum space space = SPACE_GENERIC;
    bool is_negated = false;      // of the predicate
    bool has_wide_address = true; // 64 bits
    bool has_wide_data = false;   // a load or store of less than 64 bits in 64-bit registers
    uint8_t n_parts = 0;          // elements of a vector
    uint32_t predicate = NO_PLACE;
    int option = 0;              // what its family says
    uint32_t target = 0;         // of a branch
    uint32_t address = NO_PLACE; // of memory: the register, and what is added to it
    mutable uint64_t n_executed = 0;
    uint32_t place[14] = {}; // of the operands, in bytes from the warp's first register
    int64_t offset = 0;
    mutable uint64_t low = 0, high = 0; // the block of memory that it touched last
    uint32_t source = NO_PLACE;         // of cp.async: where it copies from
    int32_t source_offset = 0;
};
static_assert(sizeof(struct inst) == 128, "two lines");

// What messages say of an instruction.
struct inst_source {
    std::string text;
    std::string where; // file:line of the source
};

// The 32-bit registers that an instruction names, which wgmma.cpp follows.
struct register_use {
    std::vector<uint32_t> places;
    bool is_wgmma = false; // wgmma.mma_async, which looks after its own
    bool is_copy = false;  // mov of places[1] to places[0]
};

enum reg_class : uint8_t { REG_PRED, REG_32, REG_64 };
struct reg {
    enum reg_class cls;
    uint32_t place;
};

// A value that an instruction names lies in a register that nobody writes.
struct constant {
    uint32_t place;
    enum reg_class cls;
    uint64_t bits;
    std::string symbol; // its address is added when the kernel's memory is laid out
};

struct param {
    std::string name;
    size_t offset, bytes;
};

struct variable {
    enum space space;
    uint64_t address;
    size_t bytes, align;
    bool is_extern; // dynamic shared memory: its size is known at launch
};

enum special {
    SPECIAL_TID_X,
    SPECIAL_TID_Y,
    SPECIAL_TID_Z,
    SPECIAL_NTID_X,
    SPECIAL_NTID_Y,
    SPECIAL_NTID_Z,
    SPECIAL_CTAID_X,
    SPECIAL_CTAID_Y,
    SPECIAL_CTAID_Z,
    SPECIAL_NCTAID_X,
    SPECIAL_NCTAID_Y,
    SPECIAL_NCTAID_Z,
    SPECIAL_LANEID,
    SPECIAL_CLUSTER_CTARANK,
    SPECIAL_CLUSTER_NCTARANK,
    SPECIAL_CLUSTERID_X,
    SPECIAL_CLUSTERID_Y,
    SPECIAL_CLUSTERID_Z,
    N_SPECIALS
};

struct error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct function {
    std::string body;
    std::vector<struct param> params, results;
};

} // namespace ptx

struct ptx_kernel {
    struct ptx_module *module = nullptr;
    std::string name, body;
    std::vector<ptx::param> params;
    size_t params_bytes = 0;
    unsigned max_threads = 1024;     // .maxntid, which __launch_bounds__ becomes
    unsigned least_blocks = 1;       // .minnctapersm
    unsigned most_registers = 0;     // .maxnreg of a thread, 0 = not given
    unsigned cluster[3] = {0, 0, 0}; // .reqnctapercluster, 0 = a launch may choose
    bool is_parsed = false;
    // What asynchronous copies read and write is followed (async.h): it has such instructions.
    bool is_async = false;
    bool has_wgmma = false;
    std::vector<ptx::register_use> uses; // of the instructions, where it has wgmma
    std::vector<uint32_t> more_places;   // of instructions with more operands than inst::place
    std::vector<ptx::inst> code;
    std::vector<ptx::inst_source> sources; // of the instructions
    std::vector<ptx::constant> constants;
    uint32_t special_place[ptx::N_SPECIALS] = {}; // NO_PLACE = not used
    size_t register_bytes = 0;                    // of a warp
    size_t shared_bytes = 0, local_bytes = 0;     // of a block, of a thread
    uint64_t n_launches = 0, n_blocks = 0;
    uint32_t memory_generation = 0;                          // of the caches in the code
    std::vector<std::unique_ptr<uint64_t[]>> register_files; // one a warp
};

struct ptx_module {
    std::map<std::string, std::unique_ptr<ptx_kernel>> kernels;
    std::map<std::string, ptx::function> functions;
    std::map<std::string, ptx::variable> variables; // .global, .const and .shared of the module
    std::vector<std::unique_ptr<uint8_t[]>> memory; // of its .global and .const variables
    std::map<int, std::string> files;               // of .loc
    int sm = 0;                                     // of .target
};

namespace ptx {

// Reads the body of a kernel (parse_body.cpp). Throws ptx::error.
void parse_kernel(struct ptx_kernel *kernel);

} // namespace ptx
#endif
