// SPDX-License-Identifier: MIT
#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "infer/run_folder.h"
#include "run/claim.h"
#include "run/trainer.h"
#include "selftest/selftest.h"

#include <argp.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SETS 256

struct arguments {
    const char *config, *run, *device;
    const char *sets[MAX_SETS];
    int n_sets;
    int resume;
    long n_profile_steps; // 0 = no profile
};

#define KEY_PROFILE 256

static const struct argp_option options[] = {
    {"set", 's', "KEY=VALUE", 0, "Override a key of the configuration (may be repeated)", 0},
    {"run", 'r', "DIR", 0, "Folder of the run (default: runs/CONFIG-NAME)", 0},
    {"resume", 'c', 0, 0, "Continue the run from its last checkpoint", 0},
    {"device", 'd', "NAME", 0,
     "auto, cpu, cuda or cuda:N; /ENGINE behind it forces one: cpu/direct, cuda/cudnn (default: "
     "auto)",
     0},
    {"profile", KEY_PROFILE, "N", 0,
     "Stop after N steps, without a checkpoint, and name the ops for a profiler (tools/profile)",
     0},
    {0}};

static error_t parse(int key, char *value, struct argp_state *state) {
    struct arguments *arguments = state->input;
    char *end;
    switch (key) {
    case 's':
        if (arguments->n_sets == MAX_SETS)
            argp_error(state, "more than %d --set", MAX_SETS);
        arguments->sets[arguments->n_sets++] = value;
        return 0;
    case 'r':
        arguments->run = value;
        return 0;
    case 'c':
        arguments->resume = 1;
        return 0;
    case 'd':
        arguments->device = value;
        return 0;
    case KEY_PROFILE:
        arguments->n_profile_steps = strtol(value, &end, 10);
        if (end == value || *end || arguments->n_profile_steps < 1)
            argp_error(state, "--profile '%s' is not a number of steps", value);
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->config)
            argp_error(state, "one CONFIG only; '%s' is too much", value);
        arguments->config = value;
        return 0;
    case ARGP_KEY_END:
        if (!arguments->config)
            argp_error(state, "name a configuration file");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void draw_step(void *context, int epoch, int n_epochs, int step, int n_steps) {
    char text[64];
    snprintf(text, sizeof text, "epoch %d/%d", epoch, n_epochs);
    progress_draw(context, (epoch - 1 + (double)step / n_steps) / n_epochs, text);
}

static adele_status train(const struct arguments *arguments, const struct config *config,
                          const char *run) {
    char *log_path = file_join(run, "log.txt");
    struct progress progress;
    struct trainer_result result;
    adele_status status = log_path ? run_folder_claim(config, run, arguments->resume != 0)
                                   : FAIL_NO_MEMORY(strlen(run));
    if (status == ADELE_OK)
        status = progress_init(&progress, log_path);
    memory_free(log_path);
    if (status != ADELE_OK)
        return status;
    struct trainer_options trainer = {.config = config,
                                      .run_folder = run,
                                      .resume = arguments->resume != 0,
                                      .device = arguments->device,
                                      .n_profile_steps = arguments->n_profile_steps,
                                      .on_step = draw_step,
                                      .should_stop = progress_should_stop,
                                      .context = &progress};
    struct selftest_options test = {.program = "/proc/self/exe",
                                    .device = arguments->device,
                                    .config = arguments->config,
                                    .sets = arguments->sets,
                                    .n_sets = arguments->n_sets,
                                    .seconds = SELFTEST_SECONDS,
                                    .stall_seconds = SELFTEST_STALL_SECONDS,
                                    .only = ~(uint64_t)0};
    status = selftest_before_training(&test);
    if (status == ADELE_OK)
        status = trainer_run(&trainer, &result);
    progress_deinit(&progress);
    if (status != ADELE_OK)
        return status;
    if (arguments->n_profile_steps > 0) {
        printf("profiled; no checkpoint was written\n");
        return ADELE_OK;
    }
    printf("done: %d epoch%s in %s\n", result.n_epochs, result.n_epochs == 1 ? "" : "s", run);
    if (isfinite(result.test_miou))
        printf("test foreground mIoU of the last epoch: %.4f\n", result.test_miou);
    return ADELE_OK;
}

const struct argp train_argp = {
    options,
    parse,
    "CONFIG.yaml",
    "Trains a network on doubtful labels and corrects them.\vThe run's folder gets the "
    "resolved "
    "configuration, metrics, checkpoints and labels. configs/KEYS.md explains every key.\n\n"
    "--resume says which settings differ from the run's. These may: name, where the data lie, "
    "data.memory_limit_mb, data.residency, train.epochs, train.iterations, train.on_nan, "
    "train.checkpoint_every, train.evaluate_every, train.evaluate_test, and --device. Any other "
    "would make the result a mixture of two runs and is refused.\n\n"
    "Results are the same bytes for the same instruction set: ADELE_CPU_ISA=avx2 in the "
    "environment (or sse41, avx512, avx512_bf16) limits the CPU to one. On a GPU that is new to "
    "this build the kernels are tested first, see `adele selftest`; ADELE_SELFTEST=off does "
    "without.",
    0,
    0,
    0};

int verb_train(int argc, char **argv) {
    struct arguments arguments = {.device = "auto"};
    argp_err_exit_status = CLI_USAGE;
    argp_parse(&train_argp, argc, argv, 0, 0, &arguments);
    if (arguments.n_profile_steps > 0)
        (void)setenv("ADELE_NVTX", "1", 0); // the CUDA device reads it when it opens
    struct config *config = NULL;
    adele_status status = config_load(arguments.config, arguments.n_sets, arguments.sets, &config);
    if (status != ADELE_OK)
        return cli_report_failure(status);
    char *run = arguments.run ? memory_strdup(arguments.run) : file_join("runs", config->name);
    status = run ? ADELE_OK : FAIL_NO_MEMORY(strlen(config->name));
    if (status == ADELE_OK && arguments.resume)
        status = run_paths_resolve(run, NULL, config);
    if (status == ADELE_OK)
        status = train(&arguments, config, run);
    int code = status == ADELE_OK ? CLI_OK : cli_report_failure(status);
    memory_free(run);
    config_destroy(config);
    return code;
}
