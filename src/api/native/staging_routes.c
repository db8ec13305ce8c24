/* SPDX-License-Identifier: Apache-2.0 */

/* Staged files: signed URLs, what they lead to, and bringing one into a VM. */

#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "api/native/native.h"
#include "api/native/transfer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "host/staging.h"

#define STAGING_PATH "/v1/staging/"

/* ---- POST /v1/vms/{id}/files/presign ---- */

struct presign_input {
    struct field_text path;
};

static const struct field presign_request[] = {
    {"path", FIELD_TEXT, FIELD_REQUIRED, offsetof(struct presign_input, path),
     .max_bytes = AGENT_PATH_MAX_BYTES, .doc = "Where the file will be; for people only"},
    {0},
};

static json_t *presigned_json(const char *base, const struct staging_ticket *t, int64_t max_bytes)
{
    char up[BASE_URL_SIZE + STAGING_QUERY_SIZE + 64], down[sizeof(up)];
    snprintf(up, sizeof(up), "%s" STAGING_PATH "%s?%s", base, t->object, t->upload_query);
    snprintf(down, sizeof(down), "%s" STAGING_PATH "%s?%s", base, t->object, t->download_query);
    return json_pack("{s:s, s:s, s:i, s:I}", "uploadUrl", up, "downloadUrl", down, "expiresInSec",
                     t->expires_s, "maxUploadBytes", (json_int_t)max_bytes);
}

/* "http://127.0.0.1:8080", and maybe a path, as what a socket takes. Names are not looked up: a
 * guest knows its own addresses for them. False: there is nothing to listen at. */
static bool parse_base(const char *base, char ret_address[INET6_ADDRSTRLEN], int *ret_port)
{
    const char *at = base + strlen("http://");
    size_t n = *at == '[' ? strcspn(at, "]") : strcspn(at, ":/");
    const char *rest = at + n + (*at == '[' && at[n] == ']');
    int skip = *at == '[';
    unsigned char bytes[sizeof(struct in6_addr)];
    snprintf(ret_address, INET6_ADDRSTRLEN, "%.*s", (int)n - skip, at + skip);
    if (strcasecmp(ret_address, "localhost") == 0)
        strcpy(ret_address, "127.0.0.1");
    *ret_port = *rest == ':' ? atoi(rest + 1) : 80;
    return *ret_port > 0 && inet_pton(skip ? AF_INET6 : AF_INET, ret_address, bytes) == 1;
}

/* So that commands in the guest can use the URLs too. A VM that does not run will be asked when it
 * does: its next command is run with the next URL. */
static void open_to_guest(const struct request *rq, const char *vm, const char *base)
{
    char address[INET6_ADDRSTRLEN];
    int port;
    struct err e = ERR_INIT;
    if (parse_base(base, address, &port) &&
        host_vm_forward_staging(rq->host, rq->account, vm, address, port, &e) < 0)
        log_debug("native", "vm=%s reaches no staging: %s", vm, e.text);
}

static int presign(struct request *rq, struct answer *ret, struct err *e)
{
    char id[ID_SIZE], base[BASE_URL_SIZE];
    struct vm_info v = {0};
    struct staging_ticket t;
    int r = native_vm(rq, id, e);
    if (r == 0)
        r = request_base_url(rq, base, e);
    if (r == 0)
        r = host_vm_get(rq->host, rq->account, id, &v, e);
    if (r < 0)
        return r;
    int64_t max_bytes = v.disk_bytes;
    vm_info_done(&v);
    r = staging_sign(host_staging(rq->host), rq->account, (uint64_t)max_bytes, &t, e);
    if (r < 0)
        return r;
    open_to_guest(rq, id, base);
    ret->json = presigned_json(base, &t, max_bytes);
    return ret->json ? 0 : -ENOMEM;
}

static const struct field presign_fields[] = {
    {"uploadUrl", FIELD_TEXT, FIELD_REQUIRED, .doc = "PUT the file here; no key is needed"},
    {"downloadUrl", FIELD_TEXT, FIELD_REQUIRED, .doc = "GET it here; no key is needed"},
    {"expiresInSec", FIELD_INTEGER, FIELD_REQUIRED, .doc = "How long both are good"},
    {"maxUploadBytes", FIELD_INTEGER, FIELD_REQUIRED, .doc = "How large it may be"},
    {0},
};

/* ---- POST /v1/vms/{id}/files/fetch ---- */

struct fetch_input {
    struct field_text url, path;
    double timeout_s;
};

