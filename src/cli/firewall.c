/* SPDX-License-Identifier: Apache-2.0 */

/* Addresses are only looked at as far as telling them from names takes; whether they are right is
 * for the daemon to say, which names the rule at fault. */

#include "cli/firewall.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/fd.h"
#include "base/limits.h"
#include "cli/json.h"
#include "cli/stdin.h"

static int fail_rule(const char *text, struct err *e)
{
    return err_set(e, ERR_INVALID,
                   "'%.100s' is not CIDR[:PORTS]; write 10.0.0.0/8, 192.0.2.7:443, "
                   "[fd00::/8]:80,8000-8080 or *.example.com:53/udp",
                   text);
}

/* Where the ports begin: behind "]:" or the only colon. NULL: there are none. */
static const char *find_ports(const char *text)
{
    if (*text == '[') {
        const char *end = strchr(text, ']');
        return end && end[1] == ':' ? end + 2 : NULL;
    }
    const char *colon = strchr(text, ':');
    return colon && !strchr(colon + 1, ':') ? colon + 1 : NULL;
}

/* Letters of g to z, a star, or hex letters without a colon make a name: "a.de", "*.x". */
static const char *kind_of(const char *value)
{
    if (strchr(value, ':'))
        return "cidr";
    for (const char *c = value; *c; c++) {
        if (isalpha((unsigned char)*c) || *c == '*')
            return "fqdn";
    }
    return "cidr";
}

static bool are_ports(const char *text)
{
    size_t n = strspn(text, "0123456789");
    if (!n)
        return false;
    if (text[n] == '-') {
        size_t m = strspn(text + n + 1, "0123456789");
        n += m ? 1 + m : 0;
    }
    return text[n] == '\0';
}

static int add_rule(json_t *rules, const char *value, const char *protocol, const char *ports)
{
    return json_array_append_new(rules, json_pack("{s:s, s:s, s:s, s:s, s:s}", "action", "allow",
                                                  "kind", kind_of(value), "value", value,
                                                  "protocol", protocol, "ports", ports));
}

/* "443,8000-8080/udp" */
static int add_ports(json_t *rules, const char *value, char *ports)
{
    char *slash = strchr(ports, '/'), *save = NULL;
    const char *protocol = slash ? slash + 1 : "tcp";
    if (slash)
        *slash = '\0';
    if (strcmp(protocol, "tcp") && strcmp(protocol, "udp"))
        return -EINVAL;
    if (!ports[strspn(ports, ",")])
        return -EINVAL;
    for (char *p = strtok_r(ports, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
        if (!are_ports(p) || add_rule(rules, value, protocol, p) < 0)
            return -EINVAL;
    }
    return 0;
}

int firewall_add_rules(json_t *rules, const char *text, struct err *e)
{
    const char *ports = find_ports(text);
    size_t len = ports ? (size_t)(ports - text) - 1 : strlen(text);
    bool in_brackets = *text == '[' && len > 1 && text[len - 1] == ']';
    auto_free char *value = in_brackets ? strndup(text + 1, len - 2) : strndup(text, len);
    auto_free char *list = strdup(ports ? ports : "");
    if (!value || !list)
        return err_errno(e, -ENOMEM, "read the rules");
    if (!*value || strpbrk(value, "[] \t"))
        return fail_rule(text, e);
    int r = ports ? add_ports(rules, value, list) : add_rule(rules, value, "any", "any");
    return r < 0 ? fail_rule(text, e) : 0;
}

/* Who connects is known by address alone. */
static int check_in(json_t *rules, const char *text, struct err *e)
{
    const json_t *last = json_array_get(rules, json_array_size(rules) - 1);
    if (strcmp(json_text(last, "kind"), "fqdn") != 0)
        return 0;
    return err_set(e, ERR_INVALID, "'%.100s' is a name: who may connect is said by addresses",
                   text);
}

/* `axis` is NULL when there was no memory for it. */
static int gather_axis(const struct options *o, const char *option, const char *otherwise,
                       json_t *axis, struct err *e)
{
    json_t *rules = json_array();
    if (json_object_set_new(axis, "rules", rules) < 0 ||
        json_object_set_new(axis, "default", json_string(otherwise)) < 0)
        return err_errno(e, -ENOMEM, "read the rules");
    for (size_t i = 0; i < o->n_hits; i++) {
        const char *text = o->hits[i].value;
        if (strcmp(o->hits[i].row->name, option))
            continue;
        int r = firewall_add_rules(rules, text, e);
        if (r == 0 && !strcmp(option, "allow-in"))
            r = check_in(rules, text, e);
        if (r < 0)
            return err_wrap(e, r, "--%s", option);
    }
    return 0;
}

static json_t *add_axis(json_t *policy, const char *name)
{
    json_t *axis = json_object();
    return json_object_set_new(policy, name, axis) < 0 ? NULL : axis;
}

static int read_whole(struct cli *cli, const char *path, struct buf *ret, struct err *e)
{
    if (!strcmp(path, "-"))
        return stdin_read(cli, ret, e);
    int r = file_read(path, ret, ret->max_bytes);
    if (r == -E2BIG)
        return err_set(e, ERR_INVALID, "%.300s is longer than %zu KiB", path, ret->max_bytes >> 10);
    return r < 0 ? err_set(e, ERR_INVALID, "cannot read %.300s: %s", path, strerror(-r)) : 0;
}

int firewall_read(struct cli *cli, const char *path, json_t **ret, struct err *e)
{
    auto_buf struct buf text = {.max_bytes = CLI_POLICY_MAX_BYTES};
    json_error_t why;
    int r = read_whole(cli, path, &text, e);
    if (r < 0)
        return r;
    auto_json json_t *policy = json_loadb(buf_str(&text), text.len, JSON_REJECT_DUPLICATES, &why);
    if (!policy)
        return err_set(e, ERR_INVALID, "%.200s, line %d: %.200s", path, why.line, why.text);
    if (!json_is_object(policy))
        return err_set(e, ERR_INVALID,
                       "%.300s is no policy, a JSON object with ingress, egress and dns", path);
    *ret = TAKE_PTR(policy);
    return 0;
}

int firewall_gather(struct cli *cli, const struct options *o, json_t **ret, struct err *e)
{
    const char *file = options_value(o, "firewall");
    bool no_outbound = options_has(o, "no-outbound"), has_in = options_has(o, "allow-in");
    bool has_out = no_outbound || options_has(o, "allow");
    if (file && (has_out || has_in))
        return err_set(e, ERR_INVALID,
                       "--firewall is the whole policy; put --no-outbound, --allow and --allow-in "
                       "into the file");
    if (file)
        return firewall_read(cli, file, ret, e);
    if (!has_out && !has_in)
        return 0;
    auto_json json_t *policy = json_object();
    int r = 0;
    if (has_out)
        r = gather_axis(o, "allow", no_outbound ? "deny" : "allow", add_axis(policy, "egress"), e);
    if (r == 0 && has_in)
        r = gather_axis(o, "allow-in", "deny", add_axis(policy, "ingress"), e);
    if (r == 0)
        *ret = TAKE_PTR(policy);
    return r;
}
