/* SPDX-License-Identifier: Apache-2.0 */
#include "api/rds/workspace.h"

#include <stdio.h>
#include <string.h>

/* Drops the last name of a path without a final slash. */
static size_t parent(const char *path, size_t len)
{
    while (len && path[len - 1] != '/')
        len--;
    return len ? len - 1 : 0;
}

int rds_path(const char *given, const char *field, char ret[AGENT_PATH_MAX_BYTES + 1],
             struct err *e)
{
    size_t len = 0;
    if (given[0] != '/')
        len = (size_t)snprintf(ret, AGENT_PATH_MAX_BYTES + 1, "%s", RDS_WORKSPACE);
    for (const char *p = given; *p;) {
        size_t n = strcspn(p, "/");
        if (n == 2 && memcmp(p, "..", 2) == 0) {
            len = parent(ret, len);
        } else if (n && !(n == 1 && *p == '.')) {
            if (len + 1 + n > AGENT_PATH_MAX_BYTES)
                return err_field(e, field, "%s is longer than %d bytes", field,
                                 AGENT_PATH_MAX_BYTES);
            ret[len++] = '/';
            memcpy(ret + len, p, n);
            len += n;
        }
        p += n + (p[n] == '/');
    }
    if (!len)
        ret[len++] = '/';
    ret[len] = '\0';
    return 0;
}

bool rds_path_is_inside(const char *path)
{
    size_t n = strlen(RDS_WORKSPACE);
    return strncmp(path, RDS_WORKSPACE, n) == 0 && (!path[n] || path[n] == '/');
}

int rds_workspace_path(const char *field, const char *text, char ret[AGENT_PATH_MAX_BYTES],
                       struct err *e)
{
    char path[AGENT_PATH_MAX_BYTES + 1];
    if (!text || !text[0])
        return err_field(e, field, "%s is required", field);
    /* With the workspace before it, it must be a path for the guest's kernel. */
    if (strlen(text) + sizeof(RDS_WORKSPACE) >= AGENT_PATH_MAX_BYTES)
        return err_field(e, field, "%s is too long", field);
    int r = rds_path(text, field, path, e);
    if (r < 0)
        return r;
    if (!rds_path_is_inside(path))
        return err_field(e, field, "%s must be within " RDS_WORKSPACE, field);
    const char *inner = path + strlen(RDS_WORKSPACE);
    strcpy(ret, inner + (*inner == '/'));
    return 0;
}
