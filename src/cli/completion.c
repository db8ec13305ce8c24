/* SPDX-License-Identifier: Apache-2.0 */

/* Both scripts are whole programs printed from the rows, not tables read by a generic one: what the
 * shell runs at a key press is then a few case statements, and needs no holm except to ask for the
 * languages. They say what the help says, so a new option needs no work here. */

#include "cli/completion.h"

#include <stdbool.h>
#include <string.h>

#include "cli/cli.h"

#define SHELLS "bash zsh"
#define REMOTE_WHATS "image template both"

/* What `holm _names` calls the kind of names that the daemon is asked for; NULL: it is not asked.
 */
static const char *names_kind(enum option_fill fill)
{
    switch (fill) {
    case FILL_VM:
    case FILL_VM_PATH:
        return "vms";
    case FILL_SNAPSHOT:
        return "snapshots";
    case FILL_IMAGE:
        return "images";
    case FILL_REMOTE_IMAGE:
        return "remote-images";
    case FILL_TYPE:
        return "types";
    case FILL_ACCOUNT:
        return "accounts";
    case FILL_KEY:
        return "keys";
    default:
        return NULL;
    }
}

/* ---- bash ---- */

/* The words by which the commands of a group, or of holm itself, are called. */
static void bash_commands(FILE *f, const struct cli_command *group)
{
    bool first = true;
    for (const struct cli_command *const *c = cli_commands; *c; c++) {
        const char *second = cli_second_word(*c);
        if ((*c)->is_hidden || !cli_is_in(*c, group))
            continue;
        fprintf(f, "%s%s", first ? "" : " ", second ? second : (*c)->name);
        first = false;
    }
}

/* "vm|snapshot": the words that are half a command. */
static void bash_groups(FILE *f)
{
    bool first = true;
    for (const struct cli_command *const *c = cli_commands; *c; c++) {
        if (!cli_is_group(*c))
            continue;
        fprintf(f, "%s%s", first ? "" : "|", (*c)->name);
        first = false;
    }
}

/* What fills COMPREPLY; a file is left to bash itself (-o default), which knows about spaces. */
static void bash_fill(FILE *f, enum option_fill fill)
{
    const char *kind = names_kind(fill);
    switch (fill) {
    case FILL_LANGUAGE:
        fputs("_holm_words \"$(holm languages --names 2>/dev/null)\"", f);
        break;
    case FILL_COMMAND:
        fputs("_holm_words \"", f);
        bash_commands(f, NULL);
        fputc('"', f);
        break;
    case FILL_SUBCOMMAND:
        fputs("_holm_subcommands \"$prev\"", f);
        break;
    case FILL_SHELL:
        fputs("_holm_words \"" SHELLS "\"", f);
        break;
    case FILL_REMOTE_WHAT:
        fputs("_holm_words \"" REMOTE_WHATS "\"", f);
        break;
    case FILL_NOTHING:
        fputs("compopt +o default", f);
        break;
    case FILL_VM_PATH:
        fputs("_holm_paths", f);
        break;
    case FILL_FILE:
        fputs(":", f);
        break;
    default:
        fprintf(f, "_holm_words \"$(holm _names %s 2>/dev/null)\"", kind);
    }
}

static void bash_option_names(FILE *f, const struct option_row *rows)
{
    for (; rows->name; rows++) {
        fprintf(f, " --%s", rows->name);
        if (rows->letter)
            fprintf(f, " -%c", rows->letter);
    }
}

/* "'run':--timeout|'run':-t" for each row that takes a value. Returns whether it wrote any. */
static bool bash_value_names(FILE *f, const struct option_row *rows, const char *command,
                             bool first)
{
    for (; rows->name; rows++) {
        if (!rows->value)
            continue;
        fprintf(f, "%s%s:--%s", first ? "" : "|", command, rows->name);
        if (rows->letter)
            fprintf(f, "|%s:-%c", command, rows->letter);
        first = false;
    }
    return !first;
}

/* Finds the command, and how many words of its own there are before the one at the cursor: a value
 * is none. */
static void bash_count_words(FILE *f)
{
    fputs("    for ((i = 1; i < COMP_CWORD; i++)); do\n"
          "        case $command:${COMP_WORDS[i]} in\n"
          "        ",
          f);
    bash_value_names(f, cli_global_options, "*", true);
    for (const struct cli_command *const *c = cli_commands; *c; c++) {
        char quoted[80];
        snprintf(quoted, sizeof(quoted), "'%s'", (*c)->name);
        bash_value_names(f, (*c)->options, quoted, false);
    }
    fputs(") ((i++)) ;;\n"
          "        *:-?*) ;;\n"
          "        :*) command=${COMP_WORDS[i]} ;;\n"
          "        *)\n"
          "            case $command in\n"
          "            ",
          f);
    bash_groups(f);
    fputs(") command+=\" ${COMP_WORDS[i]}\" ;;\n"
          "            *) ((words++)) ;;\n"
          "            esac ;;\n"
          "        esac\n"
          "    done\n",
          f);
}

