/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ref.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "cli/api_answer.h"
#include "cli/json.h"
#include "cli/suggest.h"

#define ID_CHARS 36        /* of a UUID */
#define CANDIDATES_SHOWN 8 /* of an ambiguous word */

static const struct {
    const char *noun, *path, *list;
    const char *id; /* the member that holds it */
} kinds[] = {
    [REF_VM] = {"VM", "/v1/vms", "holm vm list", "id"},
    [REF_SNAPSHOT] = {"snapshot", "/v1/snapshots", "holm snapshot list", "id"},
    [REF_IMAGE] = {"image", "/v1/images", "holm image list", "id"},
    [REF_ACCOUNT] = {"account", "/v1/accounts", "holm account list", "id"},
    [REF_KEY] = {"key", "/v1/keys", "holm key list", "id"},
    [REF_JOB] = {"job", "", "holm vm jobs", "execId"},
};

const char *ref_noun(enum ref_kind kind)
{
    return kinds[kind].noun;
}

const char *ref_path(enum ref_kind kind)
{
    return kinds[kind].path;
}

static bool is_id_char(char c)
{
    return isxdigit((unsigned char)c) || c == '-';
}

static bool is_whole_id(const char *word)
{
    size_t n = 0;
    while (is_id_char(word[n]))
        n++;
    if (n != ID_CHARS || word[n])
        return false;
    return word[8] == '-' && word[13] == '-' && word[18] == '-' && word[23] == '-';
}

/* Takes an object of the list; false when its id is none that could be put into a path. */
static bool take(const struct ref *r, const json_t *object, struct ref_found *ret)
{
    const char *id = json_text(object, kinds[r->kind].id), *name = json_text(object, "name");
    for (const char *c = id; *c; c++) {
        if (!isalnum((unsigned char)*c) && *c != '-')
            return false;
    }
    snprintf(ret->id, sizeof(ret->id), "%s", id);
    snprintf(ret->name, sizeof(ret->name), "%s", *name ? name : id);
    return *id && strlen(id) < sizeof(ret->id);
}

/* What `word` can mean, by the whole name or by the beginning of the id. */
static size_t match(const struct ref *r, bool by_name, const char *word, const json_t **ret_last,
                    struct buf *candidates)
{
    size_t i, n = 0;
    json_t *object;
    json_array_foreach(r->list, i, object)
    {
        const char *id = json_text(object, kinds[r->kind].id), *name = json_text(object, "name");
        if (by_name ? strcmp(name, word) : strncasecmp(id, word, strlen(word)))
            continue;
        if (n < CANDIDATES_SHOWN)
            buf_printf(candidates, *name ? "%s%s (%s)" : "%s%s", n ? ", " : "", id, name);
        else if (n == CANDIDATES_SHOWN)
            buf_append_str(candidates, ", ...");
        *ret_last = object;
        n++;
    }
    return n;
}

static int fail_unknown(const struct ref *r, const char *word, struct err *e)
{
    struct suggest s = {.word = word, .len = strlen(word)};
    size_t i;
    json_t *object;
    json_array_foreach(r->list, i, object) suggest_offer(&s, json_text(object, "name"));
    return err_set(e, ERR_NOT_FOUND, "there is no %s '%.100s'%s%.100s%s; '%s' shows all",
                   kinds[r->kind].noun, word, s.best ? " (did you mean '" : "",
                   s.best ? s.best : "", s.best ? "'?)" : "", kinds[r->kind].list);
}

static int find_in_list(const struct ref *r, const char *word, struct ref_found *ret, struct err *e)
{
    const char *noun = kinds[r->kind].noun;
    for (int by_name = 1; by_name >= 0; by_name--) {
        auto_buf struct buf candidates = {0};
        struct ref_found found = {0};
        const json_t *last = NULL;
        size_t n = match(r, by_name, word, &last, &candidates);
        if (n > 1)
            return err_set(e, ERR_CONFLICT,
                           "'%.80s' may be any of %zu %ss: %.460s; give more of the id", word, n,
                           noun, buf_str(&candidates));
        if (n == 1 && !take(r, last, &found))
            return err_set(e, ERR_UNAVAILABLE, "%s lists a %s whose id is none; is it a holmd?",
                           api_client_url(r->client), noun);
        if (n == 1) {
            *ret = found;
            return 0;
        }
    }
    return fail_unknown(r, word, e);
}

int ref_find(struct ref *r, const char *word, struct ref_found *ret, struct err *e)
{
    if (!*word)
        return err_set(e, ERR_INVALID, "the name of the %s is empty", kinds[r->kind].noun);
    if (is_whole_id(word)) {
        snprintf(ret->id, sizeof(ret->id), "%s", word);
        snprintf(ret->name, sizeof(ret->name), "%s", word);
        return 0;
    }
    const char *path = r->path ? r->path : kinds[r->kind].path;
    int err = r->list ? 0 : api_client_get_list(r->client, path, &r->list, e);
    return err < 0 ? err : find_in_list(r, word, ret, e);
}

void ref_done(struct ref *r)
{
    json_decref(r->list);
    r->list = NULL;
}

int ref_one(struct api_client *c, enum ref_kind kind, const char *word, struct ref_found *ret,
            struct err *e)
{
    auto_ref struct ref r = {.client = c, .kind = kind};
    return ref_find(&r, word, ret, e);
}
