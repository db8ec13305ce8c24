/* SPDX-License-Identifier: Apache-2.0 */

/* Of each job's output the last of it is kept as it came, both streams together, with marks where
 * one follows the other. */

#include "engine/fake/jobs.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "engine/fake/call.h"
#include "engine/fake/program.h"
#include "wire/guest_job.h"

#define CHUNK_BYTES (16 * KIB) /* of one output frame */

/* A request for a job's output. */
struct job_reader {
    struct call *call;
    struct job_reader *next;
    char id[EXEC_JOB_ID_MAX_BYTES + 1];
    int64_t offset;
    bool follows;
    bool told_end;
    struct buf staged;
};

static void job_free(struct job *j)
{
    free(j->argv_json);
    free(j->marks);
    buf_done(&j->output);
    free(j);
}

void jobs_clear(struct jobs *j)
{
    for (int i = 0; i < j->n; i++)
        job_free(j->list[i]);
    j->n = 0;
}

struct job *jobs_find(const struct jobs *j, const char *id)
{
    for (int i = 0; i < j->n; i++)
        if (strcmp(j->list[i]->id, id) == 0)
            return j->list[i];
    return NULL;
}

static void wake_readers(struct jobs *j, const char *id)
{
    for (struct job_reader *rd = j->readers; rd; rd = rd->next)
        if (strcmp(rd->id, id) == 0)
            agent_server_resume(rd->call->stream);
}

static void forget(struct jobs *j, struct job *job)
{
    int i = 0;
    while (j->list[i] != job)
        i++;
    memmove(j->list + i, j->list + i + 1, (size_t)(j->n - i - 1) * sizeof(*j->list));
    j->n--;
    wake_readers(j, job->id);
    job_free(job);
}

static struct job *oldest_ended(const struct jobs *j)
{
    struct job *found = NULL;
    for (int i = 0; i < j->n; i++)
        if (!j->list[i]->program && (!found || j->list[i]->number < found->number))
            found = j->list[i];
    return found;
}

int jobs_check(const struct jobs *j, const char *id, struct err *e)
{
    if (jobs_find(j, id))
        return err_set(e, ERR_CONFLICT, "there is a job %s already", id);
    if (j->n == AGENT_JOBS_MAX && !oldest_ended(j))
        return err_set(e, ERR_CONFLICT, "%d jobs are running, the most there may be", j->n);
    return 0;
}

static char *dump_argv(char *const *argv)
{
    json_t *list = guest_job_argv(argv);
    char *text = list ? json_dumps(list, JSON_COMPACT) : NULL;
    json_decref(list);
    return text;
}

int jobs_add(struct guest *g, struct program *p)
{
    struct jobs *j = &g->jobs;
    struct job *job = calloc(1, sizeof(*job));
    char *argv_json = dump_argv(p->spec.argv);
    if (!job || !argv_json) {
        free(job);
        free(argv_json);
        return -ENOMEM;
    }
    memcpy(job->id, p->spec.job, strlen(p->spec.job) + 1);
    job->argv_json = argv_json;
    job->program = p;
    job->pid = p->pid;
    job->started_ms = guest_real_ms(g);
    job->number = j->next_number++;
    if (j->n == AGENT_JOBS_MAX)
        forget(j, oldest_ended(j));
    j->list[j->n++] = job;
    p->owner = PROGRAM_JOB;
    p->job = job;
    return 0;
}

/* --- output --- */

static int add_mark(struct job *j, enum frame_type type, int64_t offset)
{
    if (j->n_marks && j->marks[j->n_marks - 1].type == type)
        return 0;
    if (j->n_marks == j->max_marks) {
        size_t max = j->max_marks ? 2 * j->max_marks : 8;
        struct job_mark *more = reallocarray(j->marks, max, sizeof(*more));
        if (!more)
            return -ENOMEM;
        j->marks = more;
        j->max_marks = max;
    }
    j->marks[j->n_marks++] = (struct job_mark){.offset = offset, .type = type};
    return 0;
}

