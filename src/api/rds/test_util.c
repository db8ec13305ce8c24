/* SPDX-License-Identifier: Apache-2.0 */
#include "api/rds/test_util.h"

#include <string.h>

void rds_ask(struct rds_fixture *f, const struct call *c, struct reply *ret)
{
    static const char *const names[] = {"{vm}", "{snap}", "{img}"};
    const char *const values[] = {f->vm, f->snapshot, f->image};
    auto_buf struct buf path = {0};
    buf_append_str(&path, "/rds");
    for (const char *p = c->path; *p;) {
        size_t i = 0;
        while (i < ARRAY_SIZE(names) && strncmp(p, names[i], strlen(names[i])) != 0)
            i++;
        buf_append(&path, i < 3 ? values[i] : p, i < 3 ? strlen(values[i]) : 1);
        p += i < 3 ? strlen(names[i]) : 1;
    }
    struct call full = *c;
    full.path = buf_str(&path);
    native_call(f->native, &full, ret);
}

int rds_setup(void **state)
{
    struct rds_fixture *f = calloc(1, sizeof(*f));
    auto_reply struct reply r = {0};
    native_setup((void **)&f->native);
    rds_ask(f, &(struct call){"POST", "/v1/vms", RDS_CREATE, .status = 201}, &r);
    snprintf(f->vm, sizeof(f->vm), "%s", text_at(&r, "id"));
    rds_ask(f, &(struct call){"POST", "/v1/vms/{vm}/snapshots", NULL, .status = 201}, &r);
    snprintf(f->snapshot, sizeof(f->snapshot), "%s", text_at(&r, "id"));
    rds_ask(f,
            &(struct call){"POST", "/v1/images", "{\"name\":\"n\",\"description\":\"d\"}",
                           .status = 201},
            &r);
    snprintf(f->image, sizeof(f->image), "%s", text_at(&r, "id"));
    *state = f;
    return 0;
}

int rds_teardown(void **state)
{
    struct rds_fixture *f = *state;
    void *native = f->native;
    native_teardown(&native);
    free(f);
    return 0;
}

void rds_says(const struct reply *r, const char *message, const char *field)
{
    const char *has = json_string_value(json_object_get(r->json, "field"));
    if (strcmp(text_at(r, "message"), message) != 0 || strcmp(has ? has : "", field) != 0)
        fail_msg("not \"%s\" of \"%s\": %s", message, field, buf_str(&r->body));
}
