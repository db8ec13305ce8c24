/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/power.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "wire/field.h"

/* Time for the answer to reach the client. */
#define ANSWER_MS 50
/* Time for programs to end by themselves. */
#define TERM_MS 1000

/* Waits until no child is left, at most until the deadline. SIGCHLD is blocked (signalfd). */
static void wait_children(int64_t deadline_ms)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    int left_ms;
    while ((left_ms = clock_left_ms(deadline_ms)) > 0) {
        struct timespec ts = {.tv_sec = left_ms / 1000, .tv_nsec = left_ms % 1000 * 1000000L};
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        if (waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD)
            return;
        sigtimedwait(&set, NULL, &ts);
    }
}

/* What an init does: ends everything, then makes the root consistent. As process 1 or not, kill(-1)
 * spares the caller and process 1. */
static void go_down(int command)
{
    kill(-1, SIGTERM);
    wait_children(clock_mono_ms() + TERM_MS);
    kill(-1, SIGKILL);
    sync();
    mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL);
    reboot(command);
}

static bool init_is_systemd(void)
{
    auto_buf struct buf b = {0};
    return file_read("/proc/1/comm", &b, 64) == 0 && strcmp(buf_str(&b), "systemd\n") == 0;
}

static void on_power(struct loop_timer *t)
{
    struct agent *a = (struct agent *)((char *)t - offsetof(struct agent, power));
    bool off = a->power_command == RB_POWER_OFF;
    /* systemd has a signal for each of its shutdown targets; other inits have no common tongue. */
    if (a->options.init == REPORT_INIT_IMAGE && init_is_systemd())
        kill(1, SIGRTMIN + (off ? 4 : 5));
    else
        go_down(a->power_command);
}

void power_init(struct agent *a)
{
    a->power.fire = on_power;
}

static void schedule(struct agent *a, int command)
{
    a->power_command = command;
    loop_timer_start(&a->loop, &a->power, ANSWER_MS);
}

void power_request(struct call *c)
{
    static const char *const names[] = {"action", NULL};
    struct err e = ERR_INIT;
    const char *action = "";
    auto_json json_t *obj = NULL;
    int r = field_parse(buf_str(&c->body), c->body.len, &obj, &e);
    r = r < 0 ? r : field_only(obj, names, &e);
    r = r < 0 ? r : field_str(obj, "action", FIELD_REQUIRED, 16, &action, &e);
    bool off = strcmp(action, "off") == 0;
    if (r >= 0 && !off && strcmp(action, "reboot") != 0)
        r = err_field(&e, "action", "action must be \"off\" or \"reboot\"");
    if (r >= 0 && !c->agent->options.guest)
        r = err_set(&e, ERR_CONFLICT, "this agent does not run in a guest of its own");
    if (r < 0) {
        call_fail(c, 0, &e);
        return;
    }
    call_reply(c, 200, "{}", 2);
    schedule(c->agent, off ? RB_POWER_OFF : RB_AUTOBOOT);
}

void power_signal(struct agent *a, int sig)
{
    if (!a->options.guest)
        a->loop.stop = sig == SIGTERM || sig == SIGINT || a->loop.stop;
    else if (a->options.init == REPORT_INIT_AGENT)
        schedule(a, sig == SIGTERM || sig == SIGINT ? RB_AUTOBOOT : RB_POWER_OFF);
}
