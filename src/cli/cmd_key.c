/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "cli/api_answer.h"
#include "cli/commands.h"
#include "cli/confirm.h"
#include "cli/json.h"
#include "cli/objects.h"
#include "cli/table.h"
#include "cli/units.h"
#include "cli/vm_call.h"
#include "cli/vm_view.h"

static int find_account(struct cli_call *call, json_t *body, struct err *e)
{
    const char *word = options_value(call->o, "account");
    struct ref_found account;
    int r = word ? ref_one(call->client, REF_ACCOUNT, word, &account, e) : 0;
    if (r == 0 && word)
        json_object_set_new(body, "accountId", json_string(account.id));
    return r;
}

/* --expires 30d as a time. */
static int set_expiry(struct cli_call *call, json_t *body, struct err *e)
{
    const char *word = options_value(call->o, "expires");
    char text[CLOCK_RFC3339_SIZE];
    int64_t seconds = 0;
    int r = word ? units_parse_duration(word, &seconds, e) : 0;
    if (r < 0 || !word)
        return r;
    if (seconds > KEY_LIFE_MAX_S)
        return err_set(e, ERR_INVALID, "--expires: at most %lld days", KEY_LIFE_MAX_S / 86400);
    clock_rfc3339(clock_real_ns() + seconds * 1000000000, text);
    json_object_set_new(body, "expiresAt", json_string(text));
    return 0;
}

/* The key itself goes to stdout, what is to be said about it to whoever watches. */
static int create(struct cli_call *call, struct err *e)
{
    auto_json json_t *body = json_object();
    auto_json json_t *answer = NULL;
    auto_buf struct buf safe = {0};
    struct cli *cli = call->cli;
    const char *name = call->o->n_words ? call->o->words[0] : NULL;
    if (name && json_object_set_new(body, "name", json_string(name)) < 0)
        return err_set(e, ERR_INVALID, "the name '%.100s' is not UTF-8 text", name);
    int r = set_expiry(call, body, e);
    if (r == 0)
        r = find_account(call, body, e);
    struct api_call rq = {.method = "POST", .path = "/v1/keys", .body = body};
    if (r == 0)
        r = api_client_call(call->client, &rq, &answer, NULL, e);
    if (r < 0)
        return r;
    progress_stop(&cli->progress);
    if (options_has(call->o, "json")) {
        cli_print_json(cli, answer);
        return 0;
    }
    term_safe(&safe, json_text(answer, "key"));
    fprintf(cli->out.file, "%s\n", buf_str(&safe));
    fflush(cli->out.file);
    if (cli->err.tty)
        cli_say(cli, "this is the only time it is shown; keep it in HOLM_API_KEY or, with mode "
                     "600, in ~/.config/holm/key");
    return 0;
}

static void add_row(struct table *t, const struct term *term, const json_t *key)
{
    char id[REF_ID_SIZE], account[REF_ID_SIZE], age[40], used[40];
    const char *expires = json_text(key, "expiresAt");
    int date_len = (int)strcspn(expires, "T");
    char until[16];
    vm_view_id(term, json_text(key, "id"), id);
    vm_view_id(term, json_text(key, "accountId"), account);
    vm_view_age(json_text(key, "createdAt"), age, sizeof(age));
    vm_view_age(json_text(key, "lastUsedAt"), used, sizeof(used));
    snprintf(until, sizeof(until), "%.*s", date_len, expires);
    table_add(t, (struct table_cell[]){
                     {.text = json_text(key, "name"), .style = STYLE_BOLD},
                     {.text = id},
                     {.text = json_text(key, "prefix")},
                     {.text = account},
                     {.text = age},
                     {.text = *used ? used : "never"},
                     {.text = *until ? until : "never"},
                 });
}

static int list(struct cli_call *call, struct err *e)
{
    static const char *const heads[] = {"NAME", "ID",   "BEGINS", "ACCOUNT",
                                        "AGE",  "USED", "EXPIRES"};
    static const struct objects_list all = {
        .path = "/v1/keys", .heads = heads, .n_columns = ARRAY_SIZE(heads), .add_row = add_row};
    return objects_list(call, &all, e);
}

