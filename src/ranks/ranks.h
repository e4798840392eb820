// SPDX-License-Identifier: MIT
// The processes that train together, or divide the cases of an evaluation, prediction or audit. MPI
// calls them ranks, and so does this file. A process on its own is rank 0 of 1 and has no `struct
// ranks`: NULL is legal everywhere here, and then nothing is sent.
//
// Every rank calls the functions below in the same order and with the same sizes ("collective").
// None of them waits for ever, but ranks_open while MPI itself connects the processes: when another
// rank has sent nothing for the time limit, or has ended with an error, they fail with a message
// that names that rank and its host. A run that has seen such a failure ends; the ranks are of no
// use any more.
#ifndef ADELE_RANKS_RANKS_H
#define ADELE_RANKS_RANKS_H

#include "adele/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ranks;

// As how many processes a launcher has started this program; 1 without one.
int ranks_launched(void);
int ranks_launched_index(void); // of this process among them; 0 where the launcher does not say
// Joins the other processes where a launcher (mpirun, srun) has started several; else *out is NULL.
// ADELE_UNSUPPORTED when a launcher has started several and this build has no MPI. Once in a
// process. After an error *out may be set, and ranks_close(*out, true) ends all.
ADELE_MUST_CHECK adele_status ranks_open(struct ranks **out);
// Leaves them, when all have come to this point: after a success, or an interruption, on every
// rank. `failed`: after an error of this rank. All leave, too, when ranks_agree has made it known
// to them; otherwise the other ranks are ended, and this process with them, with exit code 1.
void ranks_close(struct ranks *ranks, bool failed);
// Whether this rank is the one to tell the last failure: rank 0 where all know it, else any, and
// its rank and host come before the message. Waits two seconds where the failure is the loss of
// another rank, which may tell more about it, and end this one.
bool ranks_should_report(struct ranks *ranks, adele_status status);
// "Open MPI v4.1.4"; "" in a build without MPI. Static storage.
const char *ranks_library(void);

int ranks_count(const struct ranks *ranks);                  // 1 for NULL
int ranks_index(const struct ranks *ranks);                  // of this process, from 0
int ranks_local_count(const struct ranks *ranks);            // on this host
int ranks_local_index(const struct ranks *ranks);            // of this process among those
const char *ranks_host(const struct ranks *ranks, int rank); // name of its host; borrowed

// cores.c, collective: finds the cores of each rank and sets OpenMP's number of threads, unless
// OMP_NUM_THREADS is set. The second logs the result; rank 0 warns where a rank has few.
ADELE_MUST_CHECK adele_status ranks_share_cores(struct ranks *ranks);
void ranks_log_cores(const struct ranks *ranks);

// Seconds that a collective waits for another rank; 600 at first.
void ranks_set_time_limit(struct ranks *ranks, double seconds);
double ranks_time_limit(const struct ranks *ranks); // 0 for NULL

// ---- collectives over host memory ---------------------------------------------------------------

// What rank 0 has in `block` comes into that of every other rank.
ADELE_MUST_CHECK adele_status ranks_broadcast(struct ranks *ranks, void *block, size_t bytes);
// `bytes` of each rank, behind each other in `all` (ranks_count * bytes) on every rank.
ADELE_MUST_CHECK adele_status ranks_gather(struct ranks *ranks, const void *mine, size_t bytes,
                                           void *all);
// The same with another size on each rank: *all is allocated (memory_free), rank r's bytes begin at
// starts[r], where the array has ranks_count + 1 entries.
ADELE_MUST_CHECK adele_status ranks_gather_sized(struct ranks *ranks, const void *mine,
                                                 size_t bytes, void **all, size_t *starts);
// Each value becomes its sum over the ranks, the same on every rank.
ADELE_MUST_CHECK adele_status ranks_sum(struct ranks *ranks, int64_t *values, size_t n);
// Each value becomes its largest over the ranks.
ADELE_MUST_CHECK adele_status ranks_max(struct ranks *ranks, int64_t *values, size_t n);
// Rank r sends `to_each + s * bytes` to rank s, which receives it at `from_each + r * bytes`: both
// have ranks_count * bytes, and do not overlap.
ADELE_MUST_CHECK adele_status ranks_exchange(struct ranks *ranks, const void *to_each, size_t bytes,
                                             void *from_each);
// After a part of the work that may fail on some ranks alone: ADELE_OK when `mine` is ADELE_OK on
// all of them; else the error of the lowest rank that failed, on every rank, with the rank and its
// host in the message where it is another one's.
ADELE_MUST_CHECK adele_status ranks_agree(struct ranks *ranks, adele_status mine);
// Whether all ranks know of an error: they may only report it and leave.
bool ranks_have_agreed(const struct ranks *ranks);
// ADELE_INVALID_ARGUMENT after an error that all know, or a collective that failed: a program that
// goes on would wait for others that do not wait for it any more. Not collective.
ADELE_MUST_CHECK adele_status ranks_check_usable(const struct ranks *ranks);
// Not collective: during work that may take longer than the time limit, before a ranks_agree that
// is the next collective of all ranks. Those who wait in it then wait on. Sends now and then, and
// waits for nothing; where that fails, the ranks_agree does, too. Not beside messages of
// ranks_send.
void ranks_tell_alive(struct ranks *ranks);

// ---- messages beside the caller's own work ------------------------------------------------------

// Begun here; the blocks stay as they are until ranks_wait. No other function above follows before
// that. Messages of the same two ranks arrive in the order in which they were sent.
ADELE_MUST_CHECK adele_status ranks_send(struct ranks *ranks, int to, const void *block,
                                         size_t bytes);
ADELE_MUST_CHECK adele_status ranks_receive(struct ranks *ranks, int from, void *block,
                                            size_t bytes);
// Lets the messages go on, and waits for none: a library of messages moves large blocks only while
// it is called.
ADELE_MUST_CHECK adele_status ranks_poll(struct ranks *ranks);
// Until all are done. The time limit counts from here on.
ADELE_MUST_CHECK adele_status ranks_wait(struct ranks *ranks);
// Gives up those that are not done, so that their blocks may be freed; the ranks are of no use
// then. Nothing where all are done.
void ranks_cancel(struct ranks *ranks);

// Bytes that this rank has sent so far.
int64_t ranks_bytes_sent(const struct ranks *ranks);
#endif
