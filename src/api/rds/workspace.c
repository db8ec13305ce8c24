/* SPDX-License-Identifier: Apache-2.0 */
#include "api/rds/workspace.h"

#include <stdbool.h>
#include <string.h>

/* What comes behind RDS_WORKSPACE in an absolute path; NULL: it is elsewhere. */
static const char *relative(const char *text)
{
    size_t len = strlen(RDS_WORKSPACE);
    if (text[0] != '/')
        return text;
    text += strspn(text, "/") - 1;
    bool is_below = strncmp(text, RDS_WORKSPACE, len) == 0 && (!text[len] || text[len] == '/');
    return is_below ? text + len : NULL;
}

/* Appends one part; false: it leads out. */
static bool step(const char *part, size_t len, char *ret, size_t *at)
{
    if (len == 0 || (len == 1 && part[0] == '.'))
        return true;
    if (len == 2 && part[0] == '.' && part[1] == '.') {
        if (*at == 0)
            return false;
        while (*at && ret[*at - 1] != '/')
            --*at;
        *at -= *at > 0;
        return true;
    }
    if (*at)
        ret[(*at)++] = '/';
    memcpy(ret + *at, part, len);
    *at += len;
    return true;
}

int rds_workspace_path(const char *field, const char *text, char ret[AGENT_PATH_MAX_BYTES],
                       struct err *e)
{
    char out[AGENT_PATH_MAX_BYTES];
    size_t at = 0;
    if (!text || !text[0])
        return err_field(e, field, "%s is required", field);
    /* With the workspace before it, it must be a path for the guest's kernel. */
    if (strlen(text) + sizeof(RDS_WORKSPACE) >= AGENT_PATH_MAX_BYTES)
        return err_field(e, field, "%s is too long", field);
    const char *p = relative(text);
    bool is_below = p;
    while (is_below && *p) {
        size_t len = strcspn(p, "/");
        is_below = step(p, len, out, &at);
        p += len + (p[len] == '/');
    }
    if (!is_below)
        return err_field(e, field, "%s must be within " RDS_WORKSPACE, field);
    memcpy(ret, out, at);
    ret[at] = '\0';
    return 0;
}
