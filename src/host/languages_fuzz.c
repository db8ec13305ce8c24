/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/limits.h"
#include "host/languages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the rest of the host relies on. */
static void check(const struct languages *t, const struct language *l)
{
    const struct language_image *image = languages_find_image(t, l->image);
    size_t len = strlen(l->expect);
    assert(image && image->is_default == l->is_default);
    assert(image->size_mib >= IMAGE_SIZE_MIN_MIB && image->size_mib <= IMAGE_SIZE_MAX_MIB);
    assert(languages_find(t, l->name) == l);
    assert(l->title[0] && l->aliases && l->env && l->run[0] && l->version[0] && l->hello[0]);
    assert(len && l->expect[len - 1] == '\n');
    assert(l->file[0] && !strchr(l->file, '/') && l->extension[0] == '.');
    assert(l->compile || strstr(l->run, "{file}"));
    assert(l->memory_mib >= VM_MEMORY_MIN_MIB && l->memory_mib <= VM_MEMORY_MAX_MIB);
    assert(!l->warm || (l->warm->run[0] && l->warm->env && l->warm->cold_env));
    assert(!l->toolchain || l->toolchain[0]);
}

/* Whatever is accepted can be used; whatever is not is told. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct languages *t = NULL;
    struct err e = ERR_INIT;
    const struct language *l;
    if (size > LANGUAGES_FILE_MAX_BYTES)
        return 0;
    if (languages_parse((const char *)data, size, &t, &e) < 0) {
        assert(!t && e.class == ERR_INVALID && e.text[0]);
        return 0;
    }
    for (size_t i = 0; (l = languages_get(t, i)); i++)
        check(t, l);
    assert(languages_get(t, 0) && !languages_get(t, LANGUAGES_MAX));
    languages_free(t);
    return 0;
}
