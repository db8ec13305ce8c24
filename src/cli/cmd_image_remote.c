/* SPDX-License-Identifier: Apache-2.0 */

/* Images and templates between the daemon's host and its object store. */

#include <string.h>

#include "base/limits.h"
#include "cli/api_answer.h"
#include "cli/builds.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/ref.h"
#include "cli/vm_call.h"

/* --what, the daemon's own default when it was not given. */
static int set_what(const struct options *o, json_t *body, struct err *e)
{
    static const char *const whats[] = {"image", "template", "both"};
    const char *what = options_value(o, "what");
    for (size_t i = 0; what && i < ARRAY_SIZE(whats); i++) {
        if (strcmp(what, whats[i]) == 0)
            return json_set_text(body, "what", what, e);
    }
    return what ? err_set(e, ERR_INVALID, "--what is image, template or both") : 0;
}

struct pushing {
    struct ref *ref;
    json_t *body;
};

static int start_push(struct cli_call *call, void *arg, const char *name, json_t **ret,
                      struct err *e)
{
    struct pushing *p = arg;
    struct ref_found image;
    char path[VM_PATH_SIZE];
    struct api_call rq = {.method = "POST", .path = path, .body = p->body};
    int r = ref_find(p->ref, name, &image, e);
    if (r < 0)
        return r;
    snprintf(path, sizeof(path), "/v1/images/%s/push", image.id);
    return api_client_call(call->client, &rq, ret, NULL, e);
}

static int push(struct cli_call *call, struct err *e)
{
    static const struct builds_words words = {
        .noun = "push", .before = "the push of", .done = "is done", .failed = "failed"};
    auto_json json_t *body = json_object();
    auto_ref struct ref ref = {.client = call->client, .kind = REF_IMAGE};
    struct pushing p = {.ref = &ref, .body = body};
    const struct builds_order o = {.words = &words, .start = start_push, .arg = &p};
    int r = set_what(call->o, body, e);
    return r < 0 ? r : builds_wait_all(call, &o, call->o->words, call->o->n_words, e);
}

static int start_pull(struct cli_call *call, void *arg, const char *name, json_t **ret,
                      struct err *e)
{
    struct api_call rq = {.method = "POST", .path = "/v1/images/pull", .body = arg};
    int r = json_set_text(arg, "name", name, e);
    return r < 0 ? r : api_client_call(call->client, &rq, ret, NULL, e);
}

static int pull(struct cli_call *call, struct err *e)
{
    static const struct builds_words words = {
        .noun = "pull", .before = "the pull of", .done = "is done", .failed = "failed"};
    auto_json json_t *body = json_object();
    const struct builds_order o = {.words = &words, .start = start_pull, .arg = body};
    int r = set_what(call->o, body, e);
    return r < 0 ? r : builds_wait_all(call, &o, call->o->words, call->o->n_words, e);
}

/* --- rows --- */

static const struct option_row remote_options[] = {
    {.name = "what",
     .value = "WHAT",
     .doc = "image (the default), template: those of its languages, or both",
     .fill = FILL_REMOTE_WHAT},
    {.name = "detach", .letter = 'd', .doc = "Print the id that 'image builds' has, do not wait"},
    {0},
};

const struct cli_command cmd_image_push = {
    .name = "image push",
    .summary = "Push Holm's own images into the object store",
    .usage =
        (const char *const[]){"image push IMAGE... [--what image|template|both] [--detach]", NULL},
    .details =
        "For the hosts that use the same store. The daemon does it in the background, in line with "
        "builds; Ctrl-C only ends the looking on. What was cut off goes on where it was when it is "
        "asked for again. For admins, with a store configured (s3.bucket).",
    .options = remote_options,
    .examples =
        (const struct cli_example[]){
            {"holm image push python", "The image alone."},
            {"holm image push --what both python nodejs",
             "Also the templates of their languages, for hosts that are alike."},
            {0},
        },
    .words_min = 1,
    .words_max = CLI_WORDS_MAX,
    .needs = "which image? 'holm image list' shows all",
    .fill = {FILL_IMAGE, FILL_IMAGE},
    .call = push,
    .doing = "asking for a push",
};

const struct cli_command cmd_image_pull = {
    .name = "image pull",
    .summary = "Pull images out of the object store",
    .usage =
        (const char *const[]){"image pull NAME... [--what image|template|both] [--detach]", NULL},
    .details =
        "What another host has pushed. The image that was there stays in use until the new one is "
        "whole. A template fits only where engine, kernel and image are the same; a host that "
        "refuses one says what is not. The rest is as with 'image push'.",
    .options = remote_options,
    .examples =
        (const struct cli_example[]){
            {"holm image list --remote", "What there is."},
            {"holm image pull python", "The image."},
            {"holm image pull --what both python", "Also the templates of its languages."},
            {0},
        },
    .words_min = 1,
    .words_max = CLI_WORDS_MAX,
    .needs = "which image? 'holm image list --remote' shows all",
    .fill = {FILL_REMOTE_IMAGE, FILL_REMOTE_IMAGE},
    .call = pull,
    .doing = "asking for a pull",
};
