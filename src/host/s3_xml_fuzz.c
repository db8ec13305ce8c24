/* SPDX-License-Identifier: Apache-2.0 */

/* What an object store answers. */

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/limits.h"
#include "host/s3_xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int on_element(void *arg, const char *path, const char *text)
{
    int *n = arg;
    assert(*path && strlen(path) < S3_XML_PATH_MAX_BYTES && path[0] != '/');
    assert(strlen(text) <= S3_XML_TEXT_MAX_BYTES);
    return ++*n > S3_XML_ELEMENTS_MAX ? -ECANCELED : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int n = 0;
    struct err e = ERR_INIT;
    int r = s3_xml_read((const char *)data, size, on_element, &n, &e);
    assert(r == 0 ? n > 0 : e.class == ERR_UNAVAILABLE && e.text[0]);
    return 0;
}
