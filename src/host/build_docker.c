/* SPDX-License-Identifier: Apache-2.0 */

/* Images by a Dockerfile: buildah makes an archive of a container's image, in a directory of its
 * own, without a daemon, and its commands run in a chroot. They run on the host, as root: that is
 * for admins only (docs/SECURITY.md). */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "engine/qemu/argv.h"
#include "host/build_oci.h"

#define TAG "holm-build"

const char *container_build_needs(void)
{
    static const char *const places[] = {"/usr/bin/buildah", "/usr/local/bin/buildah",
                                         "/bin/buildah"};
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        if (access(places[i], X_OK) == 0)
            return NULL;
    }
    return "buildah is not installed on the daemon's host, and a Dockerfile needs it: apt-get "
           "install buildah";
}

static int run(struct build *b, struct argv *argv, struct err *e)
{
    if (argv->failed)
        return err_errno(e, -ENOMEM, "run buildah");
    const struct build_program p = {.argv = (const char *const *)argv->v};
    return build_run(b, &p, e);
}

static int unpack_context(struct build *b, const struct container *c, const char *dir,
                          struct err *e)
{
    auto_argv struct argv argv = {0};
    int r = dir_make(dir, 0700);
    if (r < 0)
        return err_errno(e, r, "make %s", dir);
    build_step(b, "unpack the directory");
    argv_add(&argv, "tar");
    argv_add(&argv, "--extract");
    argv_add(&argv, "--no-same-owner");
    argv_add(&argv, "--file=%s", c->source);
    argv_add(&argv, "--directory=%s", dir);
    r = run(b, &argv, e);
    return r < 0 ? err_set(e, ERR_INVALID, "what was uploaded is no tar of a directory") : 0;
}

/* buildah's store is below the work, and goes with it. */
static void add_buildah(struct argv *argv, const struct container *c, const char *command)
{
    argv_add(argv, "env");
    argv_add(argv, "HOME=%s", c->work);
    argv_add(argv, "TMPDIR=%s", c->work);
    argv_add(argv, "buildah");
    argv_add(argv, "--root=%s/store", c->work);
    argv_add(argv, "--runroot=%s/run", c->work);
    argv_add(argv, "--storage-driver=vfs");
    argv_add(argv, "%s", command);
    argv_add(argv, "--signature-policy=%s/policy.json", c->work);
}

static int write_policy(const struct container *c, struct err *e)
{
    static const char policy[] = "{\"default\":[{\"type\":\"insecureAcceptAnything\"}]}\n";
    char path[PATH_MAX];
    int r = path_printf(path, sizeof(path), "%s/policy.json", c->work);
    r = r < 0 ? r : file_write_atomic(path, policy, strlen(policy), 0600);
    return r < 0 ? err_errno(e, r, "write %s", path) : 0;
}

static int find_dockerfile(const char *dir, char ret[PATH_MAX], struct err *e)
{
    static const char *const names[] = {"Dockerfile", "Containerfile"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (path_printf(ret, PATH_MAX, "%s/%s", dir, names[i]) == 0 && access(ret, R_OK) == 0)
            return 0;
    }
    return err_set(e, ERR_INVALID, "there is no Dockerfile in the directory");
}

int container_build(struct build *b, const struct container *c, char *ret, struct err *e)
{
    char dir[PATH_MAX], file[PATH_MAX];
    auto_argv struct argv build = {0}, push = {0};
    int r = path_printf(dir, sizeof(dir), "%s/context", c->work);
    if (r < 0)
        return err_errno(e, r, "%s", c->work);
    r = unpack_context(b, c, dir, e);
    if (r == 0)
        r = find_dockerfile(dir, file, e);
    if (r == 0)
        r = write_policy(c, e);
    if (r < 0)
        return r;
    build_step(b, "build by the Dockerfile");
    add_buildah(&build, c, "build");
    argv_add(&build, "--isolation=chroot");
    argv_add(&build, "--format=oci");
    argv_add(&build, "--layers=false");
    argv_add(&build, "--tag=" TAG);
    argv_add(&build, "--file=%s", file);
    argv_add(&build, "%s", dir);
    r = run(b, &build, e);
    if (r < 0)
        return build_is_cancelled(b)
                   ? r
                   : err_set(e, ERR_INVALID, "the Dockerfile failed: see the log");
    build_step(b, "write the image's archive");
    path_printf(ret, PATH_MAX, "%s/image.tar", c->work);
    add_buildah(&push, c, "push");
    argv_add(&push, TAG);
    argv_add(&push, "oci-archive:%s", ret);
    return run(b, &push, e);
}
