// SPDX-License-Identifier: MIT
#include "cli/cli.h"

#include "adele/adele.h"
#include "cli/option_list.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// n characters of text: roff must read none of them as a command of its own. A hyphen becomes a
// minus, so that an option can be copied from the page.
static void put_text(const char *text, size_t n) {
    bool is_line_start = true;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (is_line_start && (c == '.' || c == '\''))
            fputs("\\&", stdout);
        if (c == '\\')
            fputs("\\e", stdout);
        else if (c == '-')
            fputs("\\-", stdout);
        else
            putchar(c);
        is_line_start = c == '\n';
    }
}

static void put(const char *text) {
    put_text(text, strlen(text));
}

static void put_styled(char style, const char *text) {
    printf("\\f%c", style);
    put(text);
    fputs("\\fR", stdout);
}

// Paragraphs, with an empty line between two of them.
static void put_paragraphs(const char *text) {
    const char *end;
    for (; (end = strstr(text, "\n\n")) != NULL; text = end + 2) {
        put_text(text, (size_t)(end - text));
        fputs("\n.PP\n", stdout);
    }
    put(text);
}

// "CHECKPOINT|RUN": words in italics, what stands between them not.
static void put_arguments(const char *text) {
    while (*text != '\0') {
        size_t n = strcspn(text, " |[]");
        if (n > 0) {
            fputs("\\fI", stdout);
            put_text(text, n);
            fputs("\\fR", stdout);
        } else {
            putchar(*text);
            n = 1;
        }
        text += n;
    }
}

static void put_head(const char *verb, const char *summary) {
    fputs(".TH ADELE", stdout);
    if (verb != NULL) {
        fputs("\\-", stdout);
        for (const char *c = verb; *c != '\0'; c++)
            putchar(toupper((unsigned char)*c));
    }
    fputs(" 1 \"\" \"adele ", stdout);
    fputs(adele_version(), stdout);
    fputs("\" \"User Commands\"\n.SH NAME\nadele", stdout);
    if (verb != NULL) {
        fputs("\\-", stdout);
        put(verb);
    }
    fputs(" \\- ", stdout);
    put(summary);
    fputs("\n.SH SYNOPSIS\n.B adele", stdout);
    printf("%s%s\n", verb != NULL ? " " : "", verb != NULL ? verb : "");
}

static void put_option(const struct option_entry *option, void *context) {
    (void)context;
    const char *separator = "";
    puts(".TP");
    for (int i = 0; i < option->n_letters; i++) {
        printf("%s\\fB\\-%c\\fR", separator, option->letters[i]);
        separator = ", ";
    }
    for (int i = 0; i < option->n_names; i++) {
        printf("%s\\fB\\-\\-", separator);
        put(option->names[i]);
        fputs("\\fR", stdout);
        separator = ", ";
        if (option->value == NULL)
            continue;
        fputs(option->is_value_optional ? "[=" : "=", stdout);
        put_styled('I', option->value);
        if (option->is_value_optional)
            putchar(']');
    }
    putchar('\n');
    put(option->doc);
    putchar('\n');
}

static void print_verb(const struct cli_verb *verb) {
    const struct argp *argp = verb->argp;
    const char *doc = argp->doc, *rest = strchr(doc, '\v'); // what --help prints after the options
    put_head(verb->name, verb->help);
    fputs("[\\fIOPTION\\fR...] ", stdout);
    if (argp->args_doc != NULL)
        put_arguments(argp->args_doc);
    fputs("\n.SH DESCRIPTION\n", stdout);
    put_text(doc, rest != NULL ? (size_t)(rest - doc) : strlen(doc));
    if (rest != NULL) {
        char *text = (char *)++rest;
        if (argp->help_filter != NULL)
            text = argp->help_filter(ARGP_KEY_HELP_POST_DOC, rest, NULL);
        fputs("\n.PP\n", stdout);
        put_paragraphs(text);
        if (text != rest)
            free(text);
    }
    fputs("\n.SH OPTIONS\n", stdout);
    option_list_visit(argp, put_option, NULL);
    option_list_visit(&option_list_standard, put_option, NULL);
    fputs(".SH SEE ALSO\n.BR adele (1)\n", stdout);
}

static const struct {
    const char *name, *meaning;
} variables[] = {
    {"ADELE_CPU_ISA", "Limits the CPU device to an instruction set: sse41, avx2, avx512 or "
                      "avx512_bf16 (default: the best that the processor has). Results are the "
                      "same bytes for the same instruction set."},
    {"ADELE_RANK_TIMEOUT",
     "Seconds that ranks which work together (mpirun, srun) wait for a sign of "
     "life of each other before all end with an error (default: 600)."},
    {"ADELE_SELFTEST", "off: the kernels of a GPU are not tested, and what an earlier test found "
                       "is ignored; a number: the seconds that a test may take. See "
                       "adele-selftest(1)."},
    {"OMP_NUM_THREADS",
     "The number of threads of the CPU device (default: one for each core; ranks on "
     "one machine share them). Results do not depend on it."},
    {"GOMP_SPINCOUNT, OMP_WAIT_POLICY",
     "How threads wait (default of adele: they spin 1000 times and then sleep; when they never "
     "spin, small networks take up to twice as long, and when they spin longer, training is many "
     "times as slow beside other programs)."},
    {"XDG_CACHE_HOME", "Folder of caches (default: ~/.cache): adele/ in it holds which kernel was "
                       "the fastest for a shape, and what the self-test found."}};

static void print_program(void) {
    put_head(NULL, cli_argp.doc);
    put_arguments(cli_argp.args_doc);
    fputs("\n.SH DESCRIPTION\n", stdout);
    put(cli_argp.doc);
    fputs("\n.SH COMMANDS\nEach has a page of its own.\n", stdout);
    for (size_t i = 0; i < cli_n_verbs; i++) {
        printf(".TP\n.BR adele\\-%s (1)\n", cli_verbs[i].name);
        put(cli_verbs[i].help);
        putchar('\n');
    }
    fputs(".SH OPTIONS\n", stdout);
    option_list_visit(&cli_argp, put_option, NULL);
    fputs(".SH EXIT STATUS\n", stdout);
    put(CLI_EXIT_CODES ".");
    fputs("\n.SH ENVIRONMENT\n", stdout);
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        printf(".TP\n.B %s\n", variables[i].name);
        put(variables[i].meaning);
        putchar('\n');
    }
    fputs(".SH FILES\nConfigurations that are ready to run, and KEYS.md, which explains every "
          "key of a configuration, lie in the folder\n.I share/adele/configs\nof the "
          "installation.\n.SH SEE ALSO\n",
          stdout);
    for (size_t i = 0; i < cli_n_verbs; i++)
        printf(".BR adele\\-%s (1)%s\n", cli_verbs[i].name, i + 1 < cli_n_verbs ? "," : "");
}

void manual_print(const struct cli_verb *verb) {
    if (verb != NULL)
        print_verb(verb);
    else
        print_program();
}
