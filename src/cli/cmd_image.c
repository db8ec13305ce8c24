/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "cli/api_answer.h"
#include "cli/commands.h"
#include "cli/cp_meter.h"
#include "cli/fields.h"
#include "cli/json.h"
#include "cli/objects.h"
#include "cli/table.h"
#include "cli/units.h"
#include "cli/vm_call.h"
#include "cli/vm_view.h"

static int image_path(struct cli_call *call, size_t i, struct ref_found *ret,
                      char path[VM_PATH_SIZE], struct err *e)
{
    int r = ref_one(call->client, REF_IMAGE, call->o->words[i], ret, e);
    if (r == 0)
        snprintf(path, VM_PATH_SIZE, "/v1/images/%s", ret->id);
    return r;
}

/* ---- list, show ---- */

static bool is_true(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

/* "python", or "awk, lua and 8 more" of what shares it. */
static void languages_of(const json_t *image, char *ret, size_t size)
{
    const json_t *all = json_object_get(image, "languages");
    size_t n = json_array_size(all), at = 0;
    ret[0] = '\0';
    for (size_t i = 0; i < n && i < 3 && at < size; i++)
        at += (size_t)snprintf(ret + at, size - at, "%s%.20s", i ? ", " : "",
                               json_string_value(json_array_get(all, i)));
    if (n > 3 && at < size)
        snprintf(ret + at, size - at, " and %zu more", n - 3);
}

static void add_row(struct table *t, const struct term *term, const json_t *i)
{
    char id[REF_ID_SIZE], size[UNITS_SIZE] = "", age[UNITS_SIZE], on_disk[UNITS_SIZE] = "";
    char languages[120];
    double allocated = json_number_value(json_object_get(i, "allocatedBytes"));
    const char *state = json_text(i, "state");
    double gib = json_number_value(json_object_get(i, "diskGiB"));
    vm_view_id(term, json_text(i, "id"), id);
    if (gib > 0)
        units_bytes(gib * (double)GIB, size);
    if (allocated > 0)
        units_bytes(allocated, on_disk);
    languages_of(i, languages, sizeof(languages));
    vm_view_age(json_text(i, "createdAt"), age, sizeof(age));
    table_add(t, (struct table_cell[]){
                     {.text = json_text(i, "name"), .style = STYLE_BOLD},
                     {.text = id},
                     {.text = state, .style = vm_view_style(state)},
                     {.text = size},
                     {.text = on_disk},
                     {.text = age},
                     {.text = is_true(i, "isDefault") ? "default" : ""},
                     {.text = *languages              ? languages
                              : is_true(i, "builtin") ? "Holm's own"
                                                      : json_text(i, "description")},
                 });
}

static void add_remote_row(struct table *t, const struct term *term, const json_t *i)
{
    char size[UNITS_SIZE], age[UNITS_SIZE];
    units_bytes(json_number_value(json_object_get(i, "bytes")), size);
    vm_view_age(json_text(i, "pushedAt"), age, sizeof(age));
    table_add(t, (struct table_cell[]){
                     {.text = json_text(i, "name"), .style = STYLE_BOLD},
                     {.text = json_text(i, "kind")},
                     {.text = size},
                     {.text = age},
                     {.text = json_text(i, "path")},
                 });
}

static int list_remote(struct cli_call *call, struct err *e)
{
    static const char *const heads[] = {"NAME", "KIND", "STORED", "AGE", "PATH"};
    static const struct objects_list all = {
        .path = "/v1/images/remote",
        .heads = heads,
        .n_columns = ARRAY_SIZE(heads),
        .right = 3 << 2,
        .none = "there are none; 'holm image push IMAGE' puts one there",
        .add_row = add_remote_row};
    return objects_list(call, &all, e);
}

static int list(struct cli_call *call, struct err *e)
{
    static const char *const heads[] = {"NAME", "ID", "STATE", "DISK", "STORED", "AGE", "", "FOR"};
    static const struct objects_list all = {.path = "/v1/images",
                                            .heads = heads,
                                            .n_columns = ARRAY_SIZE(heads),
                                            .right = 7 << 3,
                                            .add_row = add_row};
    return options_has(call->o, "remote") ? list_remote(call, e) : objects_list(call, &all, e);
}

static int show(struct cli_call *call, struct err *e)
{
    static const char *const except[] = {"kernelBytes", NULL};
    auto_table struct table t = {.n_columns = 2};
    auto_json json_t *image = NULL;
    struct ref_found ref;
    char path[VM_PATH_SIZE], size[UNITS_SIZE];
    int r = image_path(call, 0, &ref, path, e);
    if (r == 0)
        r = api_client_get(call->client, path, &image, e);
    if (r < 0)
        return r;
    progress_stop(&call->cli->progress);
    if (options_has(call->o, "json")) {
        cli_print_json(call->cli, image);
        return 0;
    }
    fields_add(&t, image, except);
    units_bytes(json_number_value(json_object_get(image, "kernelBytes")), size);
    if (is_true(image, "hasKernel"))
        fields_row(&t, "kernel", size, STYLE_PLAIN);
    table_print(&t, &call->cli->out);
    return 0;
}

/* ---- create, upload ---- */

/* A file of the command line, open before anything is asked of the daemon. */
struct part {
    const char *option; /* and the last word of its path */
    const char *file;   /* NULL: not given */
    int fd;
    int64_t size;
};

#define PARTS 2
struct parts {
    struct part part[PARTS];
};
#define PARTS_INIT                                                                 \
    {                                                                              \
        .part = { {.option = "kernel", .fd = -1}, {.option = "rootfs", .fd = -1} } \
    }

static void parts_done(struct parts *p)
{
    for (size_t i = 0; i < PARTS; i++) {
        if (p->part[i].fd >= 0)
            close(p->part[i].fd);
    }
}

static int open_part(const struct options *o, struct part *p, struct err *e)
{
    struct stat st;
    p->file = options_value(o, p->option);
    if (!p->file)
        return 0;
    p->fd = open(p->file, O_RDONLY | O_CLOEXEC);
    if (p->fd < 0 || fstat(p->fd, &st) < 0)
        return err_set(e, ERR_UNAVAILABLE, "cannot read %.300s: %s", p->file, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return err_set(e, ERR_UNAVAILABLE, "%.300s is a directory; a %s is a file", p->file,
                       p->option);
    p->size = S_ISREG(st.st_mode) ? st.st_size : -1;
    return 0;
}

static int open_parts(const struct options *o, struct parts *p, struct err *e)
{
    int r = 0;
    for (size_t i = 0; i < PARTS && r == 0; i++)
        r = open_part(o, &p->part[i], e);
    return r;
}

static void on_moved(void *arg, int64_t done, int64_t total)
{
    cp_meter_moved(arg, done, total);
}

static int send_part(struct cli_call *call, const char *image, const struct part *p, struct err *e)
{
    auto_api_answer struct api_answer a = {0};
    struct cp_meter meter;
    char path[VM_PATH_SIZE], result[100];
    snprintf(path, sizeof(path), "%s/%s", image, p->option);
    cp_meter_init(&meter, call->cli, p->file);
    const struct api_upload upload = {
        .fd = p->fd, .size = p->size, .type = "application/octet-stream"};
    const struct api_request rq = {
        .path = path, .upload = &upload, .moved = on_moved, .arg = &meter};
    int r = api_client_send(call->client, &rq, &a, e);
    if (r == 0 && a.status != 200)
        r = api_answer_error(call->client, &a, e);
    if (r < 0)
        return err_wrap(e, r, "%.200s", p->file);
    cp_meter_result(&meter, result, sizeof(result));
    vm_call_tell(call->cli, "%s %s: %s", p->option, p->file, result);
    return 0;
}

static int send_parts(struct cli_call *call, const char *image, const struct parts *p,
                      struct err *e)
{
    int r = 0;
    for (size_t i = 0; i < PARTS && r == 0; i++) {
        if (p->part[i].file)
            r = send_part(call, image, &p->part[i], e);
    }
    return r;
}

static int make_default(struct cli_call *call, const char *image, json_t **ret, struct err *e)
{
    char path[VM_PATH_SIZE];
    snprintf(path, sizeof(path), "%s/set-default", image);
    struct api_call rq = {.method = "POST", .path = path};
    return api_client_call(call->client, &rq, ret, NULL, e);
}

/* An image of which a file was refused is of no use to anybody. */
static void take_back(struct cli_call *call, const char *image)
{
    struct api_call rq = {.method = "DELETE", .path = image};
    struct err e = ERR_INIT;
    (void)api_client_call(call->client, &rq, NULL, NULL, &e);
}

static int make(struct cli_call *call, char path[VM_PATH_SIZE], struct err *e)
{
    auto_json json_t *body = json_object();
    auto_json json_t *answer = NULL;
    struct api_call rq = {.method = "POST", .path = "/v1/images", .body = body};
    int r = json_set_text(body, "name", call->o->words[0], e);
    if (r == 0)
        r = json_set_text(body, "description", options_value(call->o, "description"), e);
    if (r == 0)
        r = api_client_call(call->client, &rq, &answer, NULL, e);
    if (r == 0)
        snprintf(path, VM_PATH_SIZE, "/v1/images/%.64s", json_text(answer, "id"));
    return r;
}

static int create(struct cli_call *call, struct err *e)
{
    CLEANUP(parts_done) struct parts parts = PARTS_INIT;
    auto_json json_t *image = NULL;
    char path[VM_PATH_SIZE];
    if (!options_value(call->o, "kernel") || !options_value(call->o, "rootfs"))
        return err_set(e, ERR_INVALID, "an image needs both: --kernel FILE --rootfs FILE");
    int r = open_parts(call->o, &parts, e);
    if (r == 0)
        r = make(call, path, e);
    if (r < 0)
        return r;
    r = send_parts(call, path, &parts, e);
    if (r < 0) {
        take_back(call, path);
        return r;
    }
    r = options_has(call->o, "default") ? make_default(call, path, &image, e)
                                        : api_client_get(call->client, path, &image, e);
    if (r < 0)
        return r;
    if (options_has(call->o, "json"))
        cli_print_json(call->cli, image);
    else
        vm_call_made(call->cli, "image", image);
    return 0;
}

static int upload(struct cli_call *call, struct err *e)
{
    CLEANUP(parts_done) struct parts parts = PARTS_INIT;
    struct ref_found ref;
    char path[VM_PATH_SIZE];
    if (!options_value(call->o, "kernel") && !options_value(call->o, "rootfs"))
        return err_set(e, ERR_INVALID, "what is to be uploaded? --kernel FILE, --rootfs FILE");
    int r = open_parts(call->o, &parts, e);
    if (r == 0)
        r = image_path(call, 0, &ref, path, e);
    return r < 0 ? r : send_parts(call, path, &parts, e);
}

static int set_default(struct cli_call *call, struct err *e)
{
    struct ref_found ref;
    char path[VM_PATH_SIZE];
    int r = image_path(call, 0, &ref, path, e);
    if (r == 0)
        r = make_default(call, path, NULL, e);
    if (r == 0)
        vm_call_tell(call->cli, "VMs are made from %s now when nothing else is named", ref.name);
    return r;
}

/* ---- delete ---- */

static int delete (struct cli_call *call, struct err *e)
{
    return objects_delete(call, REF_IMAGE, e);
}

/* ---- rows ---- */

#define NEEDS_IMAGE "which image? 'holm image list' shows all"

const struct cli_command cmd_image = {
    .name = "image",
    .summary = "Bring kernels and root file systems of your own",
    .usage = (const char *const[]){"image COMMAND ...", "image COMMAND --help", NULL},
    .details =
        "An image is what a VM is made from: a kernel and a root file system. Some are "
        "Holm's own; others are uploaded. It is called by its name, its id, or the beginning "
        "of its id.",
    .options = (const struct option_row[]){{0}},
    .examples =
        (const struct cli_example[]){
            {"holm image create mine --kernel bzImage --rootfs root.ext4", "Upload one."},
            {"holm vm create --image mine", "A VM that boots it."},
            {0},
        },
    .words_max = 1,
    .fill = {FILL_SUBCOMMAND},
};

const struct cli_command cmd_image_create = {
    .name = "image create",
    .summary = "Upload a kernel and a root file system as a new image",
    .usage = (const char *const[]){"image create NAME --kernel FILE --rootfs FILE [--description "
                                   "TEXT] [--default] [--json]",
                                   NULL},
    .details =
        "The kernel is a bzImage, or an ELF vmlinux with the PVH entry; the root file system "
        "a raw ext4. Both are checked; when one is refused no image is left. Its virtio and "
        "ext4 drivers are built in, or modules in /lib/modules of the root file system. "
        "Nothing has to be installed in it. The first VM boots it; later ones start from how "
        "it was then. Without a terminal the image's id is all that is printed.",
    .options =
        (const struct option_row[]){
            {.name = "kernel", .value = "FILE", .doc = "The kernel", .fill = FILL_FILE},
            {.name = "rootfs", .value = "FILE", .doc = "The root file system", .fill = FILL_FILE},
            {.name = "description", .value = "TEXT", .doc = "What is in it"},
            {.name = "default", .doc = "Make VMs from it when nothing else is named"},
            {.name = "json", .doc = "Print the image as JSON"},
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"holm image create mine --kernel bzImage --rootfs root.ext4", "Of two files."},
            {"holm image create mine --kernel vmlinux --rootfs root.ext4 --default",
             "And use it from now on."},
            {0},
        },
    .words_min = 1,
    .words_max = 1,
    .needs = "what shall it be called? e.g. holm image create mine --kernel bzImage --rootfs "
             "root.ext4",
    .call = create,
    .doing = "making the image",
};

const struct cli_command cmd_image_upload = {
    .name = "image upload",
    .summary = "Replace the kernel or the root file system of an image",
    .usage = (const char *const[]){"image upload IMAGE [--kernel FILE] [--rootfs FILE]", NULL},
    .details = "VMs and snapshots that are there keep what they were made from.",
    .options =
        (const struct option_row[]){
            {.name = "kernel", .value = "FILE", .doc = "The kernel", .fill = FILL_FILE},
            {.name = "rootfs", .value = "FILE", .doc = "The root file system", .fill = FILL_FILE},
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"holm image upload mine --rootfs newer.ext4", "Another root file system."},
            {0},
        },
    .words_min = 1,
    .words_max = 1,
    .needs = NEEDS_IMAGE,
    .fill = {FILL_IMAGE},
    .call = upload,
    .doing = "looking for the image",
};

