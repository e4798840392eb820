// SPDX-License-Identifier: MIT
// A library for LD_PRELOAD that stands before MPI in the calls of the program, and does something
// at the N-th call of one function, which is counted, not timed:
//
//   ADELE_TEST_RANK=R                     in this rank of Open MPI alone; without it, in all
//   ADELE_TEST_MPI=FUNCTION:N:ACTION      at the N-th call (from 1) of that function, before it:
//     fail    MPI_ERR_OTHER is returned, and nothing is done (but MPI_Finalize)
//     delay   this call and all later ones of the function wait 5 ms first
//     stop    SIGSTOP: the process hangs, and is not gone
//     kill    SIGKILL
//     cut     the network interface eth0 goes down
//   ADELE_TEST_MPI_COUNT=FILE             at a normal end, "FUNCTION CALLS" lines go to FILE.RANK
#include <mpi.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// X(name, parameters, arguments): all functions of MPI that adele calls; test_mpi_faults compares.
#define CALLS(X)                                                                                   \
    X(Cancel, (MPI_Request * request), (request))                                                  \
    X(Comm_dup, (MPI_Comm comm, MPI_Comm * out), (comm, out))                                      \
    X(Comm_free, (MPI_Comm * comm), (comm))                                                        \
    X(Comm_rank, (MPI_Comm comm, int *rank), (comm, rank))                                         \
    X(Comm_set_errhandler, (MPI_Comm comm, MPI_Errhandler handler), (comm, handler))               \
    X(Comm_size, (MPI_Comm comm, int *n), (comm, n))                                               \
    X(Comm_split_type, (MPI_Comm comm, int type, int key, MPI_Info info, MPI_Comm *out),           \
      (comm, type, key, info, out))                                                                \
    X(Error_string, (int code, char *text, int *n), (code, text, n))                               \
    X(Finalize, (void), ())                                                                        \
    X(Get_count, (const MPI_Status *status, MPI_Datatype type, int *n), (status, type, n))         \
    X(Get_library_version, (char *text, int *n), (text, n))                                        \
    X(Get_processor_name, (char *name, int *n), (name, n))                                         \
    X(Init_thread, (int *argc, char ***argv, int wanted, int *level), (argc, argv, wanted, level)) \
    X(Initialized, (int *is_so), (is_so))                                                          \
    X(Irecv,                                                                                       \
      (void *block, int n, MPI_Datatype type, int from, int tag, MPI_Comm comm, MPI_Request *out), \
      (block, n, type, from, tag, comm, out))                                                      \
    X(Isend,                                                                                       \
      (const void *block, int n, MPI_Datatype type, int to, int tag, MPI_Comm comm,                \
       MPI_Request *out),                                                                          \
      (block, n, type, to, tag, comm, out))                                                        \
    X(Request_free, (MPI_Request * request), (request))                                            \
    X(Testsome, (int n, MPI_Request requests[], int *n_done, int done[], MPI_Status statuses[]),   \
      (n, requests, n_done, done, statuses))

enum call {
#define X(name, parameters, arguments) CALL_##name,
    CALLS(X)
#undef X
        CALL_COUNT
};
static const char *const names[CALL_COUNT] = {
#define X(name, parameters, arguments) [CALL_##name] = "MPI_" #name,
    CALLS(X)
#undef X
};

static long counts[CALL_COUNT]; // MPI is called by one thread at a time
static char function[64], action[16];
static long moment; // 0: never

static const char *rank_text(void) {
    const char *rank = getenv("OMPI_COMM_WORLD_RANK");
    return rank ? rank : "0";
}

__attribute__((constructor)) static void begin(void) {
    const char *wanted = getenv("ADELE_TEST_MPI"), *rank = getenv("ADELE_TEST_RANK");
    if (!wanted || (rank && strcmp(rank, rank_text()) != 0))
        return;
    if (sscanf(wanted, "%63[^:]:%ld:%15s", function, &moment, action) != 3) {
        (void)fprintf(stderr, "ADELE_TEST_MPI is %s\n", wanted);
        _exit(126);
    }
}

__attribute__((destructor)) static void end(void) {
    const char *name = getenv("ADELE_TEST_MPI_COUNT");
    char path[4096];
    if (!name)
        return;
    (void)snprintf(path, sizeof path, "%s.%s", name, rank_text());
    FILE *file = fopen(path, "w");
    if (!file)
        return;
    for (int i = 0; i < CALL_COUNT; i++)
        (void)fprintf(file, "%s %ld\n", names[i], counts[i]);
    (void)fclose(file);
}

// True: the call fails.
static int is_to_fail(enum call call) {
    long n = ++counts[call];
    if (moment == 0 || strcmp(names[call], function) != 0)
        return 0;
    if (n > moment && strcmp(action, "delay") != 0)
        return 0;
    if (n < moment)
        return 0;
    if (strcmp(action, "fail") == 0) {
        if (call == CALL_Finalize) // without it mpirun would take the process for a broken one
            (void)PMPI_Finalize();
        return 1;
    }
    if (strcmp(action, "delay") == 0)
        (void)nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    else if (strcmp(action, "stop") == 0)
        (void)raise(SIGSTOP);
    else if (strcmp(action, "kill") == 0)
        (void)raise(SIGKILL);
    else if (strcmp(action, "cut") != 0 || unsetenv("LD_PRELOAD") != 0 ||
             system("ip link set eth0 down") != 0)
        _exit(126);
    return 0;
}

#define X(name, parameters, arguments)                                                             \
    int MPI_##name parameters {                                                                    \
        return is_to_fail(CALL_##name) ? MPI_ERR_OTHER : PMPI_##name arguments;                    \
    }
CALLS(X)
#undef X
