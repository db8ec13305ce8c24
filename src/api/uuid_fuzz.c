/* SPDX-License-Identifier: Apache-2.0 */

/* What is accepted as the rendering of an id renders to the same text again. */

#include <assert.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "api/uuid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[64] = "", id[ID_SIZE], uuid[UUID_SIZE];
    memcpy(text, data, size < sizeof(text) - 1 ? size : sizeof(text) - 1);
    if (uuid_to_id(text, id)) {
        assert(id_valid(id));
        uuid_from_id(id, uuid);
        assert(strcasecmp(uuid, text) == 0);
    }
    uuid_from_id(text, uuid);
    assert(!*uuid == !id_valid(text));
    return 0;
}
