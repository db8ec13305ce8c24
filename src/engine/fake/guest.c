/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fake/guest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/limits.h"
#include "engine/fake/program.h"
#include "engine/fake/warm.h"

#define FIRST_PID 100
#define IDENTITY_FILE "/run/holm/vm.json"

static const char magic[] = "HOLMFK2";

/* --- the beginning and the end --- */

static void forget_memory(struct guest *g)
{
    programs_kill_all(g);
    jobs_clear(&g->jobs);
    warms_clear(g);
    vars_clear(&g->vars);
}

void guest_boot(struct guest *g)
{
    uint8_t id[16];
    forget_memory(g);
    id_random(id, sizeof(id));
    for (size_t i = 0, at = 0; i < sizeof(id); i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            g->boot_id[at++] = '-';
        at += (size_t)snprintf(g->boot_id + at, 3, "%02x", id[i]);
    }
    g->started_us = clock_mono_us();
    g->next_pid = FIRST_PID;
    g->clock_offset_ns = 0;
    g->clock_step_ms = 0;
    g->reseeded = false;
    g->orphans_limit_us = 0;
    g->end = GUEST_RUNS;
    g->id[0] = '\0';
    snprintf(g->hostname, sizeof(g->hostname), "holm");
    (void)files_remove(&g->files, IDENTITY_FILE); /* of memory, in a real guest */
}

int guest_install(struct guest *g)
{
    static const char *const dirs[] = {"/etc",     "/home/user", "/root", "/run/holm", "/tmp",
                                       "/usr/bin", "/var/lib",   "/work", "/workspace"};
    static const char passwd[] = "root:x:0:0:root:/root:/bin/bash\n"
                                 "user:x:1000:1000:user:/home/user:/bin/bash\n"
                                 "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
    int r = files_write(&g->files, "/etc/passwd", passwd, strlen(passwd));
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(dirs); i++)
        r = files_make_dir(&g->files, dirs[i]);
    return r;
}

void guest_done(struct guest *g)
{
    forget_memory(g);
    files_done(&g->files);
    disk_done(&g->disk);
}

void guest_identify(struct guest *g, const char *id, const char *hostname)
{
    auto_buf struct buf json = {0};
    if (id[0])
        snprintf(g->id, sizeof(g->id), "%s", id);
    if (hostname[0])
        snprintf(g->hostname, sizeof(g->hostname), "%s", hostname);
    if (!id[0] && !hostname[0])
        return;
    /* Neither holds a character that JSON would escape. */
    buf_printf(&json, "{\"id\":\"%s\",\"hostname\":\"%s\"}\n", g->id, g->hostname);
    if (!json.failed)
        (void)files_write(&g->files, IDENTITY_FILE, json.data, json.len);
}

/* --- saving and loading --- */

int guest_save(const struct guest *g, struct buf *out)
{
    pack_str(out, magic);
    pack_str(out, g->boot_id);
    pack_str(out, g->id);
    pack_str(out, g->hostname);
    pack_i64(out, clock_real_ns() + g->clock_offset_ns);
    pack_i64(out, clock_mono_us() - g->started_us);
    pack_i64(out, g->next_pid);
    vars_save(&g->vars, out);
    jobs_save(&g->jobs, out);
    programs_save(g, out);
    warms_save(g, out);
    return out->failed ? -ENOMEM : 0;
}

static bool is_boot_id(const char *id)
{
    return strlen(id) == 36 && strspn(id, "0123456789abcdef-") == 36;
}

static bool is_identity(const char *id, const char *hostname)
{
    return (!id[0] || report_id_is_valid(id)) && report_hostname_is_valid(hostname);
}

static int load_head(struct guest *g, struct unpack *u)
{
    char text[sizeof(magic)];
    int64_t now_ns = clock_real_ns();
    unpack_str(u, text, sizeof(text));
    unpack_str(u, g->boot_id, sizeof(g->boot_id));
    unpack_str(u, g->id, sizeof(g->id));
    unpack_str(u, g->hostname, sizeof(g->hostname));
    int64_t real_ns = unpack_range(u, 0, 2 * now_ns);
    int64_t uptime_us = unpack_range(u, 0, INT64_MAX / 2);
    g->next_pid = unpack_range(u, FIRST_PID, INT32_MAX);
    if (u->failed || strcmp(text, magic) != 0 || !is_boot_id(g->boot_id) ||
        !is_identity(g->id, g->hostname))
        return -EINVAL;
    g->clock_offset_ns = real_ns - now_ns;
    g->started_us = clock_mono_us() - uptime_us;
    return 0;
}

int guest_load(struct guest *g, const void *data, size_t len, struct err *e)
{
    struct unpack u = {.at = data, .left = len};
    guest_boot(g);
    int r = load_head(g, &u);
    r = r < 0 ? r : vars_load(&g->vars, &u);
    r = r < 0 ? r : jobs_load(&g->jobs, &u);
    r = r < 0 ? r : programs_load(g, &u);
    r = r < 0 ? r : warms_load(g, &u);
    if (r == 0 && u.left == 0) {
        guest_session_ended(g);
        return 0;
    }
    forget_memory(g);
    return r == -ENOMEM ? err_errno(e, r, "load the state")
                        : err_set(e, ERR_INVALID, "the saved state is damaged");
}

/* --- sessions --- */

void guest_session_begins(struct guest *g)
{
    g->orphans_limit_us = 0;
}

void guest_session_ends(struct guest *g)
{
    g->session_ends = true;
}

void guest_session_ended(struct guest *g)
{
    g->session_ends = false;
    g->orphans_limit_us = clock_mono_us() + AGENT_ORPHAN_TIMEOUT_MS * INT64_C(1000);
}

/* --- time --- */

int64_t guest_real_ms(const struct guest *g)
{
    return (clock_real_ns() + g->clock_offset_ns) / 1000000;
}

int64_t guest_due_us(const struct guest *g)
{
    int64_t us = programs_due_us(g);
    if (!g->programs || !g->orphans_limit_us)
        return us;
    return us && us < g->orphans_limit_us ? us : g->orphans_limit_us;
}

void guest_wake(struct guest *g)
{
    programs_wake(g);
    if (g->orphans_limit_us && g->programs && clock_mono_us() >= g->orphans_limit_us) {
        g->orphans_limit_us = 0;
        programs_settle(g, false);
    }
}

void guest_skip(struct guest *g, int64_t us)
{
    programs_skip(g, us);
    g->orphans_limit_us += g->orphans_limit_us ? us : 0;
}

int64_t guest_cpu_us(const struct guest *g, int64_t now_us)
{
    return g->cpu_us + programs_cpu_us(g, now_us);
}
