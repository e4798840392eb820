// SPDX-License-Identifier: MIT
// Messages by MPI 3.1 or newer. After mpi_open only functions that do not wait for another rank are
// called, until the ranks leave; errors are returned to the caller instead of ending the
// process.
#include "base/fail.h"
#include "base/memory.h"
#include "ranks/ranks.h"
#include "ranks/transport.h"

#include <mpi.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define END_SECONDS 15 // that MPI has to end

struct mpi {
    struct transport base;
    MPI_Comm comm; // a copy of MPI_COMM_WORLD, whose messages meet nobody else's
    bool is_ours;  // MPI was started here, and not by the program
    // Messages that are begun; all arrays have room for `room` of them.
    int n_begun, room;
    MPI_Request *requests;
    struct message *messages;
    int *done; // indices
    MPI_Status *statuses;
    struct message *finished; // what poll has returned
};

const char *ranks_library(void) {
    static char text[MPI_MAX_LIBRARY_VERSION_STRING];
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    int n = 0;
    (void)pthread_mutex_lock(&lock);
    if (text[0] == '\0' && MPI_Get_library_version(text, &n) != MPI_SUCCESS)
        (void)snprintf(text, sizeof text, "MPI %d.%d", MPI_VERSION, MPI_SUBVERSION);
    text[strcspn(text, ",\n")] = '\0'; // "Open MPI v4.1.4, package: ..."
    (void)pthread_mutex_unlock(&lock);
    return text;
}

static adele_status check(int code, const char *function) {
    char text[MPI_MAX_ERROR_STRING] = "";
    int n = 0, is_begun = 0;
    if (code == MPI_SUCCESS)
        return ADELE_OK;
    // Before MPI_Init_thread the text of an error may not be asked for.
    if (MPI_Initialized(&is_begun) != MPI_SUCCESS || !is_begun ||
        MPI_Error_string(code, text, &n) != MPI_SUCCESS)
        (void)snprintf(text, sizeof text, "error %d", code);
    return FAIL(ADELE_DEVICE, "Look for an earlier error of another rank, and at the network.",
                "%s: %s", function, text);
}

// ---- messages -----------------------------------------------------------------------------------

static adele_status make_room(struct mpi *mpi) {
    if (mpi->n_begun < mpi->room)
        return ADELE_OK;
    size_t room = mpi->room > 0 ? 2 * (size_t)mpi->room : 64;
#define MAKE_ROOM(array)                                                                           \
    do {                                                                                           \
        void *grown = memory_realloc(mpi->array, room, sizeof *mpi->array);                        \
        TRY(CHECK_MEMORY(grown));                                                                  \
        mpi->array = grown;                                                                        \
    } while (0)
    MAKE_ROOM(requests);
    MAKE_ROOM(messages);
    MAKE_ROOM(done);
    MAKE_ROOM(statuses);
    MAKE_ROOM(finished);
#undef MAKE_ROOM
    mpi->room = (int)room;
    return ADELE_OK;
}

static adele_status mpi_send(struct transport *self, int to, int tag, const void *block,
                             int bytes) {
    struct mpi *mpi = (struct mpi *)self;
    TRY(make_room(mpi));
    int i = mpi->n_begun;
    TRY(check(MPI_Isend(block, bytes, MPI_BYTE, to, tag, mpi->comm, &mpi->requests[i]),
              "MPI_Isend"));
    mpi->messages[i] = (struct message){.peer = to, .bytes = bytes, .expected = bytes};
    mpi->n_begun++;
    return ADELE_OK;
}

static adele_status mpi_receive(struct transport *self, int from, int tag, void *block, int bytes) {
    struct mpi *mpi = (struct mpi *)self;
    TRY(make_room(mpi));
    int i = mpi->n_begun;
    TRY(check(MPI_Irecv(block, bytes, MPI_BYTE, from, tag, mpi->comm, &mpi->requests[i]),
              "MPI_Irecv"));
    mpi->messages[i] = (struct message){.peer = from, .is_receive = true, .expected = bytes};
    mpi->n_begun++;
    return ADELE_OK;
}

