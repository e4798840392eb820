// SPDX-License-Identifier: MIT
// The parent process: starts the child, reads its lines, and starts it again without a family that
// made it end.
#include "selftest/selftest.h"

#include "base/clock.h"
#include "base/fail.h"
#include "base/log.h"
#include "device/identity.h"
#include "device/verdict.h"
#include "selftest/process.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { MAX_ARGUMENTS = 600 };

const char *selftest_fault_name(enum selftest_fault fault) {
    static const char *const names[] = {"wrong", "crashed", "hung"};
    return names[fault];
}

// The state of the running child.
struct watch {
    struct process process;
    double deadline, line_at; // of clock_seconds
    bool is_running;          // a family is running
    bool is_waiting;          // the child waits for the device only
    enum family family;
    char text[512];
};

static void add_finding(struct selftest_result *result, enum family family,
                        enum selftest_fault fault, const char *text) {
    uint64_t bit = family_bit(family);
    if ((result->left_out & bit) != 0)
        return;
    result->left_out |= bit;
    struct selftest_finding *finding = &result->findings[result->n_findings++];
    finding->family = family;
    finding->fault = fault;
    (void)snprintf(finding->text, sizeof finding->text, "%s", text);
}

// ---- the child's lines --------------------------------------------------------------------------

// "run FAMILY TEXT" and "wrong FAMILY TEXT".
static bool parse_family(const char *line, const char *word, enum family *family,
                         const char **text) {
    char name[64];
    int used = 0;
    size_t length = strlen(word);
    uint64_t families;
    if (strncmp(line, word, length) != 0 || sscanf(line + length, " %63s %n", name, &used) != 1 ||
        !families_parse(name, &families))
        return false;
    *text = line + length + used;
    for (int i = 0; i < ADELE_FAMILY_COUNT; i++)
        if (families == family_bit((enum family)i)) {
            *family = (enum family)i;
            return true;
        }
    return false;
}

// Sets *is_done when the child has tested everything.
static adele_status follow_line(struct watch *watch, const char *line,
                                struct selftest_result *result, bool *is_done) {
    const char *text = NULL;
    enum family family;
    // Any other line ends the wait, "back" in particular: the reference of the next case is
    // computed on the CPU, which may take longer than the limit for a device.
    watch->is_waiting = strcmp(line, "wait") == 0;
    if (parse_family(line, "run", &family, &text)) {
        watch->is_running = true;
        watch->family = family;
        (void)snprintf(watch->text, sizeof watch->text, "%s", text);
        result->tested |= family_bit(family);
    } else if (parse_family(line, "wrong", &family, &text)) {
        add_finding(result, family, SELFTEST_WRONG, text);
    } else if (strncmp(line, "lost ", 5) == 0) {
        size_t used = strlen(watch->text);
        (void)snprintf(watch->text + used, sizeof watch->text - used, ": %.200s", line + 5);
    } else if (strcmp(line, "done") == 0) {
        *is_done = true;
    } else if (strncmp(line, "error ", 6) == 0) {
        const char *hint = strchr(line, '\t');
        int length = hint != NULL ? (int)(hint - line - 6) : (int)strlen(line + 6);
        return FAIL(ADELE_DEVICE, hint != NULL ? hint + 1 : "", "the self-test: %.*s", length,
                    line + 6);
    }
    return ADELE_OK;
}

// ---- one child ----------------------------------------------------------------------------------

static adele_status start(const struct selftest_options *options, uint64_t left_out,
                          struct watch *watch) {
    const char *arguments[MAX_ARGUMENTS] = {"adele", "selftest", "--child", "--device",
                                            options->device};
    char left[1200], only[1200], seconds[32];
    int n = 5;
    families_print(left_out, left, sizeof left);
    families_print(options->only, only, sizeof only);
    // The shapes of the network get the time that the small ones leave, minus a reserve for a child
    // that has to be started again.
    (void)snprintf(seconds, sizeof seconds, "%.3f", 0.5 * (watch->deadline - clock_seconds()));
    const char *const fixed[] = {"--left-out", left, "--only", only, "--seconds", seconds};
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        arguments[n++] = fixed[i];
    if (options->config != NULL) {
        arguments[n++] = "--config";
        arguments[n++] = options->config;
    }
    for (int i = 0; i < options->n_sets && n + 3 < MAX_ARGUMENTS; i++) {
        arguments[n++] = "--set";
        arguments[n++] = options->sets[i];
    }
    arguments[n] = NULL;
    watch->is_running = watch->is_waiting = false;
    return process_start(options->program, arguments, &watch->process);
}

static adele_status judge_end(const struct watch *watch, int status,
                              struct selftest_result *result) {
    int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (number == SIGINT || number == SIGTERM)
        return FAIL(ADELE_INTERRUPTED, "", "the self-test was interrupted");
    if (!watch->is_running && number != 0)
        return FAIL(ADELE_DEVICE, "Use --device cpu; or set ADELE_SELFTEST=off to go on without.",
                    "the self-test ended with signal %d before its first kernel", number);
    if (!watch->is_running)
        return FAIL(ADELE_DEVICE, "Use --device cpu; or set ADELE_SELFTEST=off to go on without.",
                    "the self-test ended with code %d before its first kernel",
                    WEXITSTATUS(status));
    add_finding(result, watch->family, SELFTEST_CRASHED, watch->text);
    return ADELE_OK;
}

