/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* template.json: what a template directory holds and what may restore it. It is written last, so a
 * directory without one is not a template. */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/engine.h"
#include "engine/qemu/layers.h"
#include "engine/qemu/sums.h"

#define MANIFEST_FILE "template.json"
#define MANIFEST_STATE "state" /* QEMU's device state; the files of memory: see pages.h */
#define MANIFEST_FORMAT 2
#define MANIFEST_FINGERPRINT_SIZE 256
#define MANIFEST_FILES_MAX (ENGINE_LAYERS_MAX + 5)

struct manifest_file {
    char name[LAYERS_NAME_SIZE];
    uint64_t bytes;
    int64_t
        changed_ns; /* of the image, layer 0, alone: as long as it is the same, so is the file */
    struct sum sum; /* hex "" when there is none: a transient template */
};

struct manifest {
    struct machine_shape shape;
    char fingerprint[MANIFEST_FINGERPRINT_SIZE];
    bool delta;          /* memory is a base and a delta */
    struct layers chain; /* the disk */
    struct manifest_file files[MANIFEST_FILES_MAX];
    int n_files;
};

/* Parses and checks the text; ERR_CONFLICT with a reason when it is damaged or of another format.
 * Exported for the fuzzer. */
int manifest_parse(const char *text, size_t len, struct manifest *ret, struct err *e);

/* Reads a template's manifest and proves that the files beside it are the ones it tells of: sizes
 * of all, contents of those with a sum. `fingerprint` is the engine's own; a template of another is
 * refused. ERR_NOT_FOUND: no template there; ERR_CONFLICT: damaged or foreign, the text says why.
 */
int manifest_load(const char *dir, const char *fingerprint, struct sums *sums, struct manifest *ret,
                  struct err *e);

/* Measures the files in `dir` and writes the manifest: `shape`, `fingerprint`, `delta` and `chain`
 * are the caller's, the rest is filled in. With `sums` (else NULL) the template is durable: what is
 * not known to be on the disk is synced and everything is summed. */
int manifest_store(const char *dir, struct sums *sums, struct manifest *m, struct err *e);