/* The oldest goes when there is twice as much as has to be kept. */
static void trim(struct job *j)
{
    if (j->output.len < 2 * AGENT_JOB_SEGMENT_BYTES)
        return;
    size_t drop = j->output.len - AGENT_JOB_SEGMENT_BYTES, n = 0;
    buf_consume(&j->output, drop);
    j->first_offset += (int64_t)drop;
    while (n + 1 < j->n_marks && j->marks[n + 1].offset <= j->first_offset)
        n++;
    memmove(j->marks, j->marks + n, (j->n_marks - n) * sizeof(*j->marks));
    j->n_marks -= n;
}

static int64_t end_offset(const struct job *j)
{
    return j->first_offset + (int64_t)j->output.len;
}

static void append(struct job *j, const struct frame_piece *p)
{
    if (p->len == 0 || add_mark(j, p->type, end_offset(j)) < 0)
        return;
    (void)buf_append(&j->output, p->data, p->len);
    trim(j);
}

void jobs_collect(struct program *p)
{
    struct job *job = p->job;
    struct jobs *j = &p->guest->jobs;
    struct frame_decoder d = {0};
    struct frame_input in = {.data = (const uint8_t *)buf_str(&p->staged), .len = p->staged.len};
    struct frame_piece piece;
    bool has_news = p->ended || in.len;
    while (frame_decode(&d, FRAME_FROM_AGENT, &in, &piece, NULL) > 0)
        append(job, &piece);
    buf_clear(&p->staged);
    if (p->ended) {
        job->exit = p->exit;
        job->program = NULL;
        program_free(p);
    }
    if (has_news)
        wake_readers(j, job->id);
}

/* --- requests --- */

static int encode(const struct guest *g, const struct job *j, struct buf *out)
{
    struct guest_job told = {
        .argv = json_loads(j->argv_json, 0, NULL),
        .pid = j->pid,
        .running = j->program != NULL,
        .exit = j->exit,
        .started_ms = j->started_ms,
        .wall_ms = j->exit.wall_us / 1000,
        .output_bytes = end_offset(j),
        .first_offset = j->first_offset,
    };
    memcpy(told.id, j->id, sizeof(told.id));
    if (told.running)
        told.wall_ms = (clock_mono_us() - j->program->start_us) / 1000;
    int r = told.argv ? guest_job_encode(&told, out) : -ENOMEM;
    json_decref(told.argv);
    return r;
}

void jobs_list(struct call *c)
{
    const struct jobs *j = &c->guest->jobs;
    auto_buf struct buf json = {0};
    int r = buf_append_str(&json, "{\"jobs\":[");
    for (int i = 0; r == 0 && i < j->n; i++) {
        if (i)
            buf_append_str(&json, ",");
        r = encode(c->guest, j->list[i], &json);
    }
    buf_append_str(&json, "]}");
    if (r < 0 || json.failed)
        call_abort(c);
    else
        call_reply(c, 200, json.data, json.len);
}

/* NULL: the call was answered. */
static struct job *find_of(struct call *c)
{
    struct err e = ERR_INIT;
    struct job *job = jobs_find(&c->guest->jobs, c->name);
    if (job)
        return job;
    err_set(&e, ERR_NOT_FOUND, "there is no job %s", c->name);
    call_fail(c, 0, &e);
    return NULL;
}

void jobs_get(struct call *c)
{
    const struct job *job = find_of(c);
    auto_buf struct buf json = {0};
    if (!job)
        return;
    if (encode(c->guest, job, &json) < 0)
        call_abort(c);
    else
        call_reply(c, 200, json.data, json.len);
}

static void stage(struct buf *out, enum frame_type type, const void *data, size_t len)
{
    uint8_t head[FRAME_HEADER_BYTES];
    frame_header(head, type, len);
    buf_append(out, head, sizeof(head));
    buf_append(out, data, len);
}

