// SPDX-License-Identifier: MIT
// The program with one of its calls failing, each in turn: allocations, opens, reads, writes,
// fsyncs, renames. It ends with exit code 1, one line and a hint; the last checkpoint is good, and
// --resume leaves the files of a run that met no fault.
//
// Strided, so that it takes a minute; with ADELE_FAULTS_ALL in the environment every call has its
// turn (target faults-all).
#include "base/file.h"
#include "base/memory.h"
#include "support/faults.h"
#include "support/inside.h"
#include "support/program.h"
#include "support/scratch.h"
#include "support/simt_devices.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

// Faults of a kind for `adele train` and for every other verb, unless all are wanted.
#define N_TRAIN_FAULTS 6
#define N_VERB_FAULTS  3
#define N_LAST_CALLS   32 // of a verb: every fourth of them fails as well

static long n_injected, n_clean, n_survived;
static long train_calls[FAULT_COUNT]; // of the run "base"
static int n_bad;                     // of the test that runs

// Says what is wrong and lets the other faults have their turn; the test fails at its end.
#define COMPLAIN(...) (n_bad++, print_error(__VA_ARGS__))

static void run(struct inside_result *result, enum fault_kind kind, long i,
                const char *const *argv) {
    inside_run(argv, kind, i, result);
}

static const char *const *train_argv(void *const *state, const char *run_name) {
    static const char *argv[12];
    static char config[4096], folder[4096];
    (void)snprintf(config, sizeof config, "%s", scratch_path(state, "tiny.yaml"));
    (void)snprintf(folder, sizeof folder, "%s", scratch_path(state, run_name));
    const char *const words[] = {"adele",    "train", config,
                                 "--run",    folder,  tiny_run_resume(folder),
                                 "--device", "cpu",   NULL};
    memcpy(argv, words, sizeof words);
    return argv;
}

static void assert_ok(const struct inside_result *result) {
    if (result->code != 0)
        fail_msg("exit code %d\n%.900s", result->code, result->err);
}

// Trains "base", the run that met no fault. Everything that computes runs in children, so that
// these are forked from a process without threads.
static int setup(void **state) {
    if (scratch_setup(state) != 0)
        return -1;
    struct tiny_set set = tiny_set_default(3);
    set.n_train = 6; // a batch of four and one of two
    set.n_val = set.n_test = 1;
    set.noise_px = 2;
    tiny_set_write(scratch_path(state, "set"), &set);
    simt_devices_provide();
    char *text = tiny_set_config(scratch_path(state, "set"), scratch_path(state, "set/noisyTr"));
    char *whole = memory_printf("%s", text);
    assert_non_null(whole);
    char *epochs = strstr(whole, "epochs: 5");
    assert_non_null(epochs);
    epochs[8] = '4';
    check_ok(file_write(scratch_path(state, "tiny.yaml"), whole, strlen(whole)));
    memory_free(text);
    memory_free(whole);
    struct inside_result result;
    run(&result, FAULT_MEMORY, -1, train_argv(state, "base"));
    assert_ok(&result);
    memcpy(train_calls, result.n_calls, sizeof train_calls);
    inside_result_deinit(&result);
    // A run of `table`, which is kept: processes of their own would not meet the faults.
    char config[4096], folder[4096];
    (void)snprintf(config, sizeof config, "%s", scratch_path(state, "tiny.yaml"));
    (void)snprintf(folder, sizeof folder, "%s", scratch_path(state, "runs/tiny_seed0"));
    run(&result, FAULT_MEMORY, -1,
        (const char *const[]){"adele", "train", config, "--run", folder, "--device", "cpu", "--set",
                              "train.seed=0", NULL});
    assert_ok(&result);
    inside_result_deinit(&result);
    static const char scores[] = "case,class,unit,labelled,predicted,both,iou,dice,hd95,assd,"
                                 "boundary_iou,lesion_tp,lesion_fp,lesion_fn\n"
                                 "a,x,px,2,2,1,0.5,0.6,1,1,0.5,1,0,0\n"
                                 "b,x,px,2,2,1,0.7,0.8,2,1,0.5,1,0,0\n";
    check_ok(file_write(scratch_path(state, "scores.csv"), scores, sizeof scores - 1));
    return 0;
}

