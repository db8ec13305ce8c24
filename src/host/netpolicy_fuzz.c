/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdint.h>

#include "base/buf.h"
#include "host/net_rules.h"
#include "host/netpolicy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct net_policy *reparse(const struct net_policy *p)
{
    struct net_policy *again = NULL;
    json_t *json = net_policy_json(p);
    assert(json);
    int r = net_policy_parse(json, &again, NULL);
    assert(r == 0);
    (void)r;
    json_decref(json);
    return again;
}

/* Whatever is accepted says the same when it is written and read again, compiles to rules of plain
 * characters, and merges with itself. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *json = json_loadb((const char *)data, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    auto_policy struct net_policy *p = NULL, *merged = NULL;
    struct err e = ERR_INIT;
    if (!json)
        return 0;
    if (net_policy_parse(json, &p, &e) < 0) {
        assert(e.class == ERR_INVALID && e.field[0]);
        json_decref(json);
        return 0;
    }
    auto_policy struct net_policy *again = reparse(p);
    json_t *a = net_policy_json(p), *b = net_policy_json(again);
    assert(json_equal(a, b));
    json_decref(a);
    json_decref(b);
    if (net_policy_merge(again, json, &merged, &e) < 0)
        assert(e.class == ERR_INVALID);
    json_decref(json);

    struct net_pool pool;
    struct net_slot_addr addr;
    auto_buf struct buf text = {0}, host = {0};
    uint32_t mark = 0, mark_again = 0;
    net_pool_parse("10.201.0.0/16", 8, &pool, NULL);
    net_slot_addr(&pool, 5, &addr);
    struct net_rules in = {.policy = p, .pool = &pool, .addr = &addr};
    assert(net_rules_mark(&in, &mark) == 0 && mark);
    assert(net_rules_compile(&in, mark, &text) == 0 && net_rules_host(&in, &host) == 0);
    for (size_t i = 0; i < text.len; i++)
        assert(text.data[i] == '\n' || (text.data[i] >= ' ' && text.data[i] <= '~'));
    in.policy = again;
    assert(net_rules_mark(&in, &mark_again) == 0 && mark == mark_again);
    return 0;
}
