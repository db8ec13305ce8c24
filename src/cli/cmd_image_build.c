/* SPDX-License-Identifier: Apache-2.0 */

/* Making Holm's own images: by recipe, of a container's, by a Dockerfile. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "cli/api_answer.h"
#include "cli/builds.h"
#include "cli/commands.h"
#include "cli/cp_meter.h"
#include "cli/cp_tar.h"
#include "cli/json.h"
#include "cli/objects.h"
#include "cli/units.h"
#include "cli/vm_call.h"
#include "cli/vm_view.h"

/* --- by recipe --- */

/* Of a file here the daemon is told where it is; it must be its own host's. */
static int set_toolchain(const struct options *o, json_t *body, struct err *e)
{
    const char *t = options_value(o, "toolchain"), *sum = options_value(o, "sha256");
    if (!t && !sum)
        return 0;
    if (!t || !sum)
        return err_set(e, ERR_INVALID, "--toolchain and --sha256 go together");
    if (o->n_words != 1)
        return err_set(e, ERR_INVALID, "--toolchain is for one image: name it");
    bool is_url = strncmp(t, "https://", 8) == 0 || strncmp(t, "http://", 7) == 0;
    auto_free char *path = is_url ? NULL : realpath(t, NULL);
    if (!is_url && !path)
        return err_set(e, ERR_INVALID, "cannot read %.300s: %s", t, strerror(errno));
    int r = json_set_text(body, "toolchain", is_url ? t : path, e);
    return r < 0 ? r : json_set_text(body, "sha256", sum, e);
}

static int make_body(const struct options *o, json_t *body, struct err *e)
{
    const struct options_range sizes = {BUILD_SIZE_MIN_MIB, BUILD_SIZE_MAX_MIB, 0};
    int size = 0;
    int r = options_number(o, "size", &sizes, &size, e);
    if (r == 0)
        r = set_toolchain(o, body, e);
    if (r == 0 && size)
        json_object_set_new(body, "sizeMib", json_integer(size));
    if (r == 0 && options_has(o, "force"))
        json_object_set_new(body, "force", json_true());
    return r;
}

static int start(struct cli_call *call, void *arg, const char *name, json_t **ret, struct err *e)
{
    json_t *body = arg;
    int r = json_set_text(body, "name", name, e);
    struct api_call rq = {.method = "POST", .path = BUILDS_PATH, .body = body};
    return r < 0 ? r : api_client_call(call->client, &rq, ret, NULL, e);
}

static const struct builds_words words = {
    .noun = "build", .before = "image", .done = "is ready", .failed = "was not made"};

static int build_names(struct cli_call *call, const char *const *names, size_t n, struct err *e)
{
    auto_json json_t *body = json_object();
    const struct builds_order o = {.words = &words, .start = start, .arg = body};
    int r = make_body(call->o, body, e);
    return r < 0 ? r : builds_wait_all(call, &o, names, n, e);
}

/* The images of all languages, each once; but those whose toolchain somebody must bring. */
static int build_all(struct cli_call *call, struct err *e)
{
    auto_json json_t *answer = NULL;
    auto_json json_t *seen = json_object();
    size_t i;
    json_t *language;
    int r = api_client_get(call->client, "/api/v1/languages", &answer, e);
    if (r < 0)
        return r;
    json_array_foreach(json_object_get(answer, "languages"), i, language)
    {
        auto_json json_t *detail = NULL;
        char path[VM_PATH_SIZE];
        snprintf(path, sizeof(path), "/api/v1/languages/%.64s", json_text(language, "name"));
        r = api_client_get(call->client, path, &detail, e);
        if (r < 0)
            return r;
        if (json_object_get(detail, "toolchain"))
            continue;
        json_object_set_new(seen, json_text(detail, "image"), json_true());
    }
    auto_free const char **names = calloc(json_object_size(seen) + 1, sizeof(char *));
    const char *name;
    size_t n = 0;
    if (!names)
        return err_errno(e, -ENOMEM, "build all images");
    json_object_foreach(seen, name, language) names[n++] = name;
    return build_names(call, names, n, e);
}

