/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/restored.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "agent/agent.h"
#include "agent/identity.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/id.h"

static void read_boot_id(char ret[37])
{
    auto_buf struct buf b = {0};
    ret[0] = '\0';
    if (file_read("/proc/sys/kernel/random/boot_id", &b, 64) == 0)
        snprintf(ret, 37, "%.36s", buf_str(&b));
}

static int64_t uptime_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_BOOTTIME, &ts);
    return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

void restored_ready(struct call *c)
{
    const struct agent *a = c->agent;
    struct agent_report report = {
        .version = HOLM_VERSION,
        .protocol = REPORT_PROTOCOL,
        .uptime_ms = uptime_ms(),
        .real_time_ns = clock_real_ns(),
        .init = a->options.init,
        .clock_step_ms = a->clock_step_ms,
        .reseeded = a->reseeded,
    };
    uint8_t random[(sizeof(report.random) - 1) / 2];
    auto_buf struct buf json = {0};
    read_boot_id(report.boot_id);
    id_random(random, sizeof(random));
    for (size_t i = 0; i < sizeof(random); i++)
        snprintf(report.random + 2 * i, 3, "%02x", random[i]);
    if (report_encode(&report, &json) < 0)
        agent_server_abort(c->stream);
    else
        call_reply(c, 200, json.data, json.len);
}

/* Mixes the entropy in, then has the kernel derive its generator's key anew: without the second
 * step it would go on with the key that all copies share until its next timed reseed. */
static int reseed(const struct restored_request *q)
{
    /* struct rand_pool_info, which ends in an array of no length, with room. */
    struct {
        int entropy_bits;
        int size_bytes;
        uint8_t bytes[REPORT_ENTROPY_MAX_BYTES];
    } pool = {.entropy_bits = (int)q->entropy_len * 8, .size_bytes = (int)q->entropy_len};
    auto_close int fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    memcpy(pool.bytes, q->entropy, q->entropy_len);
    if (ioctl(fd, RNDADDENTROPY, &pool) < 0 || ioctl(fd, RNDRESEEDCRNG) < 0)
        return -errno;
    return 0;
}

static int set_clock(int64_t real_ns, int64_t *ret_step_ms)
{
    struct timespec ts = {.tv_sec = real_ns / 1000000000, .tv_nsec = real_ns % 1000000000};
    int64_t before_ns = clock_real_ns();
    if (clock_settime(CLOCK_REALTIME, &ts) < 0)
        return -errno;
    *ret_step_ms = (real_ns - before_ns) / 1000000;
    return 0;
}

void restored_apply(struct call *c)
{
    struct agent *a = c->agent;
    struct err e = ERR_INIT;
    struct restored_request q;
    int r = report_restored_decode(buf_str(&c->body), c->body.len, &q, &e);
    if (r < 0) {
        call_fail(c, 0, &e);
        return;
    }
    a->clock_step_ms = 0;
    a->reseeded = false;
    /* On a host neither is ours to touch; the report then says so. */
    if (a->options.guest) {
        r = set_clock(q.real_time_ns, &a->clock_step_ms);
        r = r < 0 ? err_errno(&e, r, "set the clock") : reseed(&q);
        if (r < 0) {
            err_wrap(&e, r, "reseed the random generator");
            call_fail(c, 0, &e);
            return;
        }
        a->reseeded = true;
        if (identity_set(&q, &e) < 0) {
            call_fail(c, 0, &e);
            return;
        }
    }
    orphans_decide(a, q.keep);
    restored_ready(c);
}