// Leaves the messages that are still on their way, in their order.
static void drop_done(struct mpi *mpi) {
    int n = 0;
    for (int i = 0; i < mpi->n_begun; i++)
        if (mpi->requests[i] != MPI_REQUEST_NULL) {
            mpi->requests[n] = mpi->requests[i];
            mpi->messages[n++] = mpi->messages[i];
        }
    mpi->n_begun = n;
}

// One of the tested messages has failed.
static adele_status report_failed(struct mpi *mpi, int n_done, int *out_n) {
    for (int i = 0; i < n_done; i++) {
        int code = mpi->statuses[i].MPI_ERROR;
        if (code != MPI_SUCCESS && code != MPI_ERR_PENDING) {
            mpi->finished[0] = mpi->messages[mpi->done[i]];
            *out_n = 1;
            return check(code, mpi->finished[0].is_receive ? "MPI_Irecv" : "MPI_Isend");
        }
    }
    return check(MPI_ERR_OTHER, "MPI_Testsome");
}

static adele_status mpi_poll(struct transport *self, const struct message **out, int *out_n) {
    struct mpi *mpi = (struct mpi *)self;
    int n_done = 0;
    *out = mpi->finished;
    *out_n = 0;
    if (mpi->n_begun == 0)
        return ADELE_OK;
    int code = MPI_Testsome(mpi->n_begun, mpi->requests, &n_done, mpi->done, mpi->statuses);
    if (code == MPI_ERR_IN_STATUS && n_done != MPI_UNDEFINED)
        return report_failed(mpi, n_done, out_n);
    TRY(check(code, "MPI_Testsome"));
    if (n_done == MPI_UNDEFINED || n_done == 0)
        return ADELE_OK;
    for (int i = 0; i < n_done; i++) {
        struct message *message = &mpi->messages[mpi->done[i]];
        if (message->is_receive)
            TRY(check(MPI_Get_count(&mpi->statuses[i], MPI_BYTE, &message->bytes),
                      "MPI_Get_count"));
        mpi->finished[i] = *message;
    }
    *out_n = n_done;
    drop_done(mpi);
    return ADELE_OK;
}

static void mpi_cancel(struct transport *self) {
    struct mpi *mpi = (struct mpi *)self;
    for (int i = 0; i < mpi->n_begun; i++)
        if (mpi->requests[i] != MPI_REQUEST_NULL) {
            if (mpi->messages[i].is_receive)
                (void)MPI_Cancel(&mpi->requests[i]);
            (void)MPI_Request_free(&mpi->requests[i]);
        }
    mpi->n_begun = 0;
}

// ---- begin and end ------------------------------------------------------------------------------

static void free_all(struct mpi *mpi) {
    memory_free(mpi->requests);
    memory_free(mpi->messages);
    memory_free(mpi->done);
    memory_free(mpi->statuses);
    memory_free(mpi->finished);
    memory_free(mpi);
}

static void end_process(int number) {
    (void)number;
    _exit(1);
}

// MPI_Abort and MPI_Finalize may wait for a launcher or a rank that is out of reach. Then this
// process ends by itself, with exit code 1.
static void limit_time(struct sigaction *before) {
    struct sigaction action = {.sa_handler = end_process};
    sigemptyset(&action.sa_mask);
    (void)sigaction(SIGALRM, &action, before);
    (void)alarm(END_SECONDS);
}

// A launcher that hears of the abort first may end without what this rank has just printed: "you
// may or may not see output from other processes", says Open MPI. So the pipe is left the time to
// be read, and the launcher the time to pass it on.
static void let_launcher_read(void) {
    const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000},
                          last = {.tv_nsec = 300 * 1000 * 1000};
    int n_bytes = 0;
    for (int i = 0; i < 300 && ioctl(STDERR_FILENO, FIONREAD, &n_bytes) == 0 && n_bytes > 0; i++)
        (void)nanosleep(&pause, NULL);
    (void)nanosleep(&last, NULL);
}

