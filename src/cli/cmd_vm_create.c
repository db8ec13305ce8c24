/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/limits.h"
#include "cli/api_answer.h"
#include "cli/commands.h"
#include "cli/firewall.h"
#include "cli/json.h"
#include "cli/pairs.h"
#include "cli/units.h"
#include "cli/vm_call.h"

static int add_text(json_t *body, const char *key, const char *value, struct err *e)
{
    if (!value)
        return 0;
    if (json_object_set_new(body, key, json_string(value)) < 0)
        return err_set(e, ERR_INVALID, "%s: '%.100s' is not UTF-8 text", key, value);
    return 0;
}

static int add_pairs(const struct options *o, const char *option, const char *key, json_t *body,
                     struct err *e)
{
    if (!options_has(o, option))
        return 0;
    json_t *object = json_object();
    json_object_set_new(body, key, object);
    return pairs_gather(o, option, !strcmp(option, "env"), object, e);
}

static int add_timer(const struct options *o, const char *option, json_t *body, struct err *e)
{
    const char *text = options_value(o, option);
    char name[20];
    json_t *timer = NULL;
    if (!text)
        return 0;
    snprintf(name, sizeof(name), "--%s", option);
    int r = units_parse_timer(text, name, &timer, e);
    if (r == 0)
        json_object_set_new(body, option, timer);
    return r;
}

static int add_disk(const struct options *o, json_t *body, struct err *e)
{
    const struct options_range range = {.min = 1, .max = CLI_DISK_MAX_GIB};
    int gib = 0, r = options_number(o, "disk", &range, &gib, e);
    if (r == 0 && gib)
        json_object_set_new(body, "diskGiB", json_integer(gib));
    return r;
}

static int add_network(struct cli *cli, const struct options *o, json_t *body, struct err *e)
{
    json_t *policy = NULL;
    int r = firewall_gather(cli, o, &policy, e);
    if (r == 0 && policy)
        json_object_set_new(body, "firewall", policy);
    return r;
}

/* Everything that the command line says by itself. */
static int gather(struct cli *cli, const struct options *o, json_t *body, struct err *e)
{
    const char *image = options_value(o, "image"), *type = options_value(o, "type");
    if (image && options_has(o, "snapshot"))
        return err_set(e, ERR_INVALID, "a VM comes from --image or from --snapshot, not from both");
    int r = add_text(body, "image", image, e);
    if (r == 0)
        r = add_text(body, "machineType", type, e);
    if (r == 0)
        r = add_text(body, "name", options_value(o, "name"), e);
    if (r == 0)
        r = add_pairs(o, "meta", "metadata", body, e);
    if (r == 0)
        r = add_pairs(o, "env", "envVars", body, e);
    if (r == 0)
        r = add_disk(o, body, e);
    if (r == 0)
        r = add_timer(o, "ttl", body, e);
    if (r == 0)
        r = add_timer(o, "idle", body, e);
    return r < 0 ? r : add_network(cli, o, body, e);
}

static int add_snapshot(struct cli_call *call, json_t *body, struct err *e)
{
    const char *word = options_value(call->o, "snapshot");
    struct ref_found snapshot;
    if (!word)
        return 0;
    int r = ref_one(call->client, REF_SNAPSHOT, word, &snapshot, e);
    if (r == 0)
        json_object_set_new(body, "snapshotId", json_string(snapshot.id));
    return r;
}

static int create(struct cli_call *call, struct err *e)
{
    auto_json json_t *body = json_object();
    auto_json json_t *vm = NULL;
    int r = gather(call->cli, call->o, body, e);
    if (r == 0)
        r = add_snapshot(call, body, e);
    struct api_call rq = {.method = "POST", .path = "/v1/vms", .body = body, .timeout_s = -1};
    if (r == 0)
        r = api_client_call(call->client, &rq, &vm, NULL, e);
    if (r == 0 && !options_has(call->o, "no-wait"))
        r = vm_call_wait(call, &vm, e);
    if (r < 0)
        return r;
    if (options_has(call->o, "json"))
        cli_print_json(call->cli, vm);
    else
        vm_call_made(call->cli, "VM", vm);
    return 0;
}

static const struct option_row options[] = {
    {.name = "image",
     .letter = 'i',
     .value = "IMAGE",
     .doc = "What it starts from (default: the daemon's)",
     .fill = FILL_IMAGE},
    {.name = "snapshot",
     .letter = 's',
     .value = "SNAPSHOT",
     .doc = "Start from a snapshot instead: memory, disk and processes as they were",
     .fill = FILL_SNAPSHOT},
    {.name = "type",
     .letter = 't',
     .value = "TYPE",
     .doc = "Its size: c1m0.25 is one CPU and 0.25 GiB of memory",
     .fill = FILL_TYPE},
    {.name = "name", .letter = 'n', .value = "NAME", .doc = "Its name (default: one is made up)"},
    {.name = "meta",
     .letter = 'm',
     .value = "KEY=VALUE",
     .doc = "Metadata, to find it by. May be given again"},
    {.name = "env",
     .letter = 'e',
     .value = "NAME=VALUE",
     .doc = "A variable for all of its commands; NAME alone passes on this shell's. May be given "
            "again"},
    {.name = "disk", .letter = 'd', .value = "GIB", .doc = "A larger disk than the image's"},
    {.name = "ttl",
     .value = "TIME[:ACTION]",
     .doc = "What becomes of it after so long (1h30m): pause, suspend, stop or delete (default: "
            "pause)"},
    {.name = "idle", .value = "TIME[:ACTION]", .doc = "The same after so long without activity"},
    {.name = "no-outbound", .doc = "No connections to the outside, but for what --allow names"},
    {.name = "allow",
     .value = "CIDR[:PORTS]",
     .doc = "Let it connect to these addresses or names. May be given again"},
    {.name = "allow-in",
     .value = "CIDR[:PORTS]",
     .doc = "Let these addresses connect to it. May be given again"},
    {.name = "firewall",
     .value = "FILE",
     .doc = "The whole network policy as JSON; - reads standard input",
     .fill = FILL_FILE},
    {.name = "no-wait", .doc = "Do not wait until it runs"},
    {.name = "json", .doc = "Print the VM as JSON"},
    {0},
};

const struct cli_command cmd_vm_create = {
    .name = "vm create",
    .summary = "Make a VM and start it",
    .usage = (const char *const[]){"vm create [OPTIONS]", NULL},
    .details =
        "Waits until the VM runs. Without a terminal its id is all that is printed. PORTS are "
        "numbers and ranges, for TCP or, with /udp behind them, for UDP: 443, 80,8000-8080, "
        "53/udp; without PORTS everything is allowed. An IPv6 address with PORTS stands in "
        "brackets.",
    .options = options,
    .examples =
        (const struct cli_example[]){
            {"holm vm create --image python --name lab", "A machine called lab."},
            {"VM=$(holm vm create --type c2m2 --ttl 1h:delete)",
             "A larger one, gone after an hour of running; its id for a script."},
            {"holm vm create --snapshot base --meta job=7 -e TOKEN",
             "From a snapshot, with metadata and a variable of this shell."},
            {"holm vm create --no-outbound --allow '*.debian.org:80,443'",
             "With no way out but to Debian's mirrors."},
            {0},
        },
    .call = create,
    .doing = "launching a VM",
};
