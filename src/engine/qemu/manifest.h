/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* template.json: what a template directory holds and what may restore it. It is written last, so a
 * directory without one is not a template. */

#include <stdint.h>

#include "base/err.h"
#include "engine/engine.h"

#define MANIFEST_FILE "template.json"
#define MANIFEST_MEMORY "memory" /* the guest's RAM, sparse */
#define MANIFEST_STATE "state"   /* QEMU's device state */
#define MANIFEST_FORMAT 1
#define MANIFEST_FINGERPRINT_SIZE 256

struct manifest {
    struct machine_shape shape;
    char fingerprint[MANIFEST_FINGERPRINT_SIZE];
    int top_layer;
    uint64_t memory_bytes;
    uint64_t state_bytes;
    uint32_t state_crc32;
    uint64_t disk_bytes; /* of the guest's disk, which is the size of layer 0 */
    uint64_t top_bytes;  /* of the file of the top layer */
};

/* Parses and checks the text; ERR_CONFLICT with a reason when it is damaged or of another format.
 * Exported for the fuzzer. */
int manifest_parse(const char *text, size_t len, struct manifest *ret, struct err *e);

/* Reads a template's manifest and proves that the files beside it are the ones it tells of: sizes
 * of all, content of the device state. `fingerprint` is the engine's own; a template of another is
 * refused. ERR_NOT_FOUND: no template there; ERR_CONFLICT: damaged or foreign, the text says why.
 */
int manifest_load(const char *dir, const char *fingerprint, struct manifest *ret, struct err *e);

/* Measures the files in `dir` and writes the manifest: `shape`, `fingerprint` and `top_layer` are
 * the caller's, the rest is filled in. Synced. */
int manifest_store(const char *dir, struct manifest *m, struct err *e);