static int teardown(void **state) {
    print_message("faults injected %ld, clean errors %ld, without effect %ld\n", n_injected,
                  n_clean, n_survived);
    (void)umount2(scratch_path(state, "full"), MNT_DETACH); // of a test that failed in between
    return scratch_teardown(state);
}

static void the_base_has_a_correction(void **state) {
    assert_true(tiny_run_metric(state, "base", 4, "correction/changed_pixels") >= 1.0);
}

// ---- what must hold after a fault ---------------------------------------------------------------

// Exit code 1, "adele: error: ..." once and alone on its line, and a hint behind it.
static void assert_clean(const struct inside_result *result, enum fault_kind kind, long i) {
    const char *line = strstr(result->err, "adele: error: ");
    const char *end = line ? strchr(line, '\n') : NULL;
    bool is_clean = result->code == 1 && end && end > line + strlen("adele: error: ") &&
                    strncmp(end + 1, "  hint: ", 8) == 0 && strlen(end + 1) > 10 &&
                    strchr(end + 1, '\n') == strrchr(end + 1, '\n') &&
                    !strstr(line + 1, "adele: error: ");
    if (!is_clean)
        COMPLAIN("%s %ld: exit code %d and\n%.1000s\n", fault_name(kind), i, result->code,
                 result->err);
}

// Temporary files begin with a dot, which file_list_directory leaves out.
static void assert_no_temporaries(const char *run_folder, const char *name, enum fault_kind kind,
                                  long i) {
    char path[4200];
    (void)snprintf(path, sizeof path, "%s/%s", run_folder, name);
    DIR *entries = opendir(path);
    for (const struct dirent *entry = entries ? readdir(entries) : NULL; entry;
         entry = readdir(entries))
        if (strstr(entry->d_name, FILE_TEMPORARY_MARK))
            COMPLAIN("%s %ld: %s/%s is left", fault_name(kind), i, path, entry->d_name);
    if (entries)
        (void)closedir(entries);
}

// The checkpoint, if there is one yet, is whole; then the run is continued to its end.
static void assert_resumes(void *const *state, const char *name, enum fault_kind kind, long i) {
    struct inside_result result;
    char folder[4096], last[4200];
    (void)snprintf(folder, sizeof folder, "%s", scratch_path(state, name));
    (void)snprintf(last, sizeof last, "%s/checkpoints/last.safetensors", folder);
    assert_no_temporaries(folder, ".", kind, i);
    assert_no_temporaries(folder, "labels", kind, i);
    assert_no_temporaries(folder, "checkpoints", kind, i);
    if (file_exists(last)) {
        run(&result, FAULT_MEMORY, -1,
            (const char *const[]){"adele", "evaluate", last, "--device", "cpu", NULL});
        if (result.code != 0)
            COMPLAIN("%s %ld: the checkpoint that was left: %s", fault_name(kind), i, result.err);
        inside_result_deinit(&result);
    }
    run(&result, FAULT_MEMORY, -1, train_argv(state, name));
    if (result.code != 0)
        COMPLAIN("%s %ld: --resume: %s", fault_name(kind), i, result.err);
    inside_result_deinit(&result);
    tiny_run_assert_same(state, "base", name);
}

// Number k of n_wanted among `n` calls, spread over all of them; the last is call n - 1.
static long call_of(long k, long n_wanted, long n) {
    return n_wanted >= n ? k : (long)((double)k * (double)(n - 1) / (double)(n_wanted - 1));
}

static long faults_wanted(long n, long n_strided) {
    return getenv("ADELE_FAULTS_ALL") || n < n_strided ? n : n_strided;
}