enum outcome { CHILD_DONE, CHILD_AGAIN, CHILD_LATE };

// The time until which the child has to write a line.
static double patience(const struct selftest_options *options, const struct watch *watch) {
    double stalled = watch->line_at + options->stall_seconds;
    return watch->is_waiting && stalled < watch->deadline ? stalled : watch->deadline;
}

static adele_status watch_child(const struct selftest_options *options, struct watch *watch,
                                struct selftest_result *result, enum outcome *outcome) {
    char line[PROCESS_LINE_BYTES];
    adele_status status = ADELE_OK;
    bool is_done = false;
    enum process_event event = PROCESS_LINE;
    watch->line_at = clock_seconds();
    while (status == ADELE_OK && !is_done) {
        event = process_read(&watch->process, patience(options, watch), line);
        if (event != PROCESS_LINE)
            break;
        watch->line_at = clock_seconds();
        status = follow_line(watch, line, result, &is_done);
    }
    bool is_stalled =
        watch->is_waiting && clock_seconds() >= watch->line_at + options->stall_seconds;
    int ended = process_stop(&watch->process, event == PROCESS_LATE);
    *outcome = CHILD_AGAIN;
    if (status != ADELE_OK || is_done) {
        *outcome = CHILD_DONE;
        return status;
    }
    if (event == PROCESS_END)
        return judge_end(watch, ended, result);
    if (is_stalled)
        add_finding(result, watch->family, SELFTEST_HUNG, watch->text);
    else
        *outcome = CHILD_LATE;
    return ADELE_OK;
}

// ---- the test -----------------------------------------------------------------------------------

adele_status selftest_run(const struct selftest_options *options, struct selftest_result *out) {
    struct watch watch;
    struct device_identity identity;
    struct verdict verdict = {false, 0};
    enum outcome outcome = CHILD_AGAIN;
    memset(out, 0, sizeof *out);
    memset(&watch, 0, sizeof watch);
    device_identify(options->device, &identity);
    if (identity.text[0] == '\0')
        return FAIL(ADELE_UNSUPPORTED, "The self-test is for the kernels of a GPU: cuda, cuda:1.",
                    "device \"%s\": there is no GPU of that name", options->device);
    if (verdict_find(identity.text, &verdict) && !verdict.is_complete)
        out->left_out = verdict.left_out; // a family that ended that test would end this one too
    watch.deadline = clock_seconds() + options->seconds;
    // Each pass disables one more family.
    while (outcome == CHILD_AGAIN && clock_seconds() < watch.deadline) {
        TRY(start(options, out->left_out, &watch));
        TRY(watch_child(options, &watch, out, &outcome));
    }
    out->is_complete = outcome == CHILD_DONE;
    uint64_t all = family_bit(ADELE_FAMILY_COUNT) - 1;
    verdict = (struct verdict){out->is_complete, out->left_out};
    if ((options->only & all) == all)
        verdict_put(identity.text, &verdict);
    return ADELE_OK;
}

// ---- before a training --------------------------------------------------------------------------

static void warn(const char *device, const struct selftest_result *result) {
    for (int i = 0; i < result->n_findings; i++) {
        const struct selftest_finding *finding = &result->findings[i];
        log_line(LOG_WARNING, "self-test of %s: the kernels '%s' are left out, for they %s%s (%s)",
                 device, family_name(finding->family),
                 finding->fault == SELFTEST_WRONG ? "are " : "",
                 selftest_fault_name(finding->fault), finding->text);
    }
    if (!result->is_complete)
        log_line(LOG_WARNING,
                 "self-test of %s: the time was up before the end, the next training goes on "
                 "with it; ADELE_SELFTEST=SECONDS gives it more",
                 device);
}

// The seconds in the environment variable; 0 if there are none.
static double environment_seconds(void) {
    const char *setting = getenv("ADELE_SELFTEST");
    return setting != NULL ? strtod(setting, NULL) : 0.0;
}

static bool is_wanted(const struct device_identity *identity) {
    const char *setting = getenv("ADELE_SELFTEST");
    bool is_on = setting != NULL && (strcmp(setting, "on") == 0 || environment_seconds() > 0.0);
    return identity->text[0] != '\0' && !verdict_is_off() && (identity->is_cuda || is_on);
}

adele_status selftest_before_training(const struct selftest_options *options) {
    struct device_identity identity;
    struct verdict verdict;
    struct selftest_result result;
    struct selftest_options own = *options;
    char names[1200];
    device_identify(options->device, &identity);
    if (!is_wanted(&identity))
        return ADELE_OK;
    if (verdict_find(identity.text, &verdict) && verdict.is_complete) {
        families_print(verdict.left_out, names, sizeof names);
        if (verdict.left_out != 0)
            log_line(LOG_WARNING,
                     "self-test of %s: kernels that it found faulty are left out: %s; `adele "
                     "selftest` runs it again",
                     identity.base, names);
        return ADELE_OK;
    }
    if (environment_seconds() > 0.0)
        own.seconds = own.stall_seconds = environment_seconds();
    log_line(LOG_INFO, "self-test of %s, once, at most %.0f seconds", identity.base, own.seconds);
    TRY(selftest_run(&own, &result));
    warn(identity.base, &result);
    return ADELE_OK;
}
