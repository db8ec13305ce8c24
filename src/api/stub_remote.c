/* SPDX-License-Identifier: Apache-2.0 */

/* The stub host's object store. There is none before stub_remote_set(true); then "python" is in it,
 * and c's template. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/stub_vms.h"
#include "host/remote.h"

const char *const remote_kind_names[] = {"image", "template", NULL};

static bool is_set;

void stub_remote_set(bool set)
{
    is_set = set;
}

int host_remote_check(struct host *h, struct err *e)
{
    if (is_set)
        return 0;
    return err_set(e, ERR_CONFLICT, "s3.bucket is not set: there is no object store");
}

bool host_remote_on_demand(struct host *h)
{
    return false;
}

int host_remote_list(struct host *h, enum remote_kind kind, struct remote_item **ret, size_t *ret_n,
                     struct err *e)
{
    STUB_MAY_FAIL(e);
    int r = host_remote_check(h, e);
    struct remote_item *item = r == 0 ? calloc(1, sizeof(*item)) : NULL;
    if (!item)
        return r < 0 ? r : -ENOMEM;
    const char *name = kind == REMOTE_IMAGE ? "python" : "c";
    snprintf(item->name, sizeof(item->name), "%s", name);
    snprintf(item->place, sizeof(item->place), "s3://bucket/holm/%ss/%s", remote_kind_names[kind],
             name);
    item->bytes = 12345;
    item->changed_ns = INT64_C(1764244800000000000);
    *ret = item;
    *ret_n = 1;
    return 0;
}

/* It waits like a build. */
int host_remote_start(struct host *h, const struct remote_order *o, struct build_info *ret,
                      struct err *e)
{
    STUB_MAY_FAIL(e);
    int r = host_remote_check(h, e);
    if (r < 0)
        return r;
    *ret = (struct build_info){.state = BUILD_WAITING, .created_ns = INT64_C(1764244800000000000)};
    id_new(ret->id);
    snprintf(ret->kind, sizeof(ret->kind), "%s", o->pushes ? "push" : "pull");
    snprintf(ret->name, sizeof(ret->name), "%.63s", o->name);
    snprintf(ret->step, sizeof(ret->step), "%d", (int)o->what);
    return 0;
}