/* The next piece, of one stream. */
static void stage_piece(struct job_reader *rd, const struct job *j)
{
    uint8_t at[FRAME_HEADER_BYTES + FRAME_OFFSET_BYTES];
    size_t mark = 0;
    if (rd->offset < j->first_offset)
        rd->offset = j->first_offset;
    while (mark + 1 < j->n_marks && j->marks[mark + 1].offset <= rd->offset)
        mark++;
    int64_t end = mark + 1 < j->n_marks ? j->marks[mark + 1].offset : end_offset(j);
    size_t len = (size_t)(end - rd->offset);
    len = len < CHUNK_BYTES ? len : CHUNK_BYTES;
    frame_offset(at, rd->offset);
    buf_append(&rd->staged, at, sizeof(at));
    stage(&rd->staged, j->marks[mark].type, j->output.data + (rd->offset - j->first_offset), len);
    rd->offset += (int64_t)len;
}

static void stage_end(struct job_reader *rd, const struct job *j)
{
    auto_buf struct buf json = {0};
    rd->told_end = true;
    if (j->program)
        return; /* who does not follow gets what there is now */
    exec_exit_encode(&j->exit, &json);
    stage(&rd->staged, FRAME_EXIT, json.data, json.len);
}

static ssize_t pull(struct agent_stream *st, uint8_t *buf, size_t size)
{
    struct call *c = st->data;
    struct job_reader *rd = c->data;
    const struct job *j = jobs_find(&c->guest->jobs, rd->id);
    while (j && rd->staged.len < size && rd->offset < end_offset(j))
        stage_piece(rd, j);
    if (j && !rd->told_end && rd->offset >= end_offset(j) && (!j->program || !rd->follows))
        stage_end(rd, j);
    if (rd->staged.failed)
        return AGENT_PULL_ABORT;
    size_t n = rd->staged.len < size ? rd->staged.len : size;
    if (n == 0)
        return j && !rd->told_end ? AGENT_PULL_LATER : AGENT_PULL_END;
    memcpy(buf, rd->staged.data, n);
    buf_consume(&rd->staged, n);
    return (ssize_t)n;
}

void jobs_output(struct call *c)
{
    static const char *const names[] = {"offset", "follow", NULL};
    struct err e = ERR_INIT;
    int64_t offset = 0, follow = 0;
    if (!find_of(c))
        return;
    int r = call_params_only(c, names, &e);
    r = r < 0 ? r : call_number(c, "offset", 10, INT64_MAX, &offset, &e);
    r = r < 0 ? r : call_number(c, "follow", 10, 1, &follow, &e);
    if (r < 0) {
        call_fail(c, 0, &e);
        return;
    }
    struct job_reader *rd = calloc(1, sizeof(*rd));
    if (!rd) {
        call_abort(c);
        return;
    }
    *rd = (struct job_reader){
        .call = c, .next = c->guest->jobs.readers, .offset = offset, .follows = follow};
    memcpy(rd->id, c->name, sizeof(rd->id));
    c->guest->jobs.readers = rd;
    c->data = rd;
    if (agent_server_respond_pull(c->stream, 200, "application/octet-stream", pull) < 0)
        call_abort(c);
}

void jobs_output_closed(struct call *c)
{
    struct job_reader *rd = c->data, **at = &c->guest->jobs.readers;
    if (!rd)
        return;
    while (*at != rd)
        at = &(*at)->next;
    *at = rd->next;
    buf_done(&rd->staged);
    free(rd);
}

void jobs_signal(struct call *c)
{
    struct err e = ERR_INIT;
    int64_t sig = 0;
    struct job *job = find_of(c);
    if (!job)
        return;
    int r = call_number(c, "signal", 10, SIGRTMAX, &sig, &e);
    if (r == 0 || (r > 0 && sig < 1))
        r = err_field(&e, "signal", "signal must be a number from 1 to %d", SIGRTMAX);
    if (r < 0) {
        call_fail(c, 0, &e);
        return;
    }
    if (job->program)
        program_signal(job->program, (int)sig);
    call_reply(c, 200, "{}", 2);
}

void jobs_forget(struct call *c)
{
    struct err e = ERR_INIT;
    struct job *job = find_of(c);
    if (!job)
        return;
    if (job->program) {
        err_set(&e, ERR_CONFLICT, "job %s is running", c->name);
        call_fail(c, 0, &e);
        return;
    }
    forget(&c->guest->jobs, job);
    call_reply(c, 200, "{}", 2);
}