static int revoke_key(struct cli_call *call, struct err *e)
{
    struct ref_found ref;
    char path[VM_PATH_SIZE], what[400];
    int r = ref_one(call->client, REF_KEY, call->o->words[0], &ref, e);
    if (r < 0)
        return r;
    snprintf(path, sizeof(path), "/v1/keys/%s", ref.id);
    snprintf(what, sizeof(what), "Revoke the key %s at once", ref.name);
    r = confirm(call->cli, call->o, what, e);
    struct api_call rq = {.method = "DELETE", .path = path};
    if (r == 0)
        r = api_client_call(call->client, &rq, NULL, NULL, e);
    if (r == 0)
        vm_call_tell(call->cli, "key %s is revoked", ref.name);
    return r;
}

const struct cli_command cmd_key = {
    .name = "key",
    .summary = "Make and revoke API keys",
    .usage = (const char *const[]){"key COMMAND ...", "key COMMAND --help", NULL},
    .details = "Every call of the native API needs a key. holm takes the one of --key, else that "
               "of HOLM_API_KEY, else that in ~/.config/holm/key, else, as root on the daemon's "
               "host, the daemon's own first one.",
    .options = (const struct option_row[]){{0}},
    .examples =
        (const struct cli_example[]){
            {"holm key create laptop", "Another key for your account."},
            {"holm key revoke laptop", "It is worth nothing from now on."},
            {0},
        },
    .words_max = 1,
    .fill = {FILL_SUBCOMMAND},
};

const struct cli_command cmd_key_create = {
    .name = "key create",
    .summary = "Make a key, which is shown this once",
    .usage =
        (const char *const[]){"key create [NAME] [--expires DURATION] [--account ACCOUNT] [--json]",
                              NULL},
    .options =
        (const struct option_row[]){
            {.name = "account",
             .letter = 'a',
             .value = "ACCOUNT",
             .doc = "Whose it is (admin only; default: your own account)",
             .fill = FILL_ACCOUNT},
            {.name = "expires",
             .letter = 'e',
             .value = "DURATION",
             .doc = "After so long it is worth nothing: 12h, 30d (default: never)"},
            {.name = "json", .doc = "Print the key and what belongs to it as JSON"},
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"holm key create laptop", "For your account."},
            {"(umask 077; mkdir -p ~/.config/holm; sudo holm key create me > ~/.config/holm/key)",
             "Where holm finds it by itself."},
            {"holm key create ci --expires 30d", "For a month."},
            {"sudo holm key create --account ada", "For somebody else's."},
            {0},
        },
    .words_max = 1,
    .call = create,
    .doing = "making a key",
};

const struct cli_command cmd_key_list = {
    .name = "key list",
    .summary = "List the keys",
    .usage = (const char *const[]){"key list [--json]", NULL},
    .details = "The keys themselves are kept by nobody; BEGINS is how each begins.",
    .options = (const struct option_row[]){{.name = "json", .doc = "Print the list as JSON"}, {0}},
    .examples = (const struct cli_example[]){{"holm key list", "All of your account."}, {0}},
    .call = list,
    .doing = "asking for the keys",
};

const struct cli_command cmd_key_revoke = {
    .name = "key revoke",
    .summary = "Make a key worthless, at once",
    .usage = (const char *const[]){"key revoke [-f] KEY", NULL},
    .details = "KEY is its name, its id, or the beginning of its id. On a terminal it asks first.",
    .options =
        (const struct option_row[]){
            {.name = "force", .letter = 'f', .doc = "Do not ask"},
            {0},
        },
    .examples = (const struct cli_example[]){{"holm key revoke laptop", "By its name."}, {0}},
    .words_min = 1,
    .words_max = 1,
    .needs = "which key? 'holm key list' shows all",
    .fill = {FILL_KEY},
    .call = revoke_key,
    .doing = "revoking the key",
};
