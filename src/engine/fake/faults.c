/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fake/faults.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_MAX 1000000

static const char *const names[FAULT_COUNT] = {
    [FAULT_BOOT_FAIL] = "boot=fail",
    [FAULT_BOOT_AGENT_NEVER] = "boot.agent=never",
    [FAULT_BOOT_AGENT_GARBAGE] = "boot.agent=garbage",
    [FAULT_BOOT_EXEC_RESET] = "boot.exec=reset",
    [FAULT_BOOT_EXEC_DIE] = "boot.exec=die",
    [FAULT_RESTORE_FAIL] = "restore=fail",
    [FAULT_RESTORE_AGENT_NEVER] = "restore.agent=never",
    [FAULT_RESTORE_AGENT_GARBAGE] = "restore.agent=garbage",
    [FAULT_RESTORE_EXEC_RESET] = "restore.exec=reset",
    [FAULT_RESTORE_EXEC_DIE] = "restore.exec=die",
    [FAULT_CAPTURE_FAIL] = "capture=fail",
    [FAULT_CAPTURE_ENOSPC] = "capture=enospc",
    [FAULT_KILL_FAIL] = "kill=fail",
};

const char *faults_name(enum fault which)
{
    return names[which];
}

/* One entry of `len` bytes. */
static int parse_one(const char *text, size_t len, struct faults *f, struct err *e)
{
    const char *colon = memchr(text, ':', len);
    size_t name_len = colon ? (size_t)(colon - text) : len;
    long count = FAULT_ALWAYS;
    if (colon) {
        char *end;
        count = strtol(colon + 1, &end, 10);
        if (end != text + len || colon[1] < '0' || colon[1] > '9' || count > COUNT_MAX)
            return err_set(e, ERR_INVALID, "HOLM_FAKE_FAULTS: \"%.*s\" does not end in a count",
                           (int)len, text);
    }
    for (int i = 0; i < FAULT_COUNT; i++) {
        if (strlen(names[i]) == name_len && strncmp(names[i], text, name_len) == 0) {
            f->left[i] = (int)count;
            return 0;
        }
    }
    return err_set(e, ERR_INVALID, "HOLM_FAKE_FAULTS: there is no fault \"%.*s\"", (int)name_len,
                   text);
}

int faults_parse(const char *text, struct faults *ret, struct err *e)
{
    for (int i = 0; i < FAULT_COUNT; i++)
        ret->left[i] = 0;
    while (text && *text) {
        size_t len = strcspn(text, ",");
        int r = parse_one(text, len, ret, e);
        if (r < 0)
            return r;
        text += len + (text[len] == ',');
    }
    return 0;
}

bool faults_take(struct faults *f, enum fault which)
{
    int left = f->left[which];
    while (left > 0 && !atomic_compare_exchange_weak(&f->left[which], &left, left - 1))
        ;
    return left != 0;
}
