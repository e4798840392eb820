// SPDX-License-Identifier: MIT
// The ranks of a host share the pixels of the data set. This program is its own rank: with two
// arguments, a part and the folder of a test, it is one of several.
#include "loader/shared_images.h"

#include "base/log.h"
#include "base/memory.h"
#include "loader/run_data.h"
#include "support/mpirun.h"
#include "support/scratch.h"
#include "support/tiny_run.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

// ---- in a rank ----------------------------------------------------------------------------------

// A mapping of this process, from /proc/self/smaps.
struct mapping {
    unsigned long inode, rss_kb, pss_kb;
};

static struct mapping mapping_at(const void *block) {
    FILE *file = fopen("/proc/self/smaps", "r");
    struct mapping found = {0}, now = {0};
    char line[512];
    bool is_it = false;
    REQUIRE(file != NULL);
    while (fgets(line, sizeof line, file) != NULL) {
        unsigned long from, to;
        if (sscanf(line, "%lx-%lx %*s %*s %*s %lu", &from, &to, &now.inode) == 3) {
            is_it = (unsigned long)block >= from && (unsigned long)block < to;
            if (is_it)
                found.inode = now.inode;
        }
        if (is_it) {
            (void)sscanf(line, "Rss: %lu kB", &found.rss_kb);
            (void)sscanf(line, "Pss: %lu kB", &found.pss_kb);
        }
    }
    (void)fclose(file);
    return found;
}

static void require_same(const void *a, const void *b, size_t bytes) {
    REQUIRE((a == NULL) == (b == NULL));
    REQUIRE(a == NULL || memcmp(a, b, bytes) == 0);
}

// What a process alone would have loaded.
static void require_as_loaded(const struct run_data *data, enum dataset_split split) {
    const struct dataset_images *images = &data->images[split];
    struct dataset_images alone;
    REQUIRE(dataset_load(data->dataset, split, split != SPLIT_TRAIN, &alone) == ADELE_OK);
    REQUIRE(images->n == alone.n && images->c == alone.c && images->h == alone.h &&
            images->w == alone.w && images->is_f16 == alone.is_f16);
    size_t planes = (size_t)alone.n * (size_t)alone.c, plane = dataset_images_plane_size(&alone);
    size_t map = (size_t)alone.n * plane;
    require_same(images->images, alone.images, planes * plane * dataset_images_pixel_bytes(&alone));
    require_same(images->mean, alone.mean, planes * sizeof *alone.mean);
    require_same(images->inv_std, alone.inv_std, planes * sizeof *alone.inv_std);
    require_same(images->origin, alone.origin, (size_t)alone.n * sizeof *alone.origin);
    require_same(images->labels, alone.labels, map);
    require_same(images->truth, alone.truth, map);
    require_same(data->resident[split].labels, alone.labels, map);
    dataset_images_deinit(&alone);
}

static int n_warnings;
static void count_warnings(void *context, enum log_level level, const char *line) {
    (void)context;
    if (level == LOG_WARNING && strstr(line, "for this process alone") != NULL)
        n_warnings++;
}

struct here {
    void *folder;
    struct ranks *ranks;
    struct config *config;
    struct adele_device *device;
    struct run_data data;
};

static void load(struct here *here) {
    log_set_sink(count_warnings, NULL);
    here->config = tiny_run_config(&here->folder, NULL);
    REQUIRE(adele_device_open("cpu", ADELE_PRECISION_FP32, &here->device) == ADELE_OK);
    REQUIRE(run_data_load(&here->data, here->config, here->device, here->ranks) == ADELE_OK);
    for (int split = 0; split < SPLIT_TEST; split++)
        require_as_loaded(&here->data, (enum dataset_split)split);
}

static int leave(struct here *here) {
    run_data_deinit(&here->data);
    adele_device_close(here->device);
    config_destroy(here->config);
    ranks_close(here->ranks, false);
    return 0;
}

static void require_shared_pages(struct here *here, enum dataset_split split) {
    const struct resident *resident = &here->data.resident[split];
    const void *pixels = here->data.images[split].images;
    struct mapping all[8], mine;
    REQUIRE(resident->set.images == pixels);                 // and not a copy for the device
    REQUIRE(ranks_agree(here->ranks, ADELE_OK) == ADELE_OK); // all have read all pages
    mine = mapping_at(pixels);
    REQUIRE(ranks_gather(here->ranks, &mine, sizeof mine, all) == ADELE_OK);
    int n = ranks_count(here->ranks);
    REQUIRE(mine.inode != 0 && mine.rss_kb > 0);
    REQUIRE(mine.pss_kb <= mine.rss_kb / (unsigned long)n);
    for (int r = 0; r < n; r++)
        REQUIRE(all[r].inode == mine.inode);
    size_t bytes = (size_t)resident->set.n_images * resident->image_bytes;
    size_t counted = resident_device_bytes(resident), others[8];
    REQUIRE(ranks_gather(here->ranks, &counted, sizeof counted, others) == ADELE_OK);
    REQUIRE(others[0] == others[1] + bytes); // counted once
}