// Runs with call i failing; false: the program did not need the call, and ended well.
static bool inject(enum fault_kind kind, long i, const char *const *argv) {
    struct inside_result result;
    run(&result, kind, i, argv);
    n_injected++;
    bool has_failed = result.code != 0;
    // `check` lists what it finds, a file that cannot be read too, on standard output.
    bool is_listed = strcmp(argv[1], "check") == 0 && result.code == 1 && !result.err[0] &&
                     strstr(result.out, "error");
    if (has_failed) {
        if (!is_listed)
            assert_clean(&result, kind, i);
        n_clean++;
    } else {
        n_survived++;
    }
    inside_result_deinit(&result);
    return has_failed;
}

// Of a run in which nothing fails.
static void count_calls(void *const *state, const char *const *argv, long *n_calls) {
    struct inside_result result;
    check_ok(file_remove_tree(scratch_path(state, "out")));
    run(&result, FAULT_MEMORY, -1, argv);
    assert_ok(&result);
    memcpy(n_calls, result.n_calls, sizeof result.n_calls);
    inside_result_deinit(&result);
}

// `n` calls of that kind are there to fail.
static void verb_with(void *const *state, enum fault_kind kind, long n, const char *const *argv) {
    long n_wanted = faults_wanted(n, N_VERB_FAULTS);
    for (long k = 0; k < n_wanted; k++) {
        check_ok(file_remove_tree(scratch_path(state, "out")));
        (void)inject(kind, call_of(k, n_wanted, n), argv);
    }
    // Results are written last: a few calls out of thousands are theirs.
    for (long i = n_wanted < n ? n - N_LAST_CALLS : n; i < n; i += 4) {
        check_ok(file_remove_tree(scratch_path(state, "out")));
        if (i >= 0)
            (void)inject(kind, i, argv);
    }
}

// ---- train --------------------------------------------------------------------------------------

// The emulator is slow: one step is enough to see all that is allocated.
static void train_on_device(void *const *state) {
#ifdef ADELE_HAVE_SIMT
    char config[4096], folder[4096];
    (void)snprintf(config, sizeof config, "%s", scratch_path(state, "tiny.yaml"));
    (void)snprintf(folder, sizeof folder, "%s", scratch_path(state, "out"));
    const char *const argv[] = {"adele",    "train", config,      "--run", folder,
                                "--device", "simt",  "--profile", "1",     NULL};
    long n_calls[FAULT_COUNT];
    count_calls(state, argv, n_calls);
    assert_true(n_calls[FAULT_DEVICE] > 0);
    verb_with(state, FAULT_DEVICE, n_calls[FAULT_DEVICE], argv);
#else
    (void)state;
    skip();
#endif
}

static void train_with(void *const *state, enum fault_kind kind) {
    n_bad = 0;
    if (kind == FAULT_DEVICE) {
        train_on_device(state);
        assert_int_equal(n_bad, 0);
        return;
    }
    long n = train_calls[kind];
    assert_true(n > 0);
    long n_wanted = faults_wanted(n, N_TRAIN_FAULTS);
    print_message("train: %ld of %ld calls: %s\n", n_wanted, n, fault_name(kind));
    for (long k = 0; k < n_wanted; k++) {
        long i = call_of(k, n_wanted, n);
        check_ok(file_remove_tree(scratch_path(state, "run")));
        if (inject(kind, i, train_argv(state, "run")))
            assert_resumes(state, "run", kind, i);
        else
            tiny_run_assert_same(state, "base", "run");
    }
    assert_int_equal(n_bad, 0);
}

#define TRAIN_TEST(kind, name, even, odd)                                                          \
    static void train_##kind(void **state) {                                                       \
        train_with(state, FAULT_##kind);                                                           \
    }
FAULT_KINDS(TRAIN_TEST)

// ---- no space, no right -------------------------------------------------------------------------

#define FULL_RUN "full/run"

// A file system with so many bytes; false where this process may not mount one.
static bool mount_small(void *const *state, long bytes) {
    char options[64];
    (void)snprintf(options, sizeof options, "size=%ld", bytes);
    check_ok(file_make_directory(scratch_path(state, "full")));
    if (mount("tmpfs", scratch_path(state, "full"), "tmpfs", 0, options) == 0)
        return true;
    print_message("no right to mount a small file system: skipped\n");
    return false;
}

