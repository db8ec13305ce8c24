/* SPDX-License-Identifier: Apache-2.0 */

/* One pass from left to right. Before each word the command may say whose it is, by what came so
 * far: that is how `holm run` leaves a program's own options to the program. */

#include "cli/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/suggest.h"

struct parser {
    const struct options_spec *spec;
    char **argv;
    int argc;
    int at;
    bool options_ended; /* "--" was seen */
    struct options *o;
    struct err *e;
};

static const struct option_row *find_long(const struct options_spec *spec, const char *name,
                                          size_t len)
{
    for (const struct option_row *const *t = spec->tables; *t; t++) {
        for (const struct option_row *row = *t; row->name; row++) {
            if (strlen(row->name) == len && !memcmp(row->name, name, len))
                return row;
        }
    }
    return NULL;
}

static const struct option_row *find_letter(const struct options_spec *spec, char letter)
{
    for (const struct option_row *const *t = spec->tables; *t; t++) {
        for (const struct option_row *row = *t; row->name; row++) {
            if (row->letter == letter)
                return row;
        }
    }
    return NULL;
}

static int fail_unknown_long(struct parser *p, const char *word, size_t len)
{
    struct suggest s = {.word = word + 2, .len = len};
    for (const struct option_row *const *t = p->spec->tables; *t; t++) {
        for (const struct option_row *row = *t; row->name; row++)
            suggest_offer(&s, row->name);
    }
    if (s.best)
        return err_set(p->e, ERR_INVALID, "unknown option '--%.*s'; did you mean '--%s'?", (int)len,
                       word + 2, s.best);
    return err_set(p->e, ERR_INVALID, "unknown option '--%.*s'", (int)len, word + 2);
}

static void add_hit(struct parser *p, const struct option_row *row, const char *value)
{
    p->o->hits[p->o->n_hits++] = (struct option_hit){.row = row, .value = value};
}

/* The value is `inline_value` or, when that is NULL, the next word. */
static int take_value(struct parser *p, const struct option_row *row, const char *inline_value)
{
    const char *value = inline_value;
    if (!value && p->at < p->argc)
        value = p->argv[p->at++];
    if (!value)
        return err_set(p->e, ERR_INVALID, "option '--%s' needs a value: --%s %s", row->name,
                       row->name, row->value);
    add_hit(p, row, value);
    return 0;
}

static int parse_long(struct parser *p, const char *word)
{
    const char *eq = strchr(word, '=');
    size_t len = eq ? (size_t)(eq - word - 2) : strlen(word) - 2;
    const struct option_row *row = find_long(p->spec, word + 2, len);
    if (!row)
        return fail_unknown_long(p, word, len);
    if (row->value)
        return take_value(p, row, eq ? eq + 1 : NULL);
    if (eq)
        return err_set(p->e, ERR_INVALID, "option '--%s' takes no value", row->name);
    add_hit(p, row, NULL);
    return 0;
}

static int parse_letters(struct parser *p, const char *word)
{
    for (const char *c = word + 1; *c; c++) {
        const struct option_row *row = find_letter(p->spec, *c);
        if (!row)
            return err_set(p->e, ERR_INVALID, "unknown option '-%c'", *c);
        if (row->value)
            return take_value(p, row, c[1] ? c + 1 : NULL);
        add_hit(p, row, NULL);
    }
    return 0;
}

static bool is_option(const struct parser *p, const char *word)
{
    return !p->options_ended && word[0] == '-' && word[1];
}

/* Whether a word that may be the program's is one of our options after all. */
static bool is_known(const struct parser *p, const char *word)
{
    if (!is_option(p, word))
        return false;
    if (word[1] != '-')
        return find_letter(p->spec, word[1]) != NULL;
    return word[2] == '\0' || find_long(p->spec, word + 2, strcspn(word + 2, "=")) != NULL;
}

static void leave_rest(struct parser *p)
{
    p->o->rest = p->argv + p->at;
    p->o->n_rest = (size_t)(p->argc - p->at);
    p->at = p->argc;
}

static int parse_word(struct parser *p, enum options_owner owner)
{
    const char *word = p->argv[p->at];
    if (owner == OPTIONS_THEIRS || (owner == OPTIONS_SHARED && !is_known(p, word))) {
        leave_rest(p);
        return 0;
    }
    p->at++;
    if (is_option(p, word) && !strcmp(word, "--")) {
        p->options_ended = true;
        return 0;
    }
    if (is_option(p, word))
        return word[1] == '-' ? parse_long(p, word) : parse_letters(p, word);
    if (p->o->n_words == p->spec->words_max)
        return err_set(p->e, ERR_INVALID, "unexpected argument '%s'", word);
    p->o->words[p->o->n_words++] = word;
    return 0;
}

int options_parse(const struct options_spec *spec, int argc, char **argv, struct options *ret,
                  struct err *e)
{
    /* A word is at most one positional word, and a hit for each of its letters. */
    size_t hits_max = 1;
    for (int i = 0; i < argc; i++)
        hits_max += strlen(argv[i]) + 1;
    auto_options struct options o = {
        .hits = calloc(hits_max, sizeof(*o.hits)),
        .words = calloc((size_t)argc + 1, sizeof(*o.words)),
    };
    if (!o.hits || !o.words)
        return err_errno(e, -ENOMEM, "parse the command line");
    struct parser p = {.spec = spec, .argv = argv, .argc = argc, .o = &o, .e = e};
    while (p.at < argc) {
        enum options_owner owner = spec->owner ? spec->owner(&o) : OPTIONS_OURS;
        int r = parse_word(&p, owner);
        if (r < 0)
            return r;
    }
    *ret = o;
    o = (struct options){0};
    return 0;
}

void options_done(struct options *o)
{
    free(o->hits);
    free(o->words);
    *o = (struct options){0};
}

const char *options_value(const struct options *o, const char *name)
{
    for (size_t i = o->n_hits; i-- > 0;) {
        if (!strcmp(o->hits[i].row->name, name))
            return o->hits[i].value;
    }
    return NULL;
}

bool options_has(const struct options *o, const char *name)
{
    for (size_t i = 0; i < o->n_hits; i++) {
        if (!strcmp(o->hits[i].row->name, name))
            return true;
    }
    return false;
}

int options_number(const struct options *o, const char *name, const struct options_range *range,
                   int *ret, struct err *e)
{
    const char *text = options_value(o, name);
    if (!text) {
        *ret = range->fallback;
        return 0;
    }
    char *end;
    errno = 0;
    long v = strtol(text, &end, 10);
    if (errno || end == text || *end || v < range->min || v > range->max)
        return err_set(e, ERR_INVALID, "--%s takes a whole number of %d to %d, not '%s'", name,
                       range->min, range->max, text);
    *ret = (int)v;
    return 0;
}