const struct cli_command cmd_image_list = {
    .name = "image list",
    .summary = "List the images",
    .usage = (const char *const[]){"image list [--remote] [--json]", NULL},
    .details =
        "Holm's own first. DISK is the least that a VM's disk can have, STORED what it takes on "
        "the host; FOR tells which languages share it.\n"
        "With --remote what is in the object store, images and then templates, which are called "
        "by their language. For admins.",
    .options =
        (const struct option_row[]){
            {.name = "remote", .doc = "What is in the object store"},
            {.name = "json", .doc = "Print the list as JSON"},
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"holm image list", "All of them."},
            {"holm image list --remote", "What 'image pull' can bring."},
            {0},
        },
    .call = list,
    .doing = "asking for the images",
};

const struct cli_command cmd_image_show = {
    .name = "image show",
    .summary = "Show everything about an image",
    .usage = (const char *const[]){"image show IMAGE [--json]", NULL},
    .details = "When it cannot be booted, this says why.",
    .options =
        (const struct option_row[]){
            {.name = "json", .doc = "Print the image as JSON"},
            {0},
        },
    .examples = (const struct cli_example[]){{"holm image show mine", "By its name."}, {0}},
    .words_min = 1,
    .words_max = 1,
    .needs = NEEDS_IMAGE,
    .fill = {FILL_IMAGE},
    .call = show,
    .doing = "asking for the image",
};