static const struct field fetch_request[] = {
    {"url", FIELD_TEXT, FIELD_REQUIRED, offsetof(struct fetch_input, url), .max_bytes = 2048,
     .doc = "A downloadUrl of presign"},
    {"path", FIELD_TEXT, FIELD_REQUIRED, offsetof(struct fetch_input, path), .min = 1,
     .max_bytes = AGENT_PATH_MAX_BYTES, .doc = "Where to put it, absolute"},
    {"timeoutSec", FIELD_NUMBER, 0, offsetof(struct fetch_input, timeout_s), .min = 0,
     .max = EXEC_TIMEOUT_MAX_MS / 1000, .doc = "Seconds it may take; no bound when missing or 0"},
    {0},
};

/* The object that a downloadUrl of ours names, opened; by whatever name our host was called. */
static int open_url(const struct request *rq, const char *url, int *ret_fd, struct err *e)
{
    char object[ID_SIZE];
    struct staging *s = host_staging(rq->host);
    const char *path = strstr(url, STAGING_PATH);
    const char *at = path ? path + strlen(STAGING_PATH) : "";
    const char *query = strchr(at, '?');
    if (!query || query - at != ID_LEN)
        return err_field(e, "url", "field \"url\" is no downloadUrl of files/presign");
    snprintf(object, sizeof(object), "%.*s", ID_LEN, at);
    int r = staging_check(s, false, object, query + 1, NULL, e);
    uint64_t bytes;
    if (r == 0)
        r = staging_check_owner(s, rq->account, object, e);
    return r == 0 ? staging_open(s, object, ret_fd, &bytes, e) : r;
}

static int copy(int fd, struct vm_stream *to, struct err *e)
{
    auto_free char *piece = malloc(STAGING_PIECE_BYTES);
    if (!piece)
        return err_errno(e, -ENOMEM, "read a staging file");
    for (;;) {
        ssize_t n = read(fd, piece, STAGING_PIECE_BYTES);
        if (n < 0)
            return err_errno(e, -errno, "read a staging file");
        int r = n ? vm_stream_write(to, piece, (size_t)n, e) : vm_stream_finish(to, e);
        if (r < 0 || !n)
            return r;
    }
}

static json_t *fetched_json(bool timed_out, int64_t took_ms)
{
    return json_pack("{s:i, s:s, s:s, s:b, s:b, s:b, s:I}", "exitCode", timed_out ? 124 : 0,
                     "stdout", "", "stderr", timed_out ? "the file did not come in time\n" : "",
                     "timedOut", timed_out, "stdoutTruncated", false, "stderrTruncated", false,
                     "durationMs", (json_int_t)took_ms);
}

static int fetch_to(struct request *rq, int fd, struct transfer *t, struct answer *ret,
                    struct err *e)
{
    const struct fetch_input *in = rq->input.data;
    int64_t start = clock_mono_ms(), timeout_ms = native_round_up(in->timeout_s * 1000);
    int r = transfer_watch(t, rq, timeout_ms ? start + timeout_ms : 0, e);
    if (r < 0)
        return r;
    r = copy(fd, t->stream, e);
    bool timed_out = r < 0 && watch_timed_out(t->watch);
    if (r < 0 && !timed_out)
        return r;
    ret->json = fetched_json(timed_out, clock_mono_ms() - start);
    return ret->json ? 0 : -ENOMEM;
}

static int fetch(struct request *rq, struct answer *ret, struct err *e)
{
    const struct fetch_input *in = rq->input.data;
    const struct guest_file f = {.path = in->path.data, .mode = 0644};
    char id[ID_SIZE];
    auto_close int fd = -1;
    CLEANUP(transfer_freep) struct transfer *t = NULL;
    int r = native_vm(rq, id, e);
    if (r == 0 && f.path[0] != '/')
        r = err_field(e, "path", "field \"path\" must be an absolute path");
    if (r == 0)
        r = open_url(rq, in->url.data, &fd, e);
    if (r == 0)
        r = transfer_new(f.path, &t, e);
    if (r == 0)
        r = host_vm_file_write(rq->host, rq->account, id, &f, &t->stream, e);
    return r < 0 ? r : fetch_to(rq, fd, t, ret, e);
}

static const struct field fetch_fields[] = {
    {"exitCode", FIELD_INTEGER, FIELD_REQUIRED, .doc = "0, or 124 when it took too long"},
    {"stdout", FIELD_TEXT, FIELD_REQUIRED, .doc = "Empty"},
    {"stderr", FIELD_TEXT, FIELD_REQUIRED, .doc = "What went wrong"},
    {"timedOut", FIELD_BOOL, FIELD_REQUIRED, .doc = "Whether timeoutSec ended it"},
    {"stdoutTruncated", FIELD_BOOL, FIELD_REQUIRED, .doc = "false"},
    {"stderrTruncated", FIELD_BOOL, FIELD_REQUIRED, .doc = "false"},
    {"durationMs", FIELD_INTEGER, FIELD_REQUIRED, .doc = "How long it took"},
    {0},
};