/* --- of a container's, by a Dockerfile --- */

static void on_moved(void *arg, int64_t done, int64_t total)
{
    cp_meter_moved(arg, done, total);
}

/* `path` is an archive, or a directory that is made one of on the way. */
struct source {
    const char *kind, *path;
    int fd;
    int64_t size;
    struct cp_tar tar;
};

static void source_done(struct source *s)
{
    cp_tar_done(&s->tar);
    if (s->fd >= 0)
        close(s->fd);
}

static int open_source(struct source *s, struct err *e)
{
    struct stat st;
    s->fd = open(s->path, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0 || fstat(s->fd, &st) < 0)
        return err_set(e, ERR_UNAVAILABLE, "cannot read %.300s: %s", s->path, strerror(errno));
    s->size = S_ISREG(st.st_mode) ? st.st_size : -1;
    if (!S_ISDIR(st.st_mode))
        return strcmp(s->kind, "dockerfile") != 0
                   ? 0
                   : err_set(e, ERR_INVALID,
                             "--dockerfile takes the directory that a Dockerfile "
                             "is in");
    return cp_tar_pack(s->path, &s->tar, e);
}

static int send_source(struct cli_call *call, struct source *s, const char *name, json_t **ret,
                       struct err *e)
{
    auto_api_answer struct api_answer a = {0};
    struct cp_meter meter;
    char path[VM_PATH_SIZE];
    const char *size = options_value(call->o, "size");
    snprintf(path, sizeof(path), BUILDS_PATH "/%s?name=%.64s%s%.8s", s->kind, name,
             size ? "&sizeMib=" : "", size ? size : "");
    cp_meter_init(&meter, call->cli, s->path);
    const struct api_upload upload = {.fd = s->tar.pid ? s->tar.fd : s->fd,
                                      .size = s->tar.pid ? -1 : s->size,
                                      .type = "application/x-tar"};
    const struct api_request rq = {
        .path = path, .upload = &upload, .moved = on_moved, .arg = &meter};
    int r = api_client_send(call->client, &rq, &a, e);
    if (r == 0 && a.status != 202)
        r = api_answer_error(call->client, &a, e);
    if (r == 0 && s->tar.pid)
        r = cp_tar_finish(&s->tar, e);
    return r < 0 ? err_wrap(e, r, "%.200s", s->path) : api_answer_json(&a, ret, e);
}