const struct cli_command cmd_image_set_default = {
    .name = "image set-default",
    .summary = "Make VMs from this image when nothing else is named",
    .usage = (const char *const[]){"image set-default IMAGE", NULL},
    .details = "Of this account. When it is deleted, the daemon's default is the account's again.",
    .options = (const struct option_row[]){{0}},
    .examples = (const struct cli_example[]){{"holm image set-default mine", "By its name."}, {0}},
    .words_min = 1,
    .words_max = 1,
    .needs = NEEDS_IMAGE,
    .fill = {FILL_IMAGE},
    .call = set_default,
    .doing = "changing the default",
};

/* 'delete', and 'rm', which is what people type. */
static const struct option_row delete_options[] = {
    {.name = "force",
     .letter = 'f',
     .doc = "Do not ask, and do not mind an image that is not there"},
    {0},
};
#define DELETES_IMAGES                                                                           \
    .options = delete_options, .words_min = 1, .words_max = CLI_WORDS_MAX, .needs = NEEDS_IMAGE, \
    .fill = {FILL_IMAGE, FILL_IMAGE}, .call = delete, .doing = "deleting images"

const struct cli_command cmd_image_delete = {
    .name = "image delete",
    .summary = "Remove images",
    .usage = (const char *const[]){"image delete [-f] IMAGE...", NULL},
    .details = "On a terminal it asks first. An image that VMs or snapshots are made from is not "
               "removed.",
    .examples = (const struct cli_example[]){{"holm image delete mine", "One."}, {0}},
    DELETES_IMAGES,
};

const struct cli_command cmd_image_rm = {
    .name = "image rm",
    .summary = "Remove images, as 'image delete' does",
    .usage = (const char *const[]){"image rm [-f] IMAGE...", NULL},
    .details = "The same as 'holm image delete'.",
    .examples = (const struct cli_example[]){{"holm image rm mine", "One."}, {0}},
    DELETES_IMAGES,
};
