/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Faults on order for the fake engine; the grammar is in README.md. Any thread. */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#define FAULTS_MAX 32
#define FAULTS_TEXT_MAX_BYTES 2048
#define FAULTS_WORD_SIZE 32

struct faults {
    pthread_mutex_t lock;
    char text[FAULTS_TEXT_MAX_BYTES]; /* what `used` counts for */
    int used[FAULTS_MAX];             /* how often each entry of the list has struck */
};

void faults_init(struct faults *f);
void faults_done(struct faults *f);

/* Whether `what` shall fail this time, and how; counts it. `list` is the order, NULL or "": none. */
bool faults_strike(struct faults *f, const char *list, const char *what,
                   char ret_how[FAULTS_WORD_SIZE]);
