/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/holmd_doctor.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/proc.h"
#include "cli/json.h"

static bool is_program(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* Places relative to this program: installed with one prefix, or built in one directory. */
static bool find_beside(struct buf *ret_path)
{
    static const char *const places[] = {"holmd", "../libexec/holmd", "../sbin/holmd",
                                         "../libexec/holm/holmd", "../holmd/holmd"};
    char self[PATH_MAX], path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n <= 0)
        return false;
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        if (path_printf(path, sizeof(path), "%s/%s", self, places[i]) < 0 || !is_program(path))
            continue;
        auto_free char *real = realpath(path, NULL);
        return buf_append_str(ret_path, real ? real : path) == 0;
    }
    return false;
}

static bool find_in_path(struct buf *ret_path)
{
    const char *dirs = getenv("PATH");
    for (size_t len; dirs && *dirs; dirs += len + (dirs[len] == ':')) {
        char path[PATH_MAX];
        len = strcspn(dirs, ":");
        if (path_printf(path, sizeof(path), "%.*s/holmd", (int)len, dirs) == 0 && is_program(path))
            return buf_append_str(ret_path, path) == 0;
    }
    return false;
}

int holmd_doctor_find(struct buf *ret_path, struct err *e)
{
    if (find_beside(ret_path) || find_in_path(ret_path))
        return 0;
    return err_set(e, ERR_NOT_FOUND,
                   "no holmd beside this program or in PATH; install it, or say "
                   "where it is with --holmd PATH");
}

int holmd_doctor_ask(const char *holmd, json_t **ret, struct err *e)
{
    auto_buf struct buf out = {.max_bytes = COMMAND_OUTPUT_MAX_BYTES};
    const char *const argv[] = {holmd, "--doctor", NULL};
    int r = proc_run(argv, CLI_DOCTOR_TIMEOUT_S * 1000, &out, e);
    /* Log lines may stand before it; the report begins where a line begins with a brace. It counts
     * even when holmd ends with a failure, since a failure is what it reports then. */
    const char *start = buf_str(&out);
    while (start && *start != '{') {
        start = strchr(start, '\n');
        start = start ? start + 1 : NULL;
    }
    json_t *report = start ? json_loads(start, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
    if (json_is_array(json_object_get(report, "facts"))) {
        *ret = report;
        return 0;
    }
    json_decref(report);
    if (r < 0)
        return err_wrap(e, r, "ask %s", holmd);
    return err_set(e, ERR_UNAVAILABLE, "'%s --doctor' prints no report; is it another program?",
                   holmd);
}