static void remount(void *const *state, unsigned long flags, const char *options) {
    const char *path = scratch_path(state, "full");
    assert_int_equal(mount("tmpfs", path, "tmpfs", MS_REMOUNT | flags, options), 0);
}

static void unmount(void *const *state) {
    assert_int_equal(umount(scratch_path(state, "full")), 0);
}

static long folder_bytes(const char *path) {
    struct file_list list;
    long sum = 0;
    check_ok(file_list_directory(path, &list));
    for (int i = 0; i < list.n; i++) {
        char *name = file_join(path, list.names[i]);
        struct stat info;
        assert_int_equal(stat(name, &info), 0);
        sum += S_ISDIR(info.st_mode) ? folder_bytes(name) : (long)info.st_size;
        memory_free(name);
    }
    file_list_deinit(&list);
    return sum;
}

// The disk is full after so many bytes, which a run may meet or not; then somebody makes room.
static void run_on_full_disk(void *const *state, long bytes) {
    bool is_full = inject(FAULT_WRITE, -bytes, train_argv(state, FULL_RUN));
    remount(state, 0, "size=64m");
    if (is_full)
        assert_resumes(state, FULL_RUN, FAULT_WRITE, -bytes);
    else
        tiny_run_assert_same(state, "base", FULL_RUN);
}

static void a_disk_that_fills_up(void **state) {
    n_bad = 0;
    long n_pages = folder_bytes(scratch_path(state, "base")) / 4096;
    long n_wanted = faults_wanted(n_pages, N_TRAIN_FAULTS);
    for (long k = 0; k < n_wanted; k++) {
        long bytes = 4096 * (4 + call_of(k, n_wanted, n_pages));
        if (!mount_small(state, bytes))
            skip();
        run_on_full_disk(state, bytes);
        unmount(state);
    }
    assert_int_equal(n_bad, 0);
}

// Root may write everywhere but where the file system says no.
static void a_disk_that_is_read_only(void **state) {
    n_bad = 0;
    if (!mount_small(state, 1 << 20))
        skip();
    remount(state, MS_RDONLY, NULL);
    char base[4096], out[4096];
    (void)snprintf(base, sizeof base, "%s", scratch_path(state, "base"));
    (void)snprintf(out, sizeof out, "%s", scratch_path(state, "full/out"));
    const char *const labels_argv[] = {"adele", "labels", base, "-o", out, NULL};
    const char *const report_argv[] = {"adele", "report", base, "-o", out, NULL};
    const char *const *const all[] = {labels_argv, report_argv, train_argv(state, FULL_RUN)};
    for (long i = 0; i < 3; i++)
        assert_true(inject(FAULT_WRITE, -1 - i, all[i]));
    unmount(state);
    assert_int_equal(n_bad, 0);
}

// What was not printed has not been done.
static void output_that_does_not_arrive(void **state) {
    (void)state;
    n_bad = 0;
    if (!file_exists("/dev/full"))
        skip();
    assert_int_equal(setenv("ADELE_FAULTS_OUT", "/dev/full", 1), 0);
    assert_true(inject(FAULT_WRITE, -1, (const char *const[]){"adele", "info", NULL}));
    assert_int_equal(unsetenv("ADELE_FAULTS_OUT"), 0);
    assert_int_equal(n_bad, 0);
}

// ---- the other verbs ----------------------------------------------------------------------------

