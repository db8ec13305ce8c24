/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The command line of a monitor. The machine is the same at boot and at restore, as the loaded
 * device state demands; whoever changes it raises ARGS_VERSION, so that older templates are made
 * anew. Pure: numbers and strings in, arguments out. */

#include <stdbool.h>

#include "engine/engine.h"
#include "engine/qemu/argv.h"
#include "engine/qemu/layers.h"

#define ARGS_VERSION 3

/* The same in every machine: each is alone in its network. */
#define ARGS_MAC "02:68:6f:6c:6d:01"

/* The names under which the preload library hands out inherited descriptors. */
#define ARGS_MEMORY_NAME "/holm/memory"
#define ARGS_DELTA_NAME "/holm/delta" /* mapped over the memory */
#define ARGS_EXTENTS_NAME "/holm/extents"
#define ARGS_KERNEL_NAME "/holm/kernel"
#define ARGS_INITRD_NAME "/holm/initrd"

/* Descriptor numbers are those of the monitor's process. */
struct args_spec {
    struct machine_shape shape;
    bool kvm;
    bool ephemeral; /* flushes by the guest are not passed on to the host's disk */
    int agent_fd;   /* listening sockets */
    int qmp_fd;
    int console_fd;
    const struct layers *chain;
    const int *layer_fds; /* read-only, one for each layer of the chain; of the last: read-write */
    int top_read_fd;      /* the last layer once more, read-only: for the time after it is frozen */
    int state_fd;         /* restore: the device state; -1: boot */
    int tap_fd;           /* of the network card; -1: what it sends goes nowhere */
};

void args_build(struct argv *a, const struct args_spec *spec);

/* The machine type, accelerator and CPU model as one word for the fingerprint. */
const char *args_machine_word(bool kvm);

#define ARGS_WORD_SIZE 24
#define ARGS_NO_BACKING (-1)
struct args_layer {
    int number;
    int backing; /* number of the layer below; ARGS_NO_BACKING: blockdev-snapshot will give it one
                  */
    bool writable;
    bool no_flush;
};

/* Arguments (a JSON text each) for a layer's two block nodes, used at the start and, through QMP,
 * at a capture: "f<number>" (args_file_name) on /dev/fdset/`set`, and the format node "l<number>"
 * over it. */
void args_file_node(struct argv *a, int number, int set, bool writable, bool no_flush);
void args_layer_node(struct argv *a, const struct args_layer *layer);

/* The name of the file's node tells whether flushes are passed on. */
void args_file_name(int number, bool no_flush, char ret[ARGS_WORD_SIZE]);

/* By which word the monitor knows the descriptor that can write layer `number`. */
void args_write_word(int number, char ret[ARGS_WORD_SIZE]);
