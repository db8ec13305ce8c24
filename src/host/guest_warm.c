/* SPDX-License-Identifier: Apache-2.0 */

/* Programs of a guest that wait. */
#include <errno.h>

#include "base/fd.h"
#include "base/limits.h"
#include "host/guest.h"
#include "host/guest_priv.h"

static int post(struct link *l, const char *path, const struct exec_spec *spec,
                const struct link_wait *w, struct err *e)
{
    auto_buf struct buf body = {.max_bytes = AGENT_REPORT_MAX_BYTES};
    int r = exec_spec_encode(spec, &body, e);
    if (r < 0)
        return r;
    struct guest_simple s = {"POST", path, &body, w, 200};
    return guest_simple(l, &s, NULL, e);
}

int guest_warm_start(struct link *l, const struct exec_spec *spec, const struct link_wait *w,
                     struct err *e)
{
    char path[64];
    if (!spec->warm || !exec_job_id_is_valid(spec->warm))
        return err_field(e, "warm", "no program can wait by this name");
    path_printf(path, sizeof(path), "/v1/warm?id=%s", spec->warm);
    struct exec_spec plain = *spec;
    plain.warm = NULL; /* it is in the query: an exec that has it takes one over */
    return post(l, path, &plain, w, e);
}

int guest_warm_rehearse(struct link *l, const struct exec_spec *spec, const struct link_wait *w,
                        struct err *e)
{
    return post(l, "/v1/warm/rehearse", spec, w, e);
}