#define VERB_TEST(name, ...)                                                                       \
    static void name(void **state) {                                                               \
        char base[4096], out[4096], set[4096], images[4096], config[4096], scores[4096],           \
            yaml[4096], runs[4096];                                                                \
        (void)snprintf(base, sizeof base, "%s", scratch_path(state, "base"));                      \
        (void)snprintf(out, sizeof out, "%s", scratch_path(state, "out"));                         \
        (void)snprintf(set, sizeof set, "%s", scratch_path(state, "set"));                         \
        (void)snprintf(images, sizeof images, "%s", scratch_path(state, "set/imagesTs"));          \
        (void)snprintf(config, sizeof config, "%s", scratch_path(state, "tiny.yaml"));             \
        (void)snprintf(scores, sizeof scores, "%s", scratch_path(state, "scores.csv"));            \
        (void)snprintf(yaml, sizeof yaml, "%s", scratch_path(state, "out/new.yaml"));              \
        (void)snprintf(runs, sizeof runs, "%s", scratch_path(state, "runs"));                      \
        const char *const all[] = {base, out, set, images, config, scores, yaml, runs};            \
        assert_non_null(all[0]);                                                                   \
        n_bad = 0;                                                                                 \
        const char *const argv[] = {"adele", __VA_ARGS__, NULL};                                   \
        long n_calls[FAULT_COUNT];                                                                 \
        count_calls(state, argv, n_calls);                                                         \
        for (int kind = 0; kind < FAULT_COUNT; kind++)                                             \
            verb_with(state, (enum fault_kind)kind, n_calls[kind], argv);                          \
        assert_int_equal(n_bad, 0);                                                                \
    }
VERB_TEST(dry_run, "train", config, "--dry-run", "--device", "cpu", "--set", "train.batch=2")
VERB_TEST(labels, "labels", base, "-o", out)
VERB_TEST(predict, "predict", base, "-i", images, "-o", out, "--probabilities", "--device", "cpu")
VERB_TEST(predict_windows, "predict", base, "-i", images, "-o", out, "--window", "20,20",
          "--device", "cpu")
VERB_TEST(evaluate, "evaluate", base, "--json", out, "--device", "cpu")
VERB_TEST(export, "export", base, "-o", out)
VERB_TEST(evaluate_cases, "evaluate", base, "--csv", out, "--device", "cpu")
VERB_TEST(compare, "compare", scores, scores)
VERB_TEST(audit, "audit", base, "-o", out, "--mask-doubtful", "255", "--overlays", "2", "--device",
          "cpu")
VERB_TEST(table, "table", config, "--seeds", "0", "-o", runs, "--device", "cpu")
VERB_TEST(noise, "noise", set, "-o", out, "--target-miou", "0.8")
VERB_TEST(report, "report", base, "-o", out)
VERB_TEST(check, "check", set)
VERB_TEST(init, "init", set, "-o", yaml, "--device", "cpu")

int main(int argc, char **argv) {
    // Threads that spin would take minutes beside other tests; OpenMP reads both when it is loaded.
    if (argc > 0 && !getenv("ADELE_FAULTS_STARTED")) {
        (void)setenv("ADELE_FAULTS_STARTED", "1", 1);
        (void)setenv("OMP_WAIT_POLICY", "passive", 1);
        (void)setenv("OMP_NUM_THREADS", "1", 1);
        (void)execv("/proc/self/exe", argv); // comes back when it failed: then it is slower
    }
    if (argc > 1)
        cmocka_set_test_filter(argv[1]); // test_faults 'train_*'
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_base_has_a_correction),
#define TRAIN_ROW(kind, name, even, odd) cmocka_unit_test(train_##kind),
        FAULT_KINDS(TRAIN_ROW)
#undef TRAIN_ROW
            cmocka_unit_test(a_disk_that_fills_up),
        cmocka_unit_test(a_disk_that_is_read_only),
        cmocka_unit_test(output_that_does_not_arrive),
        cmocka_unit_test(dry_run),
        cmocka_unit_test(labels),
        cmocka_unit_test(predict),
        cmocka_unit_test(predict_windows),
        cmocka_unit_test(evaluate),
        cmocka_unit_test(export),
        cmocka_unit_test(evaluate_cases),
        cmocka_unit_test(compare),
        cmocka_unit_test(audit),
        cmocka_unit_test(table),
        cmocka_unit_test(noise),
        cmocka_unit_test(report),
        cmocka_unit_test(check),
        cmocka_unit_test(init),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
