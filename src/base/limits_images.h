/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Bounds of images: uploaded ones, builds, containers' ones, and what is in object stores; for
 * base/limits.h, which everything includes. */

/* Uploaded images */
#define IMAGES_ACCOUNT_MAX 64
#define IMAGE_SHAPES_WAITING_MAX 8 /* of an account, that launches wait for */
#define IMAGE_UPLOAD_MAX_BYTES (64 * GIB)
#define IMAGE_KERNEL_MAX_BYTES (512 * MIB)
#define IMAGE_FREE_MIN_BYTES (512 * MIB)  /* left on the host's disk, or nothing is taken */
#define IMAGE_TABLE_MAX_BYTES (4 * MIB)   /* modules.dep of a kernel */
#define IMAGE_MODULE_MAX_BYTES (16 * MIB) /* one module, unpacked */
#define IMAGE_MODULES_MAX_BYTES (64 * MIB)
#define INITRD_MAX_BYTES (64 * MIB)
#define IMAGE_READ_TIMEOUT_MS 20000      /* one file out of a root file system */
#define IMAGE_READ_ALL_TIMEOUT_MS 120000 /* all that is read of one at a time */
#define IMAGE_READ_MEMORY_MAX_BYTES (512 * MIB)
#define IMAGE_READ_PATH_MAX_BYTES 512

/* Object stores (docs/s3.md) */
#define S3_XML_DEPTH_MAX 8
#define S3_XML_PATH_MAX_BYTES 256
#define S3_XML_TEXT_MAX_BYTES 8192 /* of one element, with what stands around it */
#define S3_XML_ELEMENTS_MAX 20000  /* a list of 1000 objects has about 7000 */
#define S3_ANSWER_MAX_BYTES (4 * MIB)
#define S3_KEY_MAX_BYTES 1024
#define S3_TRIES 7             /* of one request */
#define S3_BACKOFF_MAX_MS 8000 /* between two tries; the first waits s3.retry_ms */
#define S3_CONNECT_TIMEOUT_MS 10000
#define S3_PARTS_MAX 10000 /* of one object, by S3's own rules */
#define S3_LIST_MAX 10000  /* objects below one prefix that are looked at */

/* Images and templates in object stores */
#define REMOTE_PART_BYTES (8 * MIB)      /* compressed, after which a part ends */
#define REMOTE_PART_MAX_BYTES (64 * MIB) /* that is taken from a store */
#define REMOTE_EXTENTS_MAX 262144        /* of one file */
#define REMOTE_MANIFEST_MAX_BYTES (16 * MIB)
#define REMOTE_MANIFEST_LISTS_MAX 400000 /* lists and objects in it: two for each part */
#define REMOTE_LANES 2                   /* parts on their way at the same time */
#define REMOTE_DAMAGED_TRIES 3           /* of a part whose sum is wrong */
#define REMOTE_LIST_TIMEOUT_MS 60000
#define REMOTE_WANT_TRIES 3 /* of an image that a run wants, when it is replaced meanwhile */

/* Builds of images */
#define BUILDS_KEPT 64                     /* that have ended and are remembered */
#define BUILDS_WAITING_MAX 32              /* in line */
#define BUILD_LOG_KEEP_BYTES (256 * KIB)   /* twice that is stored at the most */
#define BUILD_RECORD_MAX_BYTES (16 * KIB)  /* what is kept of one besides its log */
#define BUILD_LINE_MAX_BYTES 1024          /* one line of a builder's progress */
#define BUILD_END_GRACE_MS 15000           /* for a builder that was asked to end */
#define BUILD_TIMEOUT_MS (3 * 3600 * 1000) /* of one program of a build */
#define BUILD_SIZE_MIN_MIB 16              /* of an image's file system */
#define BUILD_SIZE_MAX_MIB 65536
#define BUILD_SOURCE_MAX_BYTES (64 * GIB) /* a container's archive, a directory to build in */

/* Images of containers */
#define OCI_UNPACKED_MAX_BYTES (64 * GIB) /* of one layer, and of one file */
#define OCI_EXTRA_MAX_BYTES (1 * MIB)     /* of one long name, or of a header of attributes */
#define OCI_JSON_MAX_BYTES (4 * MIB)      /* of an index, a manifest, a configuration */
#define OCI_LAYERS_MAX 256
#define OCI_ENTRIES_MAX 2000000         /* of all layers together */
#define OCI_MEMBERS_MAX 4096            /* of the archive itself */
#define OCI_NAMES_MAX_BYTES (256 * MIB) /* names, links and attributes, together */
#define OCI_DEPTH_MAX 512               /* directories below each other */
#define OCI_LINKS_MAX 40                /* symbolic links on the way to one name */
#define OCI_MEMORY_MAX_BYTES (2 * GIB)  /* of the process that unpacks */
