/* SPDX-License-Identifier: Apache-2.0 */

/* What this host can and cannot do, without starting anything: the engine's facts, and whether the
 * kernel and the images are there. */

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/limits.h"
#include "engine/engine.h"
#include "host/config.h"
#include "host/host.h"
#include "host/host_priv.h"

#define FACTS_MAX 64

DEFINE_AUTO(struct engine *, engine_free)

static const char *const state_names[] = {
    [FACT_YES] = "yes", [FACT_NO] = "no", [FACT_DEGRADED] = "degraded"};

static void add(struct engine_fact *facts, int *n, const struct engine_fact *fact)
{
    if (*n < FACTS_MAX)
        facts[(*n)++] = *fact;
}

static void add_images(const struct config *c, struct engine_fact *facts, int *n)
{
    struct engine_fact f = {.name = "images", .state = FACT_YES};
    const struct language *lang;
    int missing = 0, total = 0;
    char path[PATH_MAX], names[160] = "";
    for (size_t i = 0; (lang = host_language(i)); i++) {
        total++;
        path_printf(path, sizeof(path), "%s/images/%s/rootfs.ext4", c->data_dir, lang->image);
        if (access(path, R_OK) == 0)
            continue;
        size_t len = strlen(names);
        snprintf(names + len, sizeof(names) - len, "%s%s", missing++ ? " " : "", lang->image);
    }
    if (missing) {
        f.state = missing == total ? FACT_NO : FACT_DEGRADED;
        snprintf(f.detail, sizeof(f.detail), "not built: %s; run images/build", names);
    } else {
        snprintf(f.detail, sizeof(f.detail), "all %d languages have their image in %.120s/images",
                 total, c->data_dir);
    }
    add(facts, n, &f);
}

static void add_kernel(const struct config *c, struct engine_fact *facts, int *n)
{
    struct engine_fact f = {.name = "guest kernel", .state = FACT_YES};
    char path[PATH_MAX];
    path_printf(path, sizeof(path), "%s/kernel/version", c->data_dir);
    auto_buf struct buf b = {0};
    if (file_read(path, &b, 4096) < 0) {
        f.state = FACT_NO;
        snprintf(f.detail, sizeof(f.detail), "no guest kernel in %.120s/kernel; run images/build",
                 c->data_dir);
    } else {
        snprintf(f.detail, sizeof(f.detail), "%.*s", (int)strcspn(buf_str(&b), "\n"), buf_str(&b));
    }
    add(facts, n, &f);
}

static int open_engine(const struct config *c, const char *helper_dir, struct engine **ret,
                       struct err *e)
{
    struct engine_config ec = {
        .qemu_binary = c->qemu,
        .accel = c->accelerator,
        .helper_dir = helper_dir,
        .jail = c->jail,
    };
    return engine_new(c->engine, &ec, ret, e);
}

static json_t *facts_to_json(const struct engine_fact *facts, int n)
{
    json_t *list = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:s}", "name", facts[i].name, "state",
                                        state_names[facts[i].state], "detail", facts[i].detail));
    return list;
}

int host_doctor(const struct config *config, struct buf *ret, struct err *e)
{
    char helper_dir[PATH_MAX];
    struct engine_fact facts[FACTS_MAX];
    int n = 0;
    struct err why = ERR_INIT;
    CLEANUP(engine_freep) struct engine *en = NULL;
    int r = host_helper_dir(config, helper_dir, sizeof(helper_dir));
    if (r < 0)
        return err_errno(e, r, "find the helper programs");
    r = open_engine(config, helper_dir, &en, &why);
    if (r < 0) {
        struct engine_fact f = {.name = "engine", .state = FACT_NO};
        snprintf(f.detail, sizeof(f.detail), "%.250s", why.text);
        add(facts, &n, &f);
    } else {
        n = engine_facts(en, facts, FACTS_MAX - 8);
    }
    add_kernel(config, facts, &n);
    add_images(config, facts, &n);
    json_t *doc = json_pack("{s:s, s:s, s:s, s:s, s:o}", "version", HOLM_VERSION, "engine",
                            config->engine, "accelerator", en ? en->accel : "none", "data_dir",
                            config->data_dir, "facts", facts_to_json(facts, n));
    char *text = doc ? json_dumps(doc, JSON_INDENT(2)) : NULL;
    json_decref(doc);
    if (!text)
        return err_errno(e, -ENOMEM, "doctor");
    r = buf_printf(ret, "%s\n", text);
    free(text);
    return r;
}
