/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fake/faults.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"

#define SEPARATORS ", \t\r\n"

void faults_init(struct faults *f)
{
    *f = (struct faults){0};
    pthread_mutex_init(&f->lock, NULL);
}

void faults_done(struct faults *f)
{
    pthread_mutex_destroy(&f->lock);
}

/* Takes over a list that differs from the one before. */
static void reload(struct faults *f, const char *list)
{
    auto_buf struct buf file = {0};
    if (list && list[0] == '/') {
        (void)file_read(list, &file, FAULTS_TEXT_MAX_BYTES);
        list = buf_str(&file);
    }
    if (!list || strlen(list) >= sizeof(f->text))
        list = "";
    if (strcmp(list, f->text) == 0)
        return;
    snprintf(f->text, sizeof(f->text), "%s", list);
    memset(f->used, 0, sizeof(f->used));
}

/* Parses "WHAT=HOW[:COUNT]" of the given length. */
static bool parse(const char *entry, size_t len, char what[FAULTS_WORD_SIZE],
                  char how[FAULTS_WORD_SIZE], int *count)
{
    char text[128];
    snprintf(text, sizeof(text), "%.*s", (int)len, entry);
    *count = 0;
    return sscanf(text, "%31[^=]=%31[^:]:%d", what, how, count) >= 2;
}

bool faults_strike(struct faults *f, const char *list, const char *what,
                   char ret_how[FAULTS_WORD_SIZE])
{
    AUTO_LOCK(&f->lock);
    reload(f, list);
    const char *p = f->text + strspn(f->text, SEPARATORS);
    for (int i = 0; *p && i < FAULTS_MAX; i++) {
        char name[FAULTS_WORD_SIZE], how[FAULTS_WORD_SIZE];
        int count;
        size_t len = strcspn(p, SEPARATORS);
        bool same = parse(p, len, name, how, &count) && strcmp(name, what) == 0;
        if (same && (count == 0 || f->used[i] < count)) {
            f->used[i]++;
            memcpy(ret_how, how, sizeof(how));
            return true;
        }
        p += len;
        p += strspn(p, SEPARATORS);
    }
    return false;
}