static void mpi_abort(struct transport *self) {
    struct mpi *mpi = (struct mpi *)self;
    let_launcher_read();
    limit_time(NULL);
    (void)MPI_Abort(mpi->comm, 1);
    _exit(1);
}

static void mpi_close(struct transport *self) {
    struct mpi *mpi = (struct mpi *)self;
    struct sigaction before;
    limit_time(&before);
    (void)MPI_Comm_free(&mpi->comm);
    if (mpi->is_ours)
        (void)MPI_Finalize();
    (void)alarm(0);
    (void)sigaction(SIGALRM, &before, NULL);
    free_all(mpi);
}

static adele_status find_place(struct mpi *mpi) {
    struct transport *base = &mpi->base;
    char name[MPI_MAX_PROCESSOR_NAME] = "";
    int n = 0;
    MPI_Comm local;
    TRY(check(MPI_Comm_size(mpi->comm, &base->n_ranks), "MPI_Comm_size"));
    TRY(check(MPI_Comm_rank(mpi->comm, &base->index), "MPI_Comm_rank"));
    TRY(check(
        MPI_Comm_split_type(mpi->comm, MPI_COMM_TYPE_SHARED, base->index, MPI_INFO_NULL, &local),
        "MPI_Comm_split_type"));
    TRY(check(MPI_Comm_size(local, &base->n_local), "MPI_Comm_size"));
    TRY(check(MPI_Comm_rank(local, &base->local_index), "MPI_Comm_rank"));
    TRY(check(MPI_Comm_free(&local), "MPI_Comm_free"));
    TRY(check(MPI_Get_processor_name(name, &n), "MPI_Get_processor_name"));
    (void)snprintf(base->host, sizeof base->host, "%.*s", (int)sizeof base->host - 1, name);
    text_make_plain(base->host);
    return ADELE_OK;
}

static adele_status begin(const struct launch *launch, struct mpi *mpi) {
    int is_initialized = 0, level = 0;
    TRY(check(MPI_Initialized(&is_initialized), "MPI_Initialized"));
    if (!is_initialized)
        TRY(check(MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &level), "MPI_Init_thread"));
    mpi->is_ours = !is_initialized;
    TRY(check(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN),
              "MPI_Comm_set_errhandler"));
    TRY(check(MPI_Comm_dup(MPI_COMM_WORLD, &mpi->comm), "MPI_Comm_dup"));
    TRY(check(MPI_Comm_set_errhandler(mpi->comm, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler"));
    TRY(find_place(mpi));
    if (mpi->base.n_ranks == launch->n_processes)
        return ADELE_OK;
    return FAIL(ADELE_UNSUPPORTED,
                "Start it with the mpirun of the MPI that `adele info` names, or with a srun that "
                "knows it (`srun --mpi=list`; --mpi=pmix).",
                "%d processes were started (%s), but MPI joins %d of them", launch->n_processes,
                launch->variable, mpi->base.n_ranks);
}

adele_status mpi_open(const struct launch *launch, struct transport **out) {
    struct mpi *mpi = NULL;
    TRY(ALLOCATE(&mpi, 1));
    mpi->comm = MPI_COMM_NULL;
    mpi->base = (struct transport){.send = mpi_send,
                                   .receive = mpi_receive,
                                   .poll = mpi_poll,
                                   .cancel = mpi_cancel,
                                   .abort = mpi_abort,
                                   .close = mpi_close};
    adele_status status = begin(launch, mpi);
    if (status != ADELE_OK) {
        // MPI is left as it is: to leave it would wait for the other processes.
        char host[RANK_HOST_BYTES] = "";
        (void)gethostname(host, sizeof host - 1);
        text_make_plain(host);
        free_all(mpi);
        return fail_context(status, "rank %d on %s", launch->index, host);
    }
    *out = &mpi->base;
    return ADELE_OK;
}
