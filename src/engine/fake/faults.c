/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fake/faults.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

#define COUNT_MAX 1000000

static const char *const names[FAULT_COUNT] = {
    [FAULT_BOOT_FAIL] = "boot=fail",
    [FAULT_BOOT_AGENT_NEVER] = "boot.agent=never",
    [FAULT_BOOT_AGENT_GARBAGE] = "boot.agent=garbage",
    [FAULT_BOOT_AGENT_SLOW] = "boot.agent=slow",
    [FAULT_BOOT_EXEC_RESET] = "boot.exec=reset",
    [FAULT_BOOT_EXEC_DIE] = "boot.exec=die",
    [FAULT_BOOT_GROW_FAIL] = "boot.grow=fail",
    [FAULT_BOOT_POWER_IGNORE] = "boot.power=ignore",
    [FAULT_BOOT_WARM_REFUSE] = "boot.warm=refuse",
    [FAULT_RESTORE_FAIL] = "restore=fail",
    [FAULT_RESTORE_AGENT_NEVER] = "restore.agent=never",
    [FAULT_RESTORE_AGENT_GARBAGE] = "restore.agent=garbage",
    [FAULT_RESTORE_AGENT_SLOW] = "restore.agent=slow",
    [FAULT_RESTORE_EXEC_RESET] = "restore.exec=reset",
    [FAULT_RESTORE_EXEC_DIE] = "restore.exec=die",
    [FAULT_RESTORE_GROW_FAIL] = "restore.grow=fail",
    [FAULT_RESTORE_POWER_IGNORE] = "restore.power=ignore",
    [FAULT_RESTORE_WARM_DIE] = "restore.warm=die",
    [FAULT_CAPTURE_PAUSE_FAIL] = "capture.pause=fail",
    [FAULT_CAPTURE_FAIL] = "capture=fail",
    [FAULT_CAPTURE_ENOSPC] = "capture=enospc",
    [FAULT_PAUSE_FAIL] = "pause=fail",
    [FAULT_RESUME_FAIL] = "resume=fail",
    [FAULT_FLATTEN_FAIL] = "flatten=fail",
    [FAULT_RESIZE_FAIL] = "resize=fail",
    [FAULT_STATS_FAIL] = "stats=fail",
    [FAULT_CONSOLE_FAIL] = "console=fail",
    [FAULT_POWER_FAIL] = "power=fail",
    [FAULT_KILL_FAIL] = "kill=fail",
};

static const char *const steps[STEP_COUNT] = {
    [STEP_BOOT] = "boot",     [STEP_RESTORE] = "restore", [STEP_PAUSE] = "pause",
    [STEP_RESUME] = "resume", [STEP_CAPTURE] = "capture", [STEP_FLATTEN] = "flatten",
    [STEP_RESIZE] = "resize", [STEP_POWER] = "power",     [STEP_KILL] = "kill",
};

static const char *const moments[MOMENT_COUNT] = {
    [MOMENT_BEGIN] = "begin", [MOMENT_MID] = "mid", [MOMENT_END] = "end"};

/* Only these operations have a middle. */
static bool has_moment(enum fault_step step, enum fault_moment moment)
{
    return moment != MOMENT_MID || step == STEP_BOOT || step == STEP_RESTORE ||
           step == STEP_CAPTURE || step == STEP_KILL;
}

const char *faults_name(enum fault which)
{
    return names[which];
}