static void bash_option_values(FILE *f)
{
    fputs("    case $command:$prev in\n", f);
    for (const struct cli_command *const *c = cli_commands; *c; c++) {
        for (const struct option_row *row = (*c)->options; row->name; row++) {
            if (!row->value)
                continue;
            fprintf(f, "    '%s':--%s", (*c)->name, row->name);
            if (row->letter)
                fprintf(f, "|'%s':-%c", (*c)->name, row->letter);
            fputs(") ", f);
            bash_fill(f, row->fill);
            fputs("; return ;;\n", f);
        }
    }
    fputs("    ", f);
    bash_value_names(f, cli_global_options, "*", true);
    fputs(") compopt +o default; return ;;\n    esac\n", f);
}

static void bash_names(FILE *f)
{
    fputs("    if [[ $cur == -* ]]; then\n        case $command in\n", f);
    for (const struct cli_command *const *c = cli_commands; *c; c++) {
        fprintf(f, "        '%s') _holm_words \"", (*c)->name);
        bash_option_names(f, (*c)->options);
        bash_option_names(f, cli_global_options);
        fputs("\" ;;\n", f);
    }
    fputs("        *) _holm_words \"--version -V", f);
    bash_option_names(f, cli_global_options);
    fputs("\" ;;\n        esac\n        return\n    fi\n", f);
}

static void bash_words(FILE *f)
{
    fputs("    case $command:$words in\n    :*) ", f);
    bash_fill(f, FILL_COMMAND);
    fputs(" ;;\n", f);
    for (const struct cli_command *const *c = cli_commands; *c; c++) {
        fprintf(f, "    '%s':0) ", (*c)->name);
        if (cli_is_group(*c))
            fprintf(f, "_holm_subcommands %s", (*c)->name);
        else
            bash_fill(f, (*c)->fill[0]);
        fprintf(f, " ;;\n    '%s':*) ", (*c)->name);
        bash_fill(f, (*c)->fill[1]);
        fputs(" ;;\n", f);
    }
    fputs("    esac\n", f);
}

static void bash_helpers(FILE *f)
{
    fputs(
        "_holm_words() {\n"
        "    mapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$cur\")\n"
        "}\n\n"
        "_holm_paths() {\n"
        "    compopt -o nospace\n"
        "    mapfile -t COMPREPLY < <(compgen -W \"$(holm _names paths 2>/dev/null)\" -- \"$cur\"\n"
        "        compgen -f -- \"$cur\")\n"
        "}\n\n"
        "_holm_subcommands() {\n"
        "    case $1 in\n",
        f);
    for (const struct cli_command *const *c = cli_commands; *c; c++) {
        if (!cli_is_group(*c))
            continue;
        fprintf(f, "    %s) _holm_words \"", (*c)->name);
        bash_commands(f, *c);
        fputs("\" ;;\n", f);
    }
    fputs("    *) compopt +o default ;;\n    esac\n}\n\n", f);
}

void completion_bash(FILE *f)
{
    fputs("# Completion of holm for bash, printed by 'holm completion bash'.\n", f);
    bash_helpers(f);
    fputs("_holm() {\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
          "    local command= words=0 i\n"
          "    COMPREPLY=()\n",
          f);
    bash_count_words(f);
    bash_option_values(f);
    bash_names(f);
    bash_words(f);
    fputs("}\n\ncomplete -o default -F _holm holm\n", f);
}

/* ---- zsh ---- */

/* Text inside single quotes, where _arguments gives [, ] and : a meaning of their own. */
static void zsh_text(FILE *f, const char *text)
{
    for (; *text; text++) {
        if (strchr("[]:\\", *text))
            fputc('\\', f);
        if (*text == '\'')
            fputs("'\\''", f);
        else
            fputc(*text, f);
    }
}

/* An action of _arguments, as it stands inside single quotes. One with words of its own begins with
 * a space: otherwise more words would be put between them. */
static const char *zsh_fill(enum option_fill fill)
{
    switch (fill) {
    case FILL_VM:
        return " _holm_names vms";
    case FILL_VM_PATH:
        return "_holm_paths";
    case FILL_SNAPSHOT:
        return " _holm_names snapshots";
    case FILL_IMAGE:
        return " _holm_names images";
    case FILL_REMOTE_IMAGE:
        return " _holm_names remote-images";
    case FILL_TYPE:
        return " _holm_names types";
    case FILL_ACCOUNT:
        return " _holm_names accounts";
    case FILL_KEY:
        return " _holm_names keys";
    case FILL_SUBCOMMAND:
        return " _holm_subcommands $words[2]";
    case FILL_FILE:
        return "_files";
    case FILL_LANGUAGE:
        return "_holm_languages";
    case FILL_COMMAND:
        return "_holm_commands";
    case FILL_SHELL:
        return "(" SHELLS ")";
    case FILL_REMOTE_WHAT:
        return "(" REMOTE_WHATS ")";
    case FILL_NOTHING:
        break;
    }
    return " ";
}

