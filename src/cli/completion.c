// SPDX-License-Identifier: MIT

#include "adele/adele.h"
#include "cli/cli.h"
#include "cli/option_list.h"

#include <stdio.h>
#include <string.h>

static void visit_all(const struct argp *argp,
                      void (*visit)(const struct option_entry *option, void *context),
                      void *context) {
    option_list_visit(argp, visit, context);
    option_list_visit(&option_list_standard, visit, context);
}

static bool takes_verb(const struct cli_verb *verb) {
    return verb->argp->args_doc != NULL && strstr(verb->argp->args_doc, "COMMAND") != NULL;
}

// ---- bash ---------------------------------------------------------------------------------------

static void put_long_names(const struct option_entry *option, void *context) {
    (void)context;
    for (int i = 0; i < option->n_names; i++)
        printf(" --%s", option->names[i]);
}

// Whether the word after the option is its value, of that kind. A value that may be left out is
// never the next word.
static bool is_value(const struct option_entry *option, enum option_value kind) {
    return option->value != NULL && !option->is_value_optional &&
           option_value_kind(option->value) == kind;
}

// All names of an option whose value is of the kind that `context` points to.
static void put_if_value(const struct option_entry *option, void *context) {
    const enum option_value *kind = context;
    if (!is_value(option, *kind))
        return;
    put_long_names(option, NULL);
    for (int i = 0; i < option->n_letters; i++)
        printf(" -%c", option->letters[i]);
}

static void put_word(const char *word, int length) {
    printf(" %.*s", length, word);
}

// The names of the option as a pattern of `case $before`, and the words that may follow it.
static void put_values(const struct option_entry *option, void *context) {
    (void)context;
    const char *separator = "";
    bool is_key = is_value(option, OPTION_VALUE_KEY);
    if (!is_key && !is_value(option, OPTION_VALUE_CHOICE))
        return;
    fputs("        ", stdout);
    for (int i = 0; i < option->n_names; i++, separator = " | ")
        printf("%s--%s", separator, option->names[i]);
    for (int i = 0; i < option->n_letters; i++, separator = " | ")
        printf("%s-%c", separator, option->letters[i]);
    fputs(") values=\"", stdout);
    if (is_key)
        fputs("$keys", stdout);
    else
        option_value_visit(option->value, put_word);
    fputs("\" ;;\n", stdout);
}

static void put_keys(const char *separator) {
    struct adele_config_key key;
    for (int i = 0; adele_config_key(i, &key); i++)
        printf("%s%s=", separator, key.name);
}

static void put_verb_names(void) {
    for (size_t i = 0; i < cli_n_verbs; i++)
        printf(" %s", cli_verbs[i].name);
}

static void put_bash_case(const struct cli_verb *verb) {
    static const char *const lists[] = {[OPTION_VALUE_ANY] = "with_text",
                                        [OPTION_VALUE_FOLDER] = "with_folder",
                                        [OPTION_VALUE_FILE] = "with_file"};
    printf("    %s)\n        options=\"", verb->name);
    visit_all(verb->argp, put_long_names, NULL);
    if (takes_verb(verb))
        fputs("\"\n        words=\"$verbs", stdout);
    for (enum option_value kind = OPTION_VALUE_ANY; kind <= OPTION_VALUE_FILE; kind++) {
        printf("\"\n        %s=\"", lists[kind]);
        option_list_visit(verb->argp, put_if_value, &kind);
        putchar(' '); // the last name has a blank on both sides, like the others
    }
    fputs("\"\n        case $before in\n", stdout);
    option_list_visit(verb->argp, put_values, NULL);
    fputs("        esac\n        ;;\n", stdout);
}

void completion_print_bash(void) {
    fputs("# Completion of adele for bash; made by `adele help --completion bash`.\n"
          "_adele() {\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}\n"
          "    local options= words= values= with_text= with_folder= with_file= verbs=\"",
          stdout);
    put_verb_names();
    fputs("\" keys=\"", stdout);
    put_keys(" ");
    fputs("\"\n    COMPREPLY=()\n"
          "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
          "        mapfile -t COMPREPLY < <(compgen -W \"$verbs",
          stdout);
    option_list_visit(&cli_argp, put_long_names, NULL);
    fputs("\" -- \"$word\")\n        return\n    fi\n"
          "    # bash breaks --run=DIR into three words.\n"
          "    if [ \"$word\" = \"=\" ]; then\n"
          "        word=\n"
          "    elif [ \"$before\" = \"=\" ]; then\n"
          "        before=${COMP_WORDS[COMP_CWORD - 2]}\n"
          "    fi\n"
          "    case ${COMP_WORDS[1]} in\n",
          stdout);
    for (size_t i = 0; i < cli_n_verbs; i++)
        put_bash_case(&cli_verbs[i]);
    fputs("    esac\n"
          "    if [ -n \"$values\" ]; then\n"
          "        mapfile -t COMPREPLY < <(compgen -W \"$values\" -- \"$word\")\n"
          "        if [[ ${COMPREPLY[0]-} == *= ]]; then\n"
          "            compopt -o nospace # the value of the key follows\n"
          "        fi\n"
          "    elif [[ $with_text == *\" $before \"* ]]; then\n"
          "        return\n"
          "    elif [[ $with_folder == *\" $before \"* ]]; then\n"
          "        compopt -o filenames\n"
          "        mapfile -t COMPREPLY < <(compgen -d -- \"$word\")\n"
          "    elif [[ $with_file != *\" $before \"* && $word == -* ]]; then\n"
          "        mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$word\")\n"
          "    elif [[ $with_file != *\" $before \"* && -n $words ]]; then\n"
          "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
          "    else\n"
          "        compopt -o filenames\n"
          "        mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
          "    fi\n"
          "}\n"
          "complete -F _adele adele\n",
          stdout);
}