/* --- saving and loading --- */

static void save_job(const struct job *j, struct buf *out)
{
    auto_buf struct buf exit_json = {0};
    exec_exit_encode(&j->exit, &exit_json);
    pack_str(out, j->id);
    pack_str(out, j->argv_json);
    pack_i64(out, j->pid);
    pack_i64(out, j->started_ms);
    pack_i64(out, j->number);
    pack_str(out, buf_str(&exit_json));
    pack_i64(out, j->first_offset);
    pack_bytes(out, j->output.data, j->output.len);
    pack_u32(out, j->n_marks);
    for (size_t i = 0; i < j->n_marks; i++) {
        pack_i64(out, j->marks[i].offset);
        pack_i64(out, j->marks[i].type);
    }
}

void jobs_save(const struct jobs *j, struct buf *out)
{
    pack_i64(out, j->next_number);
    pack_u32(out, (size_t)j->n);
    for (int i = 0; i < j->n; i++)
        save_job(j->list[i], out);
}

static int load_argv(struct job *j, struct unpack *u)
{
    size_t len;
    const char *text = unpack_bytes(u, &len);
    json_t *list = text ? json_loadb(text, len, 0, NULL) : NULL;
    if (json_is_array(list))
        j->argv_json = json_dumps(list, JSON_COMPACT);
    json_decref(list);
    return j->argv_json ? 0 : -EINVAL;
}

static int load_exit(struct job *j, struct unpack *u)
{
    size_t len;
    struct err e = ERR_INIT;
    const char *text = unpack_bytes(u, &len);
    return text ? exec_exit_decode(text, len, &j->exit, &e) : -EINVAL;
}

/* The marks cover all of the output, in order. */
static int load_marks(struct job *j, struct unpack *u)
{
    size_t n = unpack_u32(u);
    for (size_t i = 0; i < n && !u->failed; i++) {
        int64_t offset = unpack_i64(u);
        enum frame_type type = (enum frame_type)unpack_range(u, 0, 127);
        int64_t low = i ? j->marks[j->n_marks - 1].offset + 1 : 0;
        bool is_first_late = i == 0 && offset > j->first_offset;
        if (u->failed || (type != FRAME_STDOUT && type != FRAME_STDERR) || offset < low ||
            is_first_late || offset >= end_offset(j) || add_mark(j, type, offset) < 0)
            return -EINVAL;
    }
    return u->failed || (j->output.len && !j->n_marks) ? -EINVAL : 0;
}

static int load_job(struct job *j, struct unpack *u)
{
    size_t len;
    unpack_str(u, j->id, sizeof(j->id));
    int r = u->failed || !exec_job_id_is_valid(j->id) ? -EINVAL : load_argv(j, u);
    j->pid = unpack_range(u, 1, INT32_MAX);
    j->started_ms = unpack_i64(u);
    j->number = unpack_range(u, 0, INT64_MAX);
    r = r < 0 ? r : load_exit(j, u);
    j->first_offset = unpack_range(u, 0, INT64_MAX / 2);
    const char *output = unpack_bytes(u, &len);
    r = r < 0 ? r : output ? buf_append(&j->output, output, len) : -EINVAL;
    return r < 0 ? r : load_marks(j, u);
}

int jobs_load(struct jobs *j, struct unpack *u)
{
    j->next_number = unpack_range(u, 0, INT64_MAX / 2);
    size_t n = unpack_u32(u);
    if (u->failed || n > AGENT_JOBS_MAX)
        return -EINVAL;
    for (size_t i = 0; i < n; i++) {
        struct job *job = calloc(1, sizeof(*job));
        if (!job)
            return -ENOMEM;
        int r = load_job(job, u);
        if (r == 0 && jobs_find(j, job->id))
            r = -EINVAL;
        if (r < 0) {
            job_free(job);
            return r;
        }
        j->list[j->n++] = job;
    }
    return 0;
}