/* An option may come again (*): the last one counts, or all do. */
static void zsh_option(FILE *f, const char *dashes, const struct option_row *row)
{
    fprintf(f, " \\\n            '*%s[", dashes);
    zsh_text(f, row->doc);
    fputc(']', f);
    if (row->value)
        fprintf(f, ":%s:%s", row->value, zsh_fill(row->fill));
    fputc('\'', f);
}

static void zsh_options(FILE *f, const struct option_row *rows)
{
    for (; rows->name; rows++) {
        char dashes[64];
        snprintf(dashes, sizeof(dashes), "--%s", rows->name);
        zsh_option(f, dashes, rows);
        snprintf(dashes, sizeof(dashes), "-%c", rows->letter);
        if (rows->letter)
            zsh_option(f, dashes, rows);
    }
}

/* One command's words; `words` begins with the word that it is called by. */
static void zsh_command(FILE *f, const struct cli_command *c)
{
    const char *second = cli_second_word(c);
    fprintf(f, "        %s)\n            _arguments -s", second ? second : c->name);
    zsh_options(f, c->options);
    zsh_options(f, cli_global_options);
    if (c->words_max)
        fprintf(f, " \\\n            '1:word:%s'", zsh_fill(c->fill[0]));
    if (c->words_max > 1 || c->owner)
        fprintf(f, " \\\n            '*:word:%s'", zsh_fill(c->fill[1]));
    fputs(" ;;\n", f);
}

/* A group's case: the second word, or the words of the command that it makes. */
static void zsh_group(FILE *f, const struct cli_command *group)
{
    fprintf(f,
            "        %s)\n"
            "            if ((CURRENT == 2)); then _holm_subcommands %s; return; fi\n"
            "            shift words\n"
            "            ((CURRENT--))\n"
            "        case $words[1] in\n",
            group->name, group->name);
    for (const struct cli_command *const *c = cli_commands; *c; c++) {
        if (cli_is_in(*c, group))
            zsh_command(f, *c);
    }
    fputs("        esac ;;\n", f);
}

static void zsh_list(FILE *f, const struct cli_command *group)
{
    fputs("    commands=(\n", f);
    for (const struct cli_command *const *c = cli_commands; *c; c++) {
        const char *second = cli_second_word(*c);
        if ((*c)->is_hidden || !cli_is_in(*c, group))
            continue;
        fprintf(f, "        '%s:", second ? second : (*c)->name);
        zsh_text(f, (*c)->summary);
        fputs("'\n", f);
    }
    fputs("    )\n", f);
}

static void zsh_command_names(FILE *f)
{
    fputs("_holm_commands() {\n    local -a commands\n", f);
    zsh_list(f, NULL);
    fputs("    _describe -t commands command commands\n}\n\n"
          "_holm_subcommands() {\n    local -a commands\n    case $1 in\n",
          f);
    for (const struct cli_command *const *c = cli_commands; *c; c++) {
        if (!cli_is_group(*c))
            continue;
        fprintf(f, "    %s)\n", (*c)->name);
        zsh_list(f, *c);
        fputs("    ;;\n", f);
    }
    fputs("    esac\n    _describe -t commands command commands\n}\n\n", f);
}

static void zsh_helpers(FILE *f)
{
    fputs("_holm_languages() {\n"
          "    local -a names=(${(f)\"$(holm languages --names 2>/dev/null)\"})\n"
          "    _describe -t languages language names\n"
          "}\n\n"
          "_holm_names() {\n"
          "    local -a names=(${(f)\"$(holm _names $1 2>/dev/null)\"})\n"
          "    compadd -- $names\n"
          "}\n\n"
          "_holm_paths() {\n"
          "    local -a names=(${(f)\"$(holm _names vms 2>/dev/null)\"})\n"
          "    compadd -S : -- $names\n"
          "    _files\n"
          "}\n\n",
          f);
}

void completion_zsh(FILE *f)
{
    fputs("#compdef holm\n# Completion of holm for zsh, printed by 'holm completion zsh'.\n", f);
    zsh_helpers(f);
    zsh_command_names(f);
    fputs("_holm() {\n"
          "    local context state state_descr line curcontext=$curcontext\n"
          "    typeset -A opt_args\n"
          "    _arguments -C",
          f);
    zsh_options(f, cli_global_options);
    fputs(" \\\n            '(- *)'{-V,--version}'[Show the version]' \\\n"
          "            '1:command:_holm_commands' \\\n"
          "            '*::word:->word'\n"
          "    if [[ $state == word ]]; then\n"
          "        case $words[1] in\n",
          f);
    for (const struct cli_command *const *c = cli_commands; *c; c++) {
        if (cli_is_group(*c))
            zsh_group(f, *c);
        else if (!cli_second_word(*c))
            zsh_command(f, *c);
    }
    fputs("        esac\n    fi\n}\n\n"
          "if [[ $funcstack[1] == _holm ]]; then _holm \"$@\"; else compdef _holm holm; fi\n",
          f);
}
