/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/api_answer.h"
#include "cli/commands.h"
#include "cli/firewall.h"
#include "cli/json.h"
#include "cli/vm_call.h"

static int show(struct cli_call *call, const struct ref_found *vm, struct err *e)
{
    auto_json json_t *object = NULL;
    int r = vm_call_get(call, vm, &object, e);
    if (r < 0)
        return r;
    const json_t *policy = json_object_get(object, "effectiveFirewall");
    if (!json_is_object(policy))
        policy = json_object_get(object, "firewall");
    if (!json_is_object(policy))
        return err_set(e, ERR_UNAVAILABLE, "the daemon tells no policy of %.100s", vm->name);
    cli_print_json(call->cli, policy);
    return 0;
}

/* The file first, then the daemon: a mistake in it is a mistake in the command line. */
static int gather(struct cli_call *call, json_t **ret, struct err *e)
{
    const struct options *o = call->o;
    bool has_rules =
        options_has(o, "no-outbound") || options_has(o, "allow") || options_has(o, "allow-in");
    if (o->n_words < 2)
        return firewall_gather(call->cli, o, ret, e);
    if (has_rules)
        return err_set(e, ERR_INVALID,
                       "'%.100s' is the whole policy: put the other options into it", o->words[1]);
    return firewall_read(call->cli, o->words[1], ret, e);
}

static int firewall(struct cli_call *call, struct err *e)
{
    auto_json json_t *policy = NULL;
    auto_json json_t *answer = NULL;
    struct ref_found vm;
    char path[VM_PATH_SIZE];
    int r = gather(call, &policy, e);
    if (r == 0)
        r = vm_call_find(call, 0, &vm, e);
    if (r < 0)
        return r;
    if (!policy)
        return show(call, &vm, e);
    vm_call_path(&vm, "/firewall", path);
    /* Options speak of single axes, and must not open another by leaving it out. */
    bool is_whole = call->o->n_words > 1 && !options_has(call->o, "merge");
    struct api_call rq = {.method = is_whole ? "PUT" : "PATCH", .path = path, .body = policy};
    r = api_client_call(call->client, &rq, &answer, NULL, e);
    if (r < 0)
        return r;
    if (options_has(call->o, "json"))
        cli_print_json(call->cli, answer);
    else
        vm_call_tell(call->cli, "the new policy of %s is in force", vm.name);
    return 0;
}

const struct cli_command cmd_vm_firewall = {
    .name = "vm firewall",
    .summary = "Show or change whom a VM may talk to",
    .usage =
        (const char *const[]){
            "vm firewall VM",
            "vm firewall VM FILE|- [--merge] [--json]",
            "vm firewall VM [--no-outbound] [--allow CIDR[:PORTS]]... [--allow-in CIDR[:PORTS]]... "
            "[--json]",
            NULL,
        },
    .details = "Shows the policy as JSON, or puts a new one into force at once, on a running VM "
               "too. Connections that it does not allow end. A file is the whole policy, unless "
               "--merge says otherwise. --no-outbound and --allow replace what is said about "
               "outbound connections, --allow-in about inbound ones; 'holm vm create --help' says "
               "more about them.",
    .options =
        (const struct option_row[]){
            {.name = "merge",
             .letter = 'm',
             .doc = "Replace only the axes that are given: ingress, egress, dns"},
            {.name = "no-outbound", .doc = "No connections to the outside but what --allow names"},
            {.name = "allow",
             .value = "CIDR[:PORTS]",
             .doc = "Let it connect to these. May be given again"},
            {.name = "allow-in",
             .value = "CIDR[:PORTS]",
             .doc = "Let these connect to it. May be given again"},
            {.name = "json", .doc = "Print the daemon's JSON answer"},
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"holm vm firewall lab > policy.json", "What is in force, to be edited."},
            {"holm vm firewall lab policy.json", "Put it into force."},
            {"holm vm firewall lab --no-outbound --allow 192.0.2.7:443", "One way out."},
            {"echo '{\"egress\": {\"default\": \"deny\", \"rules\": []}}' | holm vm firewall lab - "
             "--merge",
             "No way out; the rest as it is."},
            {0},
        },
    .words_min = 1,
    .words_max = 2,
    .needs = "which VM? 'holm vm list' shows all",
    .fill = {FILL_VM, FILL_FILE},
    .call = firewall,
    .doing = "asking for the VM",
};
