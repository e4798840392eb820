// SPDX-License-Identifier: MIT
// A stand-in for NCCL: each rank is a process with an emulated GPU of its own, and messages go
// through a file in memory that all of them map. Communicators do not block, as the device asks:
// what NCCL does in threads of its own is ncclInProgress until the next ncclCommGetAsyncError.
#include "simt_internal.h"
#include "simt_libraries.h"

#include <nccl.h>

#include <algorithm>
#include <atomic>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static const int max_ranks = 8;
static const size_t box_bytes = 1 << 14;

// What one rank has sent to one other and that one has not taken yet: a ring.
struct box {
    std::atomic<uint64_t> n_sent, n_taken; // bytes
    unsigned char bytes[box_bytes];
};
enum rank_state { RANK_ABSENT, RANK_JOINED, RANK_ABORTED };
struct world {
    std::atomic<int> states[max_ranks];
    struct box boxes[max_ranks][max_ranks]; // of the sender, to the receiver
};

// One rank's view of the communicator; messages that wait in a stream or in a graph refer to it.
struct member {
    struct world *world;
    int rank, n_ranks;
    bool is_aborted;
    ~member() {
        (void)munmap(world, sizeof *world);
    }
};
struct message {
    bool is_sent; // else received
    unsigned char *data;
    size_t bytes;
    int peer;
};
struct simt_messages {
    std::shared_ptr<struct member> member;
    std::vector<struct message> all;
};
struct simt_nccl {
    std::shared_ptr<struct member> member;
    bool is_connected;                            // which the first messages take a while for
    std::shared_ptr<struct simt_messages> unsent; // in the meantime
    cudaStream_t unsent_stream;
};

static const char *last_words = "";

static bool is_planted(const char *function) {
    bool fails = simt_libraries_nccl_fails(function);
    if (fails)
        last_words = "the test makes this call fail";
    return fails;
}
#define FAIL_IF_PLANTED()                                                                          \
    do {                                                                                           \
        if (is_planted(__func__))                                                                  \
            return ncclSystemError;                                                                \
    } while (0)

static ncclResult_t refuse(ncclResult_t result, const char *words) {
    last_words = words;
    return result;
}

// ---- messages -----------------------------------------------------------------------------------

// As many bytes of the message as the ring has or takes, from `done` on.
static size_t move(struct world *world, int rank, const struct message *message, size_t done) {
    int from = message->is_sent ? rank : message->peer,
        to = message->is_sent ? message->peer : rank;
    struct box *box = &world->boxes[from][to];
    size_t n_held = (size_t)(box->n_sent - box->n_taken);
    std::atomic<uint64_t> *counter = message->is_sent ? &box->n_sent : &box->n_taken;
    size_t n = std::min(message->is_sent ? box_bytes - n_held : n_held, message->bytes - done);
    for (size_t i = 0; i < n; i++) {
        unsigned char *in_box = &box->bytes[(*counter + i) % box_bytes];
        unsigned char *outside = message->data + done + i;
        *(message->is_sent ? in_box : outside) = *(message->is_sent ? outside : in_box);
    }
    *counter += n;
    return n;
}

// Messages between two ranks arrive in the order in which they were sent.
static bool waits_for_earlier(const std::vector<struct message> &all,
                              const std::vector<size_t> &done, size_t i) {
    for (size_t j = 0; j < i; j++)
        if (all[j].is_sent == all[i].is_sent && all[j].peer == all[i].peer &&
            done[j] < all[j].bytes)
            return true;
    return false;
}

cudaError_t simt_messages_go_on(const struct simt_messages *messages, std::vector<size_t> *done) {
    const struct member *member = messages->member.get();
    const std::vector<struct message> &all = messages->all;
    bool is_left = false;
    done->resize(all.size());
    for (size_t i = 0; i < all.size() && !member->is_aborted; i++) {
        if (!waits_for_earlier(all, *done, i))
            (*done)[i] += move(member->world, member->rank, &all[i], (*done)[i]);
        is_left = is_left || (*done)[i] < all[i].bytes;
    }
    return is_left ? cudaErrorNotReady : cudaSuccess; // what was aborted ends unfinished
}

static ncclResult_t add_work(const std::shared_ptr<struct simt_messages> &messages,
                             cudaStream_t stream) {
    struct simt_work work = {};
    work.kind = SIMT_WORK_MESSAGES;
    work.messages = messages;
    return simt_work_add(stream, std::move(work)) == cudaSuccess ? ncclSuccess
                                                                 : ncclUnhandledCudaError;
}

// ---- groups -------------------------------------------------------------------------------------

static struct {
    int depth;
    ncclResult_t failure;
    ncclComm_t comm;
    cudaStream_t stream;
    std::shared_ptr<struct simt_messages> messages;
} group;

ncclResult_t ncclGroupStart() {
    FAIL_IF_PLANTED();
    if (group.depth++ == 0) {
        group.failure = ncclSuccess;
        group.comm = NULL;
        group.messages = std::make_shared<struct simt_messages>();
    }
    return ncclSuccess;
}

ncclResult_t ncclGroupEnd() {
    if (group.depth == 0)
        return refuse(ncclInvalidUsage, "ncclGroupEnd without ncclGroupStart");
    group.depth--;
    FAIL_IF_PLANTED();
    std::shared_ptr<struct simt_messages> messages = std::move(group.messages);
    if (group.failure != ncclSuccess || messages->all.empty())
        return group.failure;
    messages->member = group.comm->member;
    if (group.comm->is_connected)
        return add_work(messages, group.stream);
    group.comm->unsent = messages;
    group.comm->unsent_stream = group.stream;
    return ncclInProgress;
}

