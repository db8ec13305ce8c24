/* SPDX-License-Identifier: Apache-2.0 */

/* What the completion scripts call when a key is pressed: names, one a line. A daemon that does not
 * answer offers nothing, so errors are not told. */

#include <string.h>

#include "cli/api_answer.h"
#include "cli/commands.h"
#include "cli/json.h"

static int fetch(struct cli *cli, const char *path, json_t **ret)
{
    auto_api_client struct api_client *c = NULL;
    struct err e = ERR_INIT;
    int r = cli_connect(cli, "", &c, &e);
    return r < 0 ? r : api_client_get_list(c, path, ret, &e);
}

struct names {
    const char *called, *path;
    const char
        *suffix;      /* goes behind each: "lab:" is the beginning of a path in a VM; may be NULL */
    const char *kind; /* only those of it; NULL: all */
};

static int print_names(struct cli *cli, const struct names *n)
{
    auto_json json_t *list = NULL;
    size_t i;
    json_t *object;
    int r = fetch(cli, n->path, &list);
    progress_stop(&cli->progress);
    if (r < 0)
        return CLI_EXIT_FAILED;
    json_array_foreach(list, i, object)
    {
        const char *name = json_text(object, "name");
        if (n->kind && strcmp(json_text(object, "kind"), n->kind) != 0)
            continue;
        auto_buf struct buf safe = {0};
        term_safe(&safe, *name ? name : json_text(object, "id"));
        /* A name with spaces would be several words to the shell. */
        if (!strpbrk(buf_str(&safe), " \"'\\$`*?[]"))
            fprintf(cli->out.file, "%s%s\n", buf_str(&safe), n->suffix ? n->suffix : "");
    }
    return 0;
}

static int run(struct cli *cli, const struct options *o)
{
    static const struct names kinds[] = {
        {"vms", "/v1/vms"},
        {"paths", "/v1/vms", .suffix = ":"},
        {"snapshots", "/v1/snapshots"},
        {"images", "/v1/images"},
        {"remote-images", "/v1/images/remote", .kind = "image"},
        {"types", "/v1/machine-types"},
        {"accounts", "/v1/accounts"},
        {"keys", "/v1/keys"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (!strcmp(kinds[i].called, o->words[0]))
            return print_names(cli, &kinds[i]);
    }
    return CLI_EXIT_USAGE;
}

const struct cli_command cmd_names = {
    .name = "_names",
    .summary = "Print names for the completion of a shell",
    .usage =
        (const char *const[]){"_names vms|paths|snapshots|images|remote-images|types|accounts|keys",
                              NULL},
    .options = (const struct option_row[]){{0}},
    .examples = (const struct cli_example[]){{"holm _names vms", "The names of all VMs."}, {0}},
    .is_hidden = true,
    .words_min = 1,
    .words_max = 1,
    .needs = "names of what?",
    .run = run,
};
