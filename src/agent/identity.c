/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/identity.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"

#define DIR "/run/holm"

static int write_file(const struct restored_request *q)
{
    char hostname[REPORT_HOSTNAME_MAX_BYTES + 1] = "";
    auto_buf struct buf json = {0};
    if (gethostname(hostname, sizeof(hostname)) < 0)
        return -errno;
    /* The name may be the image's, with characters of its own. */
    const char *name = report_hostname_is_valid(hostname) ? hostname : "";
    int r = buf_printf(&json, "{\"id\":\"%s\",\"hostname\":\"%s\"}\n", q->id, name);
    if (r == 0 && mkdir(DIR, 0755) < 0 && errno != EEXIST)
        r = -errno;
    return r < 0 ? r : file_write_atomic(DIR "/vm.json", json.data, json.len, 0644);
}

int identity_set(const struct restored_request *q, struct err *e)
{
    if (q->hostname[0] && sethostname(q->hostname, strlen(q->hostname)) < 0)
        return err_errno(e, -errno, "set the host name");
    int r = q->id[0] ? write_file(q) : 0;
    if (r < 0)
        log_warn("agent", "write " DIR "/vm.json: %s", strerror(-r));
    return 0;
}