static int find_fault(const char *name)
{
    for (int i = 0; i < FAULT_COUNT; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

/* `name` is like "die=capture.mid"; NULL: it is not. */
static struct fault_point *find_point(struct faults *f, const char *verb, const char *name)
{
    size_t len = strlen(verb);
    if (strncmp(name, verb, len) != 0)
        return NULL;
    const char *dot = strchr(name + len, '.');
    for (int s = 0; dot && s < STEP_COUNT; s++) {
        if (strlen(steps[s]) != (size_t)(dot - name) - len ||
            strncmp(steps[s], name + len, strlen(steps[s])) != 0)
            continue;
        for (int m = 0; m < MOMENT_COUNT; m++)
            if (strcmp(moments[m], dot + 1) == 0 && has_moment(s, m))
                return &f->points[s][m];
    }
    return NULL;
}

/* `text` NULL: not given. */
static int parse_count(const char *entry, const char *text, int missing, struct err *e)
{
    char *end = NULL;
    long count = text ? strtol(text, &end, 10) : missing;
    if (text && (*end || text[0] < '0' || text[0] > '9' || count > COUNT_MAX))
        return err_set(e, ERR_INVALID, "HOLM_FAKE_FAULTS: \"%s:%s\" does not end in a count", entry,
                       text);
    return (int)count;
}

static int parse_wait(struct fault_point *p, const char *path, struct err *e)
{
    if (!path || path[0] != '/')
        return err_set(e, ERR_INVALID, "HOLM_FAKE_FAULTS: wait needs the path of a FIFO");
    free(p->wait);
    p->wait = strdup(path);
    return p->wait ? 0 : err_errno(e, -ENOMEM, "faults");
}

/* One entry, which is cut in two at its first colon. */
static int parse_one(char *entry, struct faults *f, struct err *e)
{
    char *arg = strchr(entry, ':');
    if (arg)
        *arg++ = '\0';
    struct fault_point *p = find_point(f, "wait=", entry);
    if (p)
        return parse_wait(p, arg, e);
    p = find_point(f, "die=", entry);
    int which = find_fault(entry);
    if (!p && which < 0)
        return err_set(e, ERR_INVALID, "HOLM_FAKE_FAULTS: there is no fault \"%s\"", entry);
    int count = parse_count(entry, arg, p ? 1 : FAULT_ALWAYS, e);
    if (arg && count < 0)
        return count;
    if (p)
        p->die_at = count;
    else
        f->left[which] = count;
    return 0;
}

int faults_parse(const char *text, struct faults *ret, struct err *e)
{
    auto_free char *copy = strdup(text ? text : "");
    if (!copy)
        return err_errno(e, -ENOMEM, "faults");
    for (char *at = copy; *at;) {
        size_t len = strcspn(at, ",");
        bool more = at[len] == ',';
        at[len] = '\0';
        int r = parse_one(at, ret, e);
        if (r < 0) {
            faults_done(ret);
            return r;
        }
        at += len + more;
    }
    return 0;
}

void faults_done(struct faults *f)
{
    for (int i = 0; i < STEP_COUNT * MOMENT_COUNT; i++)
        free(TAKE_PTR(f->points[i / MOMENT_COUNT][i % MOMENT_COUNT].wait));
}

bool faults_take(struct faults *f, enum fault which)
{
    int left = f->left[which];
    while (left > 0 && !atomic_compare_exchange_weak(&f->left[which], &left, left - 1))
        ;
    return left != 0;
}

int faults_fail(struct faults *f, enum fault which, struct err *e)
{
    if (!faults_take(f, which))
        return 0;
    return err_set(e, ERR_INTERNAL, "%s was ordered", names[which]);
}

/* Opening a FIFO waits until somebody opens its other end, who then knows that we are here; the end
 * of the file comes when that one closes it. */
static void wait_at(const char *fifo)
{
    char byte;
    auto_close int fd = open(fifo, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && (read(fd, &byte, 1) > 0 || errno == EINTR))
        errno = 0;
}

void faults_pass(struct faults *f, enum fault_step step, enum fault_moment moment)
{
    struct fault_point *p = &f->points[step][moment];
    int left = p->die_at;
    while (left > 0 && !atomic_compare_exchange_weak(&p->die_at, &left, left - 1))
        ;
    if (left == 1)
        raise(SIGKILL);
    if (p->wait)
        wait_at(p->wait);
}
