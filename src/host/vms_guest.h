/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the API dialects may do inside a VM that lives: commands, jobs, files, terminals. Ownership,
 * errors and threads as in vms.h. The VM must run (paused, suspended, stopped: ERR_CONFLICT); a
 * guest that is gone is ERR_UNAVAILABLE. A life-cycle move that ends the monitor ends what runs
 * here. Bad paths and the like are the guest's to find: ERR_NOT_FOUND, ERR_INVALID, ERR_CONFLICT.
 */

#include "host/guest.h"
#include "host/vms.h"

/* A command. Its environment is that of a login, the VM's env, then `env`. Strings are borrowed. */
struct vm_exec {
    const char *const *argv; /* n_argv */
    size_t n_argv;
    const char *cwd;  /* NULL: the user's home */
    const char *user; /* a name or "uid:gid"; NULL: root */
    json_t *env;      /* object of strings; NULL: none more */
    const void *stdin_data;
    size_t stdin_len;
    int64_t timeout_ms;           /* 0: none */
    bool (*cancelled)(void *arg); /* asked about ten times a second; may be NULL */
    /* As guest_exec's; NULL: thrown away. */
    int (*output)(void *arg, int stream, const void *data, size_t len);
    void *arg;
};
int host_vm_exec(struct host *h, const char *account, const char *id, const struct vm_exec *x,
                 struct exec_exit *ret, struct err *e);

/* --- jobs: commands that run on by themselves --- */

int host_vm_job_start(struct host *h, const char *account, const char *id, const struct vm_exec *x,
                      char ret_job[ID_SIZE], struct err *e);
/* `job` NULL: all of them. guest_jobs_done frees. */
int host_vm_jobs(struct host *h, const char *account, const char *id, const char *job,
                 struct guest_jobs *ret, struct err *e);
/* As guest_job_output. */
int host_vm_job_output(struct host *h, const char *account, const char *id, const char *job,
                       struct guest_job_output *o, struct err *e);
int host_vm_job_signal(struct host *h, const char *account, const char *id, const char *job,
                       int signal, struct err *e);
int host_vm_job_forget(struct host *h, const char *account, const char *id, const char *job,
                       struct err *e); /* ERR_CONFLICT while it runs */

/* --- files --- */

int host_vm_stat(struct host *h, const char *account, const char *id, const char *path,
                 struct guest_stat *ret, struct err *e);
/* The agent's JSON, checked: an array of objects of struct guest_stat's members and `name`. */
int host_vm_list_dir(struct host *h, const char *account, const char *id, const char *path,
                     json_t **ret, struct err *e);
int host_vm_remove(struct host *h, const char *account, const char *id, const char *path,
                   struct err *e);

/* Something that is read from or written to a VM piece by piece. One thread reads, one writes, at
 * the same time if they like; vm_stream_shutdown may come from any. */
struct vm_stream;

int host_vm_file_read(struct host *h, const char *account, const char *id,
                      const struct guest_range *g, struct vm_stream **ret, struct err *e);
/* Only path, mode, uid and gid of `f` count. The file has its name once vm_stream_finish returned
 * 0; a stream closed before leaves nothing. */
int host_vm_file_write(struct host *h, const char *account, const char *id,
                       const struct guest_file *f, struct vm_stream **ret, struct err *e);
/* A directory as tar, and back (`path` is made when missing). By the guest's own tar. */
int host_vm_tar_read(struct host *h, const char *account, const char *id, const char *path,
                     struct vm_stream **ret, struct err *e);
int host_vm_tar_write(struct host *h, const char *account, const char *id, const char *path,
                      struct vm_stream **ret, struct err *e);

/* The same by the agent, for what must stay below one directory: links are not followed, and what
 * is written is written with the rights of one user. Reading takes a file, too. */
int host_vm_pack(struct host *h, const char *account, const char *id, const struct guest_tree *t,
                 struct vm_stream **ret, struct err *e);
int host_vm_unpack(struct host *h, const char *account, const char *id, const struct guest_tree *t,
                   struct vm_stream **ret, struct err *e);

struct vm_terminal {
    const char *const *argv; /* n_argv; 0: the user's login shell */
    size_t n_argv;
    const char *user; /* NULL: root */
    int rows, cols;
};
int host_vm_terminal(struct host *h, const char *account, const char *id,
                     const struct vm_terminal *t, struct vm_stream **ret, struct err *e);
/* From now on a command in the guest that connects to address:port reaches the staging store,
 * whatever its network is: the address under which the client knows Holm. Ends with the VM's
 * monitor. */
int host_vm_forward_staging(struct host *h, const char *account, const char *id,
                            const char *address, int port, struct err *e);

/* The serial console. What came before is in the log. Any number at once; works while the guest's
 * agent does not. */
int host_vm_console(struct host *h, const char *account, const char *id, struct vm_stream **ret,
                    struct err *e);
/* Appends the console's log, the last CONSOLE_LOG_KEEP_BYTES at least. */
int host_vm_console_log(struct host *h, const char *account, const char *id, struct buf *ret,
                        struct err *e);

/* Bytes (never 0), or 0 at the end. Blocks; -ECANCELED after a shutdown. */
ssize_t vm_stream_read(struct vm_stream *s, void *buf, size_t max, struct err *e);
/* All of it or an error. Blocks while the guest does not take more. */
int vm_stream_write(struct vm_stream *s, const void *data, size_t len, struct err *e);
/* No more will be written; waits for what that means: the file is there, the directory unpacked,
 * the terminal hung up. */
int vm_stream_finish(struct vm_stream *s, struct err *e);
/* Terminals; nothing on others. */
int vm_stream_resize(struct vm_stream *s, int rows, int cols, struct err *e);
/* After the end of a terminal: how its command ended. */
void vm_stream_exit(const struct vm_stream *s, struct exec_exit *ret);
/* Makes blocked and later reads and writes fail. */
void vm_stream_shutdown(struct vm_stream *s);
/* Also ends what it stands for, unless that has come to its end. NULL is fine. */
void vm_stream_free(struct vm_stream *s);
