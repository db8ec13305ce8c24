/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/help.h"

#include <string.h>

#include "cli/table.h"

static void heading(const struct term *t, const char *text)
{
    fprintf(t->file, "\n%s%s%s\n", term_on(t, STYLE_BOLD), text, term_off(t, STYLE_BOLD));
}

static void add_option(struct table *table, const struct option_row *row)
{
    char left[80], letter[8] = "    ";
    if (row->letter)
        snprintf(letter, sizeof(letter), "-%c, ", row->letter);
    snprintf(left, sizeof(left), "  %s--%s%s%s", letter, row->name, row->value ? " " : "",
             row->value ? row->value : "");
    table_add(table, (struct table_cell[]){{.text = left}, {.text = row->doc}});
}

static void print_options(const struct term *t, const char *title, const struct option_row *rows)
{
    if (!rows->name)
        return;
    heading(t, title);
    auto_table struct table table = {.n_columns = 2};
    for (; rows->name; rows++)
        add_option(&table, rows);
    table_print(&table, t);
}

static void print_examples(const struct term *t, const struct cli_example *examples)
{
    heading(t, "Examples:");
    for (; examples->command; examples++) {
        fprintf(t->file, "  %s\n", examples->command);
        fprintf(t->file, "%s", term_on(t, STYLE_DIM));
        term_fill(t, 6, examples->doc);
        fprintf(t->file, "%s", term_off(t, STYLE_DIM));
    }
}

/* The commands of a group, or of holm itself. */
static void print_commands(const struct term *t, const struct cli_command *group)
{
    heading(t, "Commands:");
    auto_table struct table table = {.n_columns = 2};
    for (const struct cli_command *const *c = cli_commands; *c; c++) {
        char left[40];
        const char *second = cli_second_word(*c);
        if ((*c)->is_hidden || !cli_is_in(*c, group))
            continue;
        snprintf(left, sizeof(left), "  %s", second ? second : (*c)->name);
        table_add(&table, (struct table_cell[]){{.text = left}, {.text = (*c)->summary}});
    }
    table_print(&table, t);
}

void help_command(const struct term *t, const struct cli_command *c)
{
    fprintf(t->file, "%sholm %s%s - %s\n", term_on(t, STYLE_BOLD), c->name, term_off(t, STYLE_BOLD),
            c->summary);
    heading(t, "Usage:");
    for (const char *const *u = c->usage; *u; u++)
        fprintf(t->file, "  holm %s\n", *u);
    if (c->details) {
        fputc('\n', t->file);
        term_fill(t, 0, c->details);
    }
    if (cli_is_group(c))
        print_commands(t, c);
    print_options(t, "Options:", c->options);
    print_options(t, "Options of every command:", cli_global_options);
    print_examples(t, c->examples);
}

static const struct cli_example all_examples[] = {
    {"holm run python -c 'print(2**10)'", "Run a line of Python in a virtual machine of its own."},
    {"holm run python script.py arg1 < input.txt", "Run a file, with arguments and input."},
    {"echo 'console.log(1)' | holm run nodejs", "Run what comes from a pipe."},
    {"holm vm create --image python --name lab && holm shell lab", "A machine that stays."},
    {"holm doctor", "See what this host can do, and what it lacks."},
    {0},
};

void help_all(const struct term *t)
{
    fprintf(t->file, "%sholm%s - run programs in virtual machines of their own\n",
            term_on(t, STYLE_BOLD), term_off(t, STYLE_BOLD));
    heading(t, "Usage:");
    fprintf(t->file, "  holm [--url URL] [--key KEY] COMMAND ...\n"
                     "  holm COMMAND --help\n"
                     "  holm --version\n");
    print_commands(t, NULL);
    print_options(t, "Options of every command:", cli_global_options);
    print_examples(t, all_examples);
}
