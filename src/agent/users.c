/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/users.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/limits.h"

#define FILE_MAX_BYTES (1 * MIB)
#define FIELDS_MAX 7 /* of a line of passwd */
#define ID_MAX 4294967294ULL

/* One line of passwd or group, cut at its colons. */
struct line {
    char *field[FIELDS_MAX];
    size_t n;
};

static int read_etc(const char *etc, const char *name, struct buf *ret)
{
    char path[512];
    int r = path_printf(path, sizeof(path), "%s/%s", etc, name);
    return r < 0 ? r : file_read(path, ret, FILE_MAX_BYTES);
}

/* Takes the next line off *text; false at the end. */
static bool next_line(char **text, struct line *ret)
{
    char *line = strsep(text, "\n");
    ret->n = 0;
    while (line && ret->n < FIELDS_MAX)
        ret->field[ret->n++] = strsep(&line, ":");
    return ret->n > 0;
}

static bool parse_id(const char *s, unsigned *ret)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(s, &end, 10);
    if (*s < '0' || *s > '9' || *end || errno || v > ID_MAX)
        return false;
    *ret = (unsigned)v;
    return true;
}

static void copy(char ret[USER_FIELD_SIZE], const char *s, const char *otherwise)
{
    snprintf(ret, USER_FIELD_SIZE, "%s", *s && strlen(s) < USER_FIELD_SIZE ? s : otherwise);
}

/* Finds the line of `name`, or with `name` NULL of `uid`. */
static bool find_user(const char *etc, const char *name, uid_t uid, struct user *ret)
{
    auto_buf struct buf b = {0};
    struct line l;
    unsigned id, gid;
    if (read_etc(etc, "passwd", &b) < 0)
        return false;
    for (char *rest = b.data; rest && next_line(&rest, &l);) {
        if (l.n < FIELDS_MAX || !parse_id(l.field[2], &id) || !parse_id(l.field[3], &gid))
            continue;
        if (name ? strcmp(l.field[0], name) != 0 : id != uid)
            continue;
        ret->uid = id;
        ret->gid = gid;
        ret->listed = true;
        copy(ret->name, l.field[0], "");
        copy(ret->home, l.field[5], "/");
        copy(ret->shell, l.field[6], "/bin/sh");
        return true;
    }
    return false;
}

static bool has_member(char *list, const char *name)
{
    for (char *member; (member = strsep(&list, ","));)
        if (strcmp(member, name) == 0)
            return true;
    return false;
}

/* As initgroups: the primary group and all that list the user. */
static void find_groups(const char *etc, struct user *u)
{
    auto_buf struct buf b = {0};
    struct line l;
    unsigned gid;
    u->groups[0] = u->gid;
    u->n_groups = 1;
    if (read_etc(etc, "group", &b) < 0)
        return;
    for (char *rest = b.data; rest && next_line(&rest, &l) && u->n_groups < USER_GROUPS_MAX;) {
        if (l.n < 4 || !parse_id(l.field[2], &gid) || gid == u->gid)
            continue;
        if (has_member(l.field[3], u->name))
            u->groups[u->n_groups++] = gid;
    }
}

/* "uid" or "uid:gid" in digits. A uid alone takes the rest from its line, if it has one. */
static int numeric_user(const char *etc, const char *text, struct user *ret, struct err *e)
{
    char digits[AGENT_USER_MAX_BYTES + 1];
    unsigned uid, gid;
    snprintf(digits, sizeof(digits), "%s", text);
    char *colon = strchr(digits, ':');
    if (colon)
        *colon++ = '\0';
    if (!parse_id(digits, &uid) || (colon && !parse_id(colon, &gid)))
        return err_field(e, "user", "there is no user \"%s\"", text);
    if (find_user(etc, NULL, uid, ret) && !colon)
        find_groups(etc, ret);
    ret->uid = uid;
    ret->gid = colon ? gid : ret->gid;
    return 0;
}

int user_of_spec(const char *etc, const struct exec_spec *spec, struct user *ret, struct err *e)
{
    struct user u = {.uid = spec->uid, .gid = spec->gid};
    if (spec->user && find_user(etc, spec->user, 0, &u)) {
        find_groups(etc, &u);
    } else if (spec->user) {
        int r = numeric_user(etc, spec->user, &u, e);
        if (r < 0)
            return r;
    } else if (spec->login && find_user(etc, NULL, spec->uid, &u)) {
        u.gid = spec->gid;
    }
    *ret = u;
    return 0;
}
