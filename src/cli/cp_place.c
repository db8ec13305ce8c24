/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cp_place.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <curl/curl.h>

#include "base/fd.h"
#include "base/limits.h"
#include "cli/api_answer.h"
#include "cli/json.h"

#define HOME_IN_VM "/root" /* where commands run, too */

bool cp_place_is_remote(const char *word)
{
    size_t n = strcspn(word, ":/");
    return n > 0 && word[n] == ':';
}

static int parse_remote(struct ref *vms, const char *word, struct cp_place *ret, struct err *e)
{
    size_t n = strcspn(word, ":");
    const char *path = word + n + 1;
    auto_free char *vm = strndup(word, n);
    if (!vm)
        return err_errno(e, -ENOMEM, "read '%.100s'", word);
    int r = *path == '/' ? path_printf(ret->path, sizeof(ret->path), "%s", path)
                         : path_printf(ret->path, sizeof(ret->path), HOME_IN_VM "%s%s",
                                       *path ? "/" : "", path);
    if (r < 0)
        return err_set(e, ERR_INVALID, "the path in '%.100s...' is too long", word);
    ret->is_vm = true;
    return ref_find(vms, vm, &ret->vm, e);
}

int cp_place_parse(struct ref *vms, const char *word, struct cp_place *ret, struct err *e)
{
    *ret = (struct cp_place){0};
    if (cp_place_is_remote(word))
        return parse_remote(vms, word, ret, e);
    if (!*word || path_printf(ret->path, sizeof(ret->path), "%s", word) < 0)
        return err_set(e, ERR_INVALID, "'%.100s' is not the name of a file", word);
    return 0;
}

static int stat_local(const struct cp_place *p, struct cp_stat *ret, struct err *e)
{
    struct stat st;
    *ret = (struct cp_stat){.mode = 0644};
    if (!strcmp(p->path, "-")) {
        ret->exists = true;
        return 0;
    }
    if (stat(p->path, &st) < 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return 0;
        return err_set(e, ERR_UNAVAILABLE, "cannot look at %.300s: %s", p->path, strerror(errno));
    }
    *ret =
        (struct cp_stat){.exists = true, .is_dir = S_ISDIR(st.st_mode), .mode = st.st_mode & 0777};
    return 0;
}

static int stat_remote(struct api_client *c, const struct cp_place *p, struct cp_stat *ret,
                       struct err *e)
{
    auto_json json_t *answer = NULL;
    char query[CP_QUERY_SIZE];
    *ret = (struct cp_stat){0};
    int r = cp_place_query(p, "&stat=1", query, e);
    if (r == 0)
        r = api_client_get(c, query, &answer, e);
    if (r < 0)
        return e->class == ERR_NOT_FOUND ? 0 : r;
    *ret = (struct cp_stat){
        .exists = true,
        .is_dir = !strcmp(json_text(answer, "type"), "dir"),
        .mode = (mode_t)json_integer_value(json_object_get(answer, "mode")) & 0777,
    };
    return 0;
}

int cp_place_stat(struct api_client *c, const struct cp_place *p, struct cp_stat *ret,
                  struct err *e)
{
    return p->is_vm ? stat_remote(c, p, ret, e) : stat_local(p, ret, e);
}

/* The last name of a path, without the slashes behind it. False when there is none. */
static bool base_name(const char *path, char *ret, size_t size)
{
    size_t end = strlen(path);
    while (end && path[end - 1] == '/')
        end--;
    size_t start = end;
    while (start && path[start - 1] != '/')
        start--;
    snprintf(ret, size, "%.*s", (int)(end - start), path + start);
    return *ret && strcmp(ret, ".") && strcmp(ret, "..") && strcmp(path, "-");
}

int cp_place_into(struct cp_place *to, const struct cp_place *from, struct err *e)
{
    char name[PATH_MAX], path[PATH_MAX];
    size_t len = strlen(to->path);
    if (!base_name(from->path, name, sizeof(name)))
        return 0;
    int r = path_printf(path, sizeof(path), "%s%s%s", to->path,
                        len && to->path[len - 1] == '/' ? "" : "/", name);
    if (r < 0)
        return err_set(e, ERR_INVALID, "the path %.100s/... is too long", to->path);
    memcpy(to->path, path, sizeof(path));
    return 0;
}

int cp_place_query(const struct cp_place *p, const char *more, char ret[CP_QUERY_SIZE],
                   struct err *e)
{
    char *escaped = curl_easy_escape(NULL, p->path, 0);
    int r = escaped ? path_printf(ret, CP_QUERY_SIZE, "%s/%s/files?path=%s%s", ref_path(REF_VM),
                                  p->vm.id, escaped, more)
                    : -ENOMEM;
    curl_free(escaped);
    return r < 0 ? err_errno(e, r, "make a request") : 0;
}

void cp_place_name(const struct cp_place *p, char *ret, size_t size)
{
    if (p->is_vm)
        snprintf(ret, size, "%s:%s", p->vm.name, p->path);
    else
        snprintf(ret, size, "%s", strcmp(p->path, "-") ? p->path : "the stream");
}