// ---- zsh ----------------------------------------------------------------------------------------

// Text between single quotes of the shell; `special` are the characters that _arguments gives a
// meaning to at this place.
static void put_quoted(const char *text, const char *special) {
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            fputs("'\\'", stdout);
        else if (*text == '\\' || strchr(special, *text) != NULL)
            putchar('\\');
        putchar(*text);
    }
}

// '*'{-r+,--run=}'[Folder of the run]:DIR:_files -/', for example.
static void put_zsh_option(const struct option_entry *option, void *context) {
    (void)context;
    const char *letter_end = "", *name_end = "", *separator = "";
    bool is_list = option->n_letters + option->n_names > 1;
    if (option->value != NULL) {
        letter_end = option->is_value_optional ? "-" : "+";
        name_end = option->is_value_optional ? "=-" : "=";
    }
    printf(" \\\n            '*'%s", is_list ? "{" : "");
    for (int i = 0; i < option->n_letters; i++, separator = ",")
        printf("%s'-%c%s'", separator, option->letters[i], letter_end);
    for (int i = 0; i < option->n_names; i++, separator = ",")
        printf("%s--%s%s", separator, option->names[i], name_end);
    printf("%s'[", is_list ? "}" : "");
    put_quoted(option->doc, "[]");
    putchar(']');
    if (option->value != NULL) {
        static const char *const actions[] = {[OPTION_VALUE_ANY] = " ",
                                              [OPTION_VALUE_FOLDER] = "_files -/",
                                              [OPTION_VALUE_FILE] = "_files",
                                              [OPTION_VALUE_KEY] = "{compadd -S \"\" -a keys}",
                                              [OPTION_VALUE_CHOICE] = "("};
        enum option_value kind = option_value_kind(option->value);
        fputs(option->is_value_optional ? "::" : ":", stdout);
        put_quoted(option->value, ":");
        printf(":%s", actions[kind]);
        if (kind == OPTION_VALUE_CHOICE) {
            option_value_visit(option->value, put_word);
            fputs(" )", stdout);
        }
    }
    putchar('\'');
}

static void put_zsh_case(const struct cli_verb *verb) {
    printf("    %s)\n        _arguments -s -S", verb->name);
    visit_all(verb->argp, put_zsh_option, NULL);
    if (verb->argp->args_doc != NULL) {
        fputs(" \\\n            '*:", stdout);
        put_quoted(verb->argp->args_doc, ":");
        if (takes_verb(verb)) {
            fputs(":(", stdout);
            put_verb_names();
            fputs(" )'", stdout);
        } else {
            fputs(":_files'", stdout);
        }
    }
    fputs("\n        ;;\n", stdout);
}

void completion_print_zsh(void) {
    fputs("#compdef adele\n"
          "# Completion of adele for zsh; made by `adele help --completion zsh`.\n"
          "_adele() {\n"
          "    local -a verbs keys\n"
          "    keys=(",
          stdout);
    put_keys(" ");
    fputs(" )\n    verbs=(\n", stdout);
    for (size_t i = 0; i < cli_n_verbs; i++) {
        printf("        '%s:", cli_verbs[i].name);
        put_quoted(cli_verbs[i].help, ":");
        puts("'");
    }
    fputs("    )\n"
          "    if (( CURRENT == 2 )); then\n"
          "        _describe verb verbs\n"
          "        _arguments",
          stdout);
    option_list_visit(&cli_argp, put_zsh_option, NULL);
    fputs("\n        return\n    fi\n"
          "    local verb=$words[2]\n"
          "    shift words\n"
          "    (( CURRENT-- ))\n"
          "    case $verb in\n",
          stdout);
    for (size_t i = 0; i < cli_n_verbs; i++)
        put_zsh_case(&cli_verbs[i]);
    fputs(
        "    esac\n"
        "}\n"
        "# zsh calls the file itself for the first completion; read by `source`, it is announced.\n"
        "if [ \"$funcstack[1]\" = _adele ]; then\n"
        "    _adele \"$@\"\n"
        "else\n"
        "    compdef _adele adele\n"
        "fi\n",
        stdout);
}
