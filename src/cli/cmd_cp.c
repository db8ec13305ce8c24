/* SPDX-License-Identifier: Apache-2.0 */

/* holm cp. Files travel as they are, directories as tar streams; nothing is held in memory beyond
 * a buffer, on either side. What is replaced is replaced whole: the daemon writes beside and
 * renames, and so does cp_sink. */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "cli/api_answer.h"
#include "cli/api_copy.h"
#include "cli/commands.h"
#include "cli/cp_meter.h"
#include "cli/cp_place.h"
#include "cli/cp_sink.h"
#include "cli/cp_tar.h"
#include "cli/vm_call.h"

#define TAR_TYPE "application/x-tar"
#define FILE_TYPE "application/octet-stream"

/* One copy. */
struct cp {
    struct cli_call *call;
    struct cp_place from, to;
    struct cp_stat is; /* what `from` is */
    struct cp_meter meter;
    char name[400]; /* what is copied, for people */
};

static void on_moved(void *arg, int64_t done, int64_t total)
{
    struct cp *cp = arg;
    cp_meter_moved(&cp->meter, done, total);
}

/* The request that puts what is copied. */
static int put_query(const struct cp *cp, char ret[CP_QUERY_SIZE], struct err *e)
{
    char mode[24] = "";
    if (!cp->is.is_dir)
        snprintf(mode, sizeof(mode), "&mode=%04o", (unsigned)cp->is.mode);
    return cp_place_query(&cp->to, mode, ret, e);
}

static const char *type_of(const struct cp *cp)
{
    return cp->is.is_dir ? TAR_TYPE : FILE_TYPE;
}

/* Any 2xx. */
static int check_answer(const struct api_client *c, const struct api_answer *a, struct err *e)
{
    return a->status >= 200 && a->status < 300 ? 0 : api_answer_error(c, a, e);
}

/* ---- to a VM ---- */

static int send_fd(struct cp *cp, int fd, int64_t size, struct err *e)
{
    auto_api_answer struct api_answer a = {0};
    char query[CP_QUERY_SIZE];
    int r = put_query(cp, query, e);
    const struct api_upload upload = {.fd = fd, .size = size, .type = type_of(cp)};
    const struct api_request rq = {.path = query, .upload = &upload, .moved = on_moved, .arg = cp};
    if (r == 0)
        r = api_client_send(cp->call->client, &rq, &a, e);
    return r < 0 ? r : check_answer(cp->call->client, &a, e);
}