static int build_source(struct cli_call *call, const char *kind, const char *path, struct err *e)
{
    const struct options_range sizes = {BUILD_SIZE_MIN_MIB, BUILD_SIZE_MAX_MIB, 0};
    CLEANUP(source_done)
    struct source s = {.kind = kind, .path = path, .fd = -1, .tar = {.fd = -1}};
    auto_json json_t *b = NULL;
    int size;
    if (call->o->n_words != 1)
        return err_set(e, ERR_INVALID, "what shall the image be called? One NAME");
    const char *name = call->o->words[0];
    /* It goes into a URL as it is. */
    if (!*name || name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-")])
        return err_set(e, ERR_INVALID, "the name of an image is made of a-z, 0-9 and -");
    int r = options_number(call->o, "size", &sizes, &size, e);
    if (r == 0)
        r = open_source(&s, e);
    if (r == 0)
        r = send_source(call, &s, name, &b, e);
    return r < 0 ? r : builds_wait(call, &words, &b, e);
}

static int build(struct cli_call *call, struct err *e)
{
    const struct options *o = call->o;
    const char *oci = options_value(o, "from-oci"), *docker = options_value(o, "dockerfile");
    bool all = options_has(o, "all");
    if ((oci != NULL) + (docker != NULL) + all > 1)
        return err_set(e, ERR_INVALID, "--all, --from-oci and --dockerfile exclude each other");
    if ((oci || docker) && (options_has(o, "toolchain") || options_has(o, "force")))
        return err_set(e, ERR_INVALID, "--toolchain and --force are for images by recipe");
    if (oci)
        return build_source(call, "oci", oci, e);
    if (docker)
        return build_source(call, "dockerfile", docker, e);
    if (all && o->n_words)
        return err_set(e, ERR_INVALID, "either --all or names");
    if (!all && !o->n_words)
        return err_set(e, ERR_INVALID, "which image? Names of recipes, or --all");
    return all ? build_all(call, e) : build_names(call, o->words, o->n_words, e);
}

/* --- builds --- */

static void add_row(struct table *t, const struct term *term, const json_t *b)
{
    char id[REF_ID_SIZE], age[UNITS_SIZE];
    const char *state = json_text(b, "state"), *detail = json_text(b, "detail");
    vm_view_id(term, json_text(b, "id"), id);
    vm_view_age(json_text(b, "createdAt"), age, sizeof(age));
    table_add(t, (struct table_cell[]){
                     {.text = id},
                     {.text = json_text(b, "kind")},
                     {.text = json_text(b, "name"), .style = STYLE_BOLD},
                     {.text = state, .style = vm_view_style(state)},
                     {.text = age},
                     {.text = *detail ? detail : json_text(b, "step")},
                 });
}

static int builds(struct cli_call *call, struct err *e)
{
    static const char *const heads[] = {"BUILD", "KIND", "IMAGE", "STATE", "AGE", "STEP"};
    static const struct objects_list all = {
        .path = BUILDS_PATH, .heads = heads, .n_columns = ARRAY_SIZE(heads), .add_row = add_row};
    return objects_list(call, &all, e);
}

/* --- rows --- */

const struct cli_command cmd_image_build = {
    .name = "image build",
    .summary = "Make Holm's own images: by recipe, of a container's, by a Dockerfile",
    .usage = (const char *const[]){"image build NAME... [--size MIB] [--force] [--detach]",
                                   "image build --all",
                                   "image build NAME --toolchain ARCHIVE|URL --sha256 SUM",
                                   "image build NAME --from-oci ARCHIVE|DIR [--size MIB]",
                                   "image build NAME --dockerfile DIR [--size MIB]", NULL},
    .details =
        "The daemon makes them in the background, one after the other; Ctrl-C only ends the "
        "looking on. One that is there stays in use until the new one is whole. For admins.\n"
        "A container's image is an OCI layout, as a directory or a tar, or what 'docker save' "
        "writes; it becomes an image with Holm's kernel. A Dockerfile needs buildah on the "
        "daemon's host, where its commands run.",
    .options =
        (const struct option_row[]){
            {.name = "all", .doc = "Of all languages whose toolchain is in a registry"},
            {.name = "size", .value = "MIB", .doc = "Size of the file system"},
            {.name = "force", .doc = "Also what is up to date"},
            {.name = "toolchain",
             .value = "ARCHIVE|URL",
             .doc = "For languages whose toolchain no registry has",
             .fill = FILL_FILE},
            {.name = "sha256", .value = "SUM", .doc = "Of the toolchain's archive"},
            {.name = "from-oci",
             .value = "ARCHIVE|DIR",
             .doc = "Make it of a container's image",
             .fill = FILL_FILE},
            {.name = "dockerfile",
             .value = "DIR",
             .doc = "Make it by the Dockerfile in DIR",
             .fill = FILL_FILE},
            {.name = "detach", .letter = 'd', .doc = "Print the build's id and do not wait"},
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"holm image build python", "By its recipe."},
            {"holm image build --from-oci web.tar web", "Of a container's."},
            {"holm vm create --image web", "A VM of that."},
            {0},
        },
    .words_max = CLI_WORDS_MAX,
    .fill = {FILL_IMAGE, FILL_IMAGE},
    .call = build,
    .doing = "asking for a build",
};

const struct cli_command cmd_image_builds = {
    .name = "image builds",
    .summary = "List builds of images",
    .usage = (const char *const[]){"image builds [--json]", NULL},
    .details = "Those in line and under way, and the last that have ended; newest first.",
    .options =
        (const struct option_row[]){
            {.name = "json", .doc = "Print the list as JSON"},
            {0},
        },
    .examples = (const struct cli_example[]){{"holm image builds", "All of them."}, {0}},
    .call = builds,
    .doing = "asking for the builds",
};
