/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "job.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_ours(const char *variable)
{
    return variable[0] == 'H';
}

/* Whatever is taken for a job accounts for every byte of it, and its environment is made of it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *body = malloc(size + 1), *nothing[] = {NULL};
    struct job j;
    memcpy(body, data, size);
    if (job_parse(body, size, &j) == 0) {
        size_t used = 0, n = 0;
        for (size_t i = 0; i < j.n_args; i++)
            used += strlen(j.args[i]) + 1;
        for (size_t i = 0; i < j.n_env; i++)
            used += strlen(j.env[i]) + 1;
        assert(used < size && j.cwd[0] == '/' && !j.args[j.n_args] && !j.env[j.n_env]);
        char **env = job_environ(&j, nothing, nothing, is_ours);
        while (env[n])
            n++;
        assert(n == j.n_env);
        job_list_free(env);
        env = job_environ(&j, j.env, j.args, is_ours);
        job_list_free(env);
        job_done(&j);
    }
    (void)job_length((const char *)data, size);
    free(body);
    return 0;
}