// Each rank rewrites its labels, and no other rank's.
static void require_own_labels(struct here *here) {
    struct dataset_images *images = &here->data.images[SPLIT_TRAIN];
    unsigned char me = (unsigned char)ranks_index(here->ranks);
    images->labels[0] = here->data.resident[SPLIT_TRAIN].labels[0] = me;
    REQUIRE(ranks_agree(here->ranks, ADELE_OK) == ADELE_OK);
    REQUIRE(images->labels[0] == me && here->data.resident[SPLIT_TRAIN].labels[0] == me);
}

static int part_shared(struct here *here) {
    load(here);
    REQUIRE(n_warnings == 0);
    require_shared_pages(here, SPLIT_TRAIN);
    require_shared_pages(here, SPLIT_VAL);
    require_own_labels(here);
    return leave(here);
}

// The first rank gets no shared memory, and all others one line in their log for each split.
static int part_refused(struct here *here) {
    const struct rlimit limit = {64, 64};
    (void)signal(SIGXFSZ, SIG_IGN);
    if (ranks_local_index(here->ranks) == 0)
        REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    load(here);
    REQUIRE(n_warnings == (ranks_local_index(here->ranks) == 0 ? 0 : 3));
    REQUIRE(here->data.resident[SPLIT_TRAIN].set.images != here->data.images[SPLIT_TRAIN].images);
    REQUIRE(here->data.images[SPLIT_TRAIN].pixels.block == NULL);
    return leave(here);
}

// A file that cannot be read: all ranks end with its error, though one alone reads it.
static int part_broken(struct here *here) {
    struct ranks *ranks = here->ranks;
    here->config = tiny_run_config(&here->folder, NULL);
    REQUIRE(adele_device_open("cpu", ADELE_PRECISION_FP32, &here->device) == ADELE_OK);
    adele_status status = run_data_load(&here->data, here->config, here->device, ranks);
    REQUIRE(status != ADELE_OK);
    REQUIRE(strstr(adele_error_message(), "train_003") != NULL);
    here->ranks = NULL;
    (void)leave(here);
    ranks_close(ranks, true);
    return 1;
}

static int run_part(const char *name, char *folder) {
    static const struct {
        const char *name;
        int (*run)(struct here *here);
    } parts[] = {{"shared", part_shared}, {"refused", part_refused}, {"broken", part_broken}};
    struct here here = {.folder = folder};
    REQUIRE(ranks_open(&here.ranks) == ADELE_OK);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strcmp(parts[i].name, name) == 0)
            return parts[i].run(&here);
    return 8;
}

// ---- the tests ----------------------------------------------------------------------------------

static void run(void *const *state, int n_ranks, const char *part, int code) {
    char self[4096];
    struct program_result result;
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(n > 0);
    self[n] = '\0';
    mpirun_run(n_ranks, (const char *const[]){self, part, *state, NULL}, &result);
    if (result.code != code)
        fail_msg("%s: exit code %d, not %d:\n%s", part, result.code, code, result.err);
    program_result_deinit(&result);
}

static void ranks_of_a_host_share_the_pixels(void **state) {
    run(state, 2, "shared", 0);
    run(state, 4, "shared", 0);
}

static void without_shared_memory_each_rank_has_a_copy(void **state) {
    run(state, 2, "refused", 0);
}

static void all_ranks_get_the_error_of_a_file(void **state) {
    FILE *file = fopen(scratch_path(state, "set/imagesTr/train_003_0000.png"), "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    run(state, 2, "broken", 1);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_of_a_host_share_the_pixels),
        cmocka_unit_test(without_shared_memory_each_rank_has_a_copy),
        cmocka_unit_test(all_ranks_get_the_error_of_a_file),
    };
    if (argc > 2)
        return run_part(argv[1], argv[2]);
    if (!mpirun_is_there()) {
        printf("skipped: the tests of several ranks need MPI\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, tiny_run_setup, scratch_teardown);
}