/* ---- PUT, GET /v1/staging/{object} ---- */

struct incoming {
    struct staging *staging;
    char object[ID_SIZE];
    int fd;
    uint64_t bytes, max_bytes;
};

static int write_some(void *arg, const void *data, size_t len, struct err *e)
{
    struct incoming *in = arg;
    if (len > in->max_bytes - in->bytes)
        return err_set(e, ERR_TOO_LARGE, "the upload is larger than the %llu bytes of its URL",
                       (unsigned long long)in->max_bytes);
    in->bytes += len;
    int r = fd_write_all(in->fd, data, len);
    if (r == -ENOSPC)
        return err_set(e, ERR_FULL, "the host's disk is full");
    return r < 0 ? err_errno(e, r, "write a staging file") : 0;
}

static int finish(void *arg, struct answer *ret, struct err *e)
{
    struct incoming *in = arg;
    int r = staging_commit(in->staging, in->object, in->fd, e);
    if (r < 0)
        return r;
    ret->json = json_pack("{s:I}", "size", (json_int_t)in->bytes);
    return ret->json ? 0 : -ENOMEM;
}

static void drop(void *arg)
{
    struct incoming *in = arg;
    cleanup_close(&in->fd);
    free(in);
}

static int put(struct request *rq, struct upload *ret, struct err *e)
{
    struct staging *s = host_staging(rq->host);
    uint64_t max_bytes;
    auto_close int fd = -1;
    int r = staging_check(s, true, rq->params[0], rq->raw_query, &max_bytes, e);
    if (r == 0)
        r = staging_create(s, &fd, e);
    if (r < 0)
        return r;
    struct incoming *in = calloc(1, sizeof(*in));
    if (!in)
        return err_errno(e, -ENOMEM, "stage a file");
    in->staging = s;
    in->max_bytes = max_bytes;
    in->fd = TAKE_FD(fd);
    snprintf(in->object, sizeof(in->object), "%s", rq->params[0]);
    *ret = (struct upload){.write = write_some, .finish = finish, .free = drop, .arg = in};
    return 0;
}

static int get(struct request *rq, struct answer *ret, struct err *e)
{
    struct staging *s = host_staging(rq->host);
    auto_close int fd = -1;
    uint64_t bytes;
    struct byte_range range;
    int r = staging_check(s, false, rq->params[0], rq->raw_query, NULL, e);
    if (r == 0)
        r = staging_open(s, rq->params[0], &fd, &bytes, e);
    if (r == 0)
        r = answer_range(rq, bytes, ret, &range, e);
    if (r == 0)
        answer_file(ret, TAKE_FD(fd), range.offset, range.length);
    return r;
}

static const struct field staged_fields[] = {
    {"size", FIELD_INTEGER, FIELD_REQUIRED, .doc = "Bytes that came"},
    {0},
};

/* ---- rows ---- */

static const struct route_success get_others[] = {
    {206, NULL, "application/octet-stream", "The part that Range asks for"},
    {0},
};

const struct route native_staging_routes[] = {
    {
        NATIVE_ROW(POST, "/v1/vms/{id}/files/presign", "presignFile"),
        .handler = presign,
        .request = presign_request,
        .input_bytes = sizeof(struct presign_input),
        .response = presign_fields,
        .flags = ROUTE_ACCOUNT,
        .doc = "Signed URLs of a new staging object",
    },
    {
        NATIVE_ROW(POST, "/v1/vms/{id}/files/fetch", "fetchFile"),
        .handler = fetch,
        .request = fetch_request,
        .input_bytes = sizeof(struct fetch_input),
        .response = fetch_fields,
        .flags = ROUTE_ACCOUNT,
        .doc = "Put a staged object into a VM",
    },
    {
        NATIVE_ROW(PUT, STAGING_PATH "{object}", "putStaged"),
        .upload = put,
        .response = staged_fields,
        .flags = ROUTE_SIGNED | ROUTE_GUEST,
        .doc = "Upload to a signed URL",
    },
    {
        NATIVE_ROW(GET, STAGING_PATH "{object}", "getStaged"),
        .handler = get,
        .content_type = "application/octet-stream",
        .others = get_others,
        .flags = ROUTE_SIGNED | ROUTE_GUEST | ROUTE_RANGES,
        .doc = "Download from a signed URL",
    },
    {0},
};