static ncclResult_t check_message(const void *data, size_t bytes, ncclDataType_t type, int peer,
                                  ncclComm_t comm, cudaStream_t stream) {
    const struct member *member = comm->member.get();
    if (group.depth == 0 || (group.comm != NULL && (group.comm != comm || group.stream != stream)))
        return refuse(ncclInvalidUsage, "the stand-in has groups of one communicator and stream");
    if (type != ncclFloat || peer < 0 || peer >= member->n_ranks || peer == member->rank)
        return refuse(ncclInvalidArgument, "no such type or peer");
    if (bytes == 0 || !simt_is_global(data, bytes) || simt_is_page_locked(data, bytes))
        return refuse(ncclInvalidArgument, "the message is not device memory");
    return ncclSuccess;
}

static ncclResult_t add_message(bool is_sent, const void *data, size_t count, ncclDataType_t type,
                                int peer, ncclComm_t comm, cudaStream_t stream) {
    ncclResult_t result =
        is_planted(is_sent ? "ncclSend" : "ncclRecv") ? ncclSystemError : ncclSuccess;
    if (result == ncclSuccess)
        result = check_message(data, count * sizeof(float), type, peer, comm, stream);
    if (result != ncclSuccess) {
        group.failure = result;
        return result;
    }
    group.comm = comm;
    group.stream = stream;
    group.messages->all.push_back(
        {is_sent, (unsigned char *)(uintptr_t)data, count * sizeof(float), peer});
    return ncclSuccess;
}

ncclResult_t ncclSend(const void *from, size_t count, ncclDataType_t type, int peer,
                      ncclComm_t comm, cudaStream_t stream) {
    return add_message(true, from, count, type, peer, comm, stream);
}

ncclResult_t ncclRecv(void *to, size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
    return add_message(false, to, count, type, peer, comm, stream);
}

// ---- communicators ------------------------------------------------------------------------------

ncclResult_t ncclGetVersion(int *version) {
    FAIL_IF_PLANTED();
    *version = NCCL_VERSION_CODE;
    return ncclSuccess;
}

// The id is the path of the file, which the rank that made it keeps open.
ncclResult_t ncclGetUniqueId(ncclUniqueId *out) {
    static int file = -1;
    FAIL_IF_PLANTED();
    if (file >= 0)
        (void)close(file);
    file = memfd_create("simt_nccl", MFD_CLOEXEC);
    if (file < 0 || ftruncate(file, sizeof(struct world)) != 0)
        return refuse(ncclSystemError, "memfd_create");
    memset(out, 0, sizeof *out);
    snprintf(out->internal, sizeof out->internal, "/proc/%ld/fd/%d", (long)getpid(), file);
    return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t *out, int n_ranks, ncclUniqueId id, int rank,
                                    ncclConfig_t *config) {
    *out = NULL;
    FAIL_IF_PLANTED();
    if (config->blocking != 0 || n_ranks > max_ranks)
        return refuse(ncclInvalidUsage, "the stand-in does not block and has up to 8 ranks");
    int file = open(id.internal, O_RDWR | O_CLOEXEC);
    void *mapped =
        file < 0 ? MAP_FAILED
                 : mmap(NULL, sizeof(struct world), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (file >= 0)
        (void)close(file);
    if (mapped == MAP_FAILED)
        return refuse(ncclSystemError, "rank 0 is gone");
    ncclComm_t comm = new simt_nccl{};
    comm->member = std::make_shared<struct member>();
    comm->member->world = (struct world *)mapped;
    comm->member->rank = rank;
    comm->member->n_ranks = n_ranks;
    comm->member->world->states[rank] = RANK_JOINED;
    *out = comm;
    return ncclInProgress;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t *out) {
    FAIL_IF_PLANTED();
    const struct member *member = comm->member.get();
    *out = ncclSuccess;
    for (int rank = 0; rank < member->n_ranks; rank++) {
        int state = member->world->states[rank];
        if (state == RANK_ABSENT && *out == ncclSuccess)
            *out = ncclInProgress;
        if (state == RANK_ABORTED)
            *out = refuse(ncclRemoteError, "another rank has aborted");
    }
    if (*out == ncclSuccess && comm->unsent) {
        comm->is_connected = true;
        *out = add_work(comm->unsent, comm->unsent_stream);
        comm->unsent.reset();
    }
    return ncclSuccess;
}

ncclResult_t ncclCommFinalize(ncclComm_t comm) {
    FAIL_IF_PLANTED();
    return comm->unsent ? refuse(ncclInvalidUsage, "a group is not done yet") : ncclInProgress;
}

// NCCL waits for graphs with its messages to be destroyed; this would be for ever.
ncclResult_t ncclCommDestroy(ncclComm_t comm) {
    FAIL_IF_PLANTED();
    if (comm->member.use_count() > 1)
        return refuse(ncclInvalidUsage, "messages in a stream or a graph use the communicator");
    delete comm;
    return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t comm) {
    comm->member->is_aborted = true;
    comm->member->world->states[comm->member->rank] = RANK_ABORTED;
    delete comm;
    return ncclSuccess;
}

const char *ncclGetErrorString(ncclResult_t result) {
    static const char *const texts[] = {"no error",
                                        "unhandled cuda error",
                                        "unhandled system error",
                                        "internal error",
                                        "invalid argument",
                                        "invalid usage",
                                        "remote process exited or there was a network error",
                                        "NCCL operation in progress"};
    return texts[result];
}

const char *ncclGetLastError(ncclComm_t) {
    return last_words;
}