static int send_file(struct cp *cp, struct err *e)
{
    bool is_stream = !strcmp(cp->from.path, "-");
    auto_close int fd = is_stream ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                                  : open(cp->from.path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_set(e, ERR_UNAVAILABLE, "cannot read %.300s: %s", cp->from.path,
                       strerror(errno));
    off_t at = S_ISREG(st.st_mode) ? lseek(fd, 0, SEEK_CUR) : -1;
    return send_fd(cp, fd, at < 0 ? -1 : st.st_size > at ? st.st_size - at : 0, e);
}

static int send_dir(struct cp *cp, struct err *e)
{
    struct cp_tar CLEANUP(cp_tar_done) tar = {0};
    int r = cp_tar_pack(cp->from.path, &tar, e);
    if (r == 0)
        r = send_fd(cp, tar.fd, -1, e);
    return r < 0 ? r : cp_tar_finish(&tar, e);
}

/* ---- from a VM ---- */

struct receiver {
    struct cp_sink *sink;
    struct cp *cp;
};

static int on_received(void *arg, const char *data, size_t len, struct err *e)
{
    struct receiver *rc = arg;
    return cp_sink_write(rc->sink, data, len, e);
}

static void on_received_moved(void *arg, int64_t done, int64_t total)
{
    struct receiver *rc = arg;
    on_moved(rc->cp, done, total);
}

static int receive(struct cp *cp, struct err *e)
{
    struct cp_sink CLEANUP(cp_sink_done) sink = {.fd = -1, .tar.fd = -1};
    auto_api_answer struct api_answer a = {0};
    struct cli *cli = cp->call->cli;
    char query[CP_QUERY_SIZE];
    bool is_stream = !strcmp(cp->to.path, "-");
    int r = cp->is.is_dir && !is_stream
                ? cp_sink_open_dir(cli, cp->to.path, &sink, e)
                : cp_sink_open_file(cli, cp->to.path, cp->is.mode, &sink, e);
    if (r == 0)
        r = cp_place_query(&cp->from, "", query, e);
    if (r < 0)
        return r;
    struct receiver rc = {.sink = &sink, .cp = cp};
    struct api_request rq = {
        .path = query, .raw = true, .data = on_received, .moved = on_received_moved, .arg = &rc};
    /* On a terminal the content itself shows how far it has come. */
    if (is_stream && cli->out.tty) {
        progress_stop(&cli->progress);
        rq.moved = NULL;
    }
    r = api_client_send(cp->call->client, &rq, &a, e);
    if (r == 0)
        r = check_answer(cp->call->client, &a, e);
    return r < 0 ? r : cp_sink_commit(&sink, e);
}

/* ---- from one VM to another ---- */

static int pass_on(struct cp *cp, struct err *e)
{
    auto_api_client struct api_client *other = NULL;
    auto_api_answer struct api_answer got = {0};
    auto_api_answer struct api_answer put = {0};
    char get_query[CP_QUERY_SIZE], query[CP_QUERY_SIZE];
    int r = cli_connect(cp->call->cli, "copying", &other, e);
    if (r == 0)
        r = cp_place_query(&cp->from, "", get_query, e);
    if (r == 0)
        r = put_query(cp, query, e);
    if (r < 0)
        return r;
    const struct api_upload upload = {.fd = -1, .size = -1, .type = type_of(cp)};
    const struct api_request get = {.path = get_query, .raw = true, .moved = on_moved, .arg = cp};
    const struct api_request rq = {.path = query, .upload = &upload};
    const struct api_copy copy = {.from = other, .to = cp->call->client, .get = &get, .put = &rq};
    r = api_client_copy(&copy, &got, &put, e);
    if (r == 0)
        r = check_answer(other, &got, e);
    return r < 0 ? r : check_answer(cp->call->client, &put, e);
}

/* ---- both ---- */

/* Where exactly it goes: into a directory that is there, or that a slash at the end asks for. */
static int settle_target(struct cp *cp, struct err *e)
{
    struct cp_stat target;
    size_t len = strlen(cp->to.path);
    if (!cp->to.is_vm && !strcmp(cp->to.path, "-"))
        return 0;
    int r = cp_place_stat(cp->call->client, &cp->to, &target, e);
    if (r < 0)
        return r;
    if (target.exists && !target.is_dir && cp->is.is_dir)
        return err_set(e, ERR_CONFLICT, "%.300s is a file; a directory cannot be copied over it",
                       cp->to.path);
    bool is_into = target.is_dir || (!cp->is.is_dir && len && cp->to.path[len - 1] == '/');
    if (!is_into)
        return 0;
    if (!strcmp(cp->from.path, "-") && !cp->from.is_vm)
        return err_set(e, ERR_CONFLICT, "%.300s is a directory; a stream needs a file name there",
                       cp->to.path);
    return cp_place_into(&cp->to, &cp->from, e);
}

static int settle(struct cp *cp, struct err *e)
{
    auto_ref struct ref vms = {.client = cp->call->client, .kind = REF_VM};
    const char *const *words = cp->call->o->words;
    if (!cp_place_is_remote(words[0]) && !cp_place_is_remote(words[1]))
        return err_set(e, ERR_INVALID,
                       "one of the two has to be in a VM: write VM:PATH, like lab:%.100s",
                       *words[1] == '/' ? words[1] : "/srv");
    int r = cp_place_parse(&vms, words[0], &cp->from, e);
    if (r == 0)
        r = cp_place_parse(&vms, words[1], &cp->to, e);
    if (r == 0)
        r = cp_place_stat(cp->call->client, &cp->from, &cp->is, e);
    if (r < 0)
        return r;
    cp_place_name(&cp->from, cp->name, sizeof(cp->name));
    if (!cp->is.exists)
        return err_set(e, ERR_NOT_FOUND, "there is no %.300s", cp->name);
    return settle_target(cp, e);
}

static int copy(struct cli_call *call, struct err *e)
{
    struct cp cp = {.call = call};
    char result[100];
    int r = settle(&cp, e);
    if (r < 0)
        return r;
    cp_meter_init(&cp.meter, call->cli, cp.name);
    if (cp.from.is_vm && cp.to.is_vm)
        r = pass_on(&cp, e);
    else if (cp.from.is_vm)
        r = receive(&cp, e);
    else
        r = cp.is.is_dir ? send_dir(&cp, e) : send_file(&cp, e);
    if (r < 0)
        return r;
    cp_meter_result(&cp.meter, result, sizeof(result));
    if (strcmp(cp.to.path, "-"))
        vm_call_tell(call->cli, "%s: %s", cp.name, result);
    return 0;
}

const struct cli_command cmd_cp = {
    .name = "cp",
    .summary = "Copy files and directories into, out of and between VMs",
    .usage = (const char *const[]){"cp SRC DST", NULL},
    .details =
        "SRC and DST are files or directories here, or VM:PATH; one of them at least is in a VM. A "
        "PATH that does not begin with a slash is below /root. '-' is standard input or output; a "
        "directory comes out of it as tar. Permissions are kept, and files in a VM belong to root. "
        "A DST that is a directory gets the copy under its own name; 'SRC/.' copies what is in "
        "SRC. Directories above DST are made in a VM, but not here.\n"
        "A file is replaced only once all of it has arrived.",
    .options = (const struct option_row[]){{0}},
    .examples =
        (const struct cli_example[]){
            {"holm cp data.csv lab:/srv/", "A file into a VM."},
            {"holm cp lab:/etc/hosts .", "One out of it."},
            {"holm cp -- src/. lab:/srv/app", "What is in a directory."},
            {"holm cp lab:/var/lib/db other:/var/lib/", "From one VM to another."},
            {"pg_dump | holm cp - lab:dump.sql", "A stream, to /root/dump.sql."},
            {"holm cp lab:/srv - | tar -t", "A directory as tar."},
            {0},
        },
    .words_min = 2,
    .words_max = 2,
    .needs = "from where to where? e.g. holm cp data.csv lab:/srv/",
    .fill = {FILL_VM_PATH, FILL_VM_PATH},
    .call = copy,
    .doing = "looking at what is to be copied",
};
