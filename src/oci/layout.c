/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/layout.h"

#include <errno.h>
#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "oci/tar.h"
#include "wire/field.h"

#define INDEX_DEPTH_MAX 3 /* indexes in indexes */
#define PIECE_BYTES ((size_t)256 * 1024)

static int invalid(struct err *e, const char *what)
{
    return err_set(e, ERR_INVALID, "this is no image of a container: %s", what);
}

/* --- the archive itself --- */

struct member {
    char *name;
    uint64_t offset, size;
};

struct archive {
    int fd;
    uint64_t size, at;
    struct member *members;
    size_t n_members;
};

static void archive_done(struct archive *a)
{
    for (size_t i = 0; i < a->n_members; i++)
        free(a->members[i].name);
    free(a->members);
}

static ssize_t archive_read(void *arg, void *buf, size_t len, struct err *e)
{
    struct archive *a = arg;
    size_t done = 0;
    while (done < len && a->at < a->size) {
        ssize_t n = pread(a->fd, (char *)buf + done, len - done, (off_t)a->at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(e, -errno, "read the archive");
        if (n == 0)
            break;
        done += (size_t)n;
        a->at += (uint64_t)n;
    }
    return (ssize_t)done;
}

static int add_member(struct archive *a, const struct tar_entry *en, uint64_t at, struct err *e)
{
    if (en->type != TAR_FILE)
        return 0;
    if (at + en->size > a->size)
        return invalid(e, "the archive is cut off");
    if (a->n_members == OCI_MEMBERS_MAX)
        return invalid(e, "too many files in the archive");
    if (!a->members)
        a->members = calloc(OCI_MEMBERS_MAX, sizeof(struct member));
    char *name = a->members ? strdup(en->name) : NULL;
    if (!name)
        return err_errno(e, -ENOMEM, "read the archive");
    a->members[a->n_members++] = (struct member){.name = name, .offset = at, .size = en->size};
    return 0;
}

static int archive_index(struct archive *a, struct err *e)
{
    struct tar tar = {.read = archive_read, .arg = a};
    struct tar_entry en = {0};
    int r;
    while ((r = tar_next(&tar, &en, e)) > 0) {
        r = add_member(a, &en, a->at, e);
        if (r < 0)
            break;
        /* Over the content, which may be large. */
        a->at += tar.left + tar.padding;
        tar.left = tar.padding = 0;
    }
    tar_entry_done(&en);
    return r;
}

static int refuse_compressed(const struct archive *a, struct err *e)
{
    unsigned char b[6] = "";
    if (pread(a->fd, b, sizeof(b), 0) < 4)
        return invalid(e, "it is empty");
    if ((b[0] == 0x1f && b[1] == 0x8b) || memcmp(b, "\x28\xb5\x2f\xfd", 4) == 0 ||
        memcmp(b,
               "\xfd"
               "7zXZ",
               5) == 0)
        return invalid(e, "the archive is compressed: unpack it to the tar that is in it first "
                          "(gunzip, zstd -d, unxz)");
    return 0;
}

static const struct member *find(const struct archive *a, const char *name)
{
    for (size_t i = a->n_members; i > 0; i--) { /* the last one of a name counts */
        if (strcmp(a->members[i - 1].name, name) == 0)
            return &a->members[i - 1];
    }
    return NULL;
}

/* --- JSON --- */

static int load(const struct archive *a, const struct member *m, const uint8_t *digest,
                json_t **ret, struct err *e)
{
    uint8_t hash[SOURCE_DIGEST_BYTES];
    struct archive part = {.fd = a->fd, .at = m->offset, .size = m->offset + m->size};
    if (m->size > OCI_JSON_MAX_BYTES)
        return invalid(e, "its index or manifest is too large");
    auto_free char *text = malloc((size_t)m->size + 1);
    if (!text)
        return err_errno(e, -ENOMEM, "read the archive");
    ssize_t n = archive_read(&part, text, (size_t)m->size, e);
    if (n < 0)
        return (int)n;
    crypto_hash_sha256(hash, (const unsigned char *)text, (unsigned long long)n);
    if (digest && memcmp(hash, digest, sizeof(hash)) != 0)
        return invalid(e, "a blob is not what its digest says");
    *ret = json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, NULL);
    return *ret ? 0 : invalid(e, "its index or manifest is no JSON");
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

static bool parse_digest(const char *text, uint8_t ret[SOURCE_DIGEST_BYTES])
{
    size_t n = 0;
    const char *end = NULL;
    if (strncmp(text, "sha256:", 7) != 0 || strlen(text) != 7 + 64 ||
        strspn(text + 7, "0123456789abcdef") != 64)
        return false;
    return sodium_hex2bin(ret, SOURCE_DIGEST_BYTES, text + 7, 64, NULL, &n, &end) == 0 && n == 32;
}

/* The blob of a descriptor. */
static int find_blob(const struct archive *a, const json_t *descriptor, const struct member **ret,
                     uint8_t digest[SOURCE_DIGEST_BYTES], struct err *e)
{
    char name[96];
    const char *text = text_of(descriptor, "digest");
    if (!parse_digest(text, digest))
        return invalid(e, "a digest that is no sha256");
    snprintf(name, sizeof(name), "blobs/sha256/%s", text + 7);
    *ret = find(a, name);
    if (!*ret)
        return err_set(e, ERR_INVALID,
                       "this is no whole image of a container: blob %.20s... is not in it", text);
    const json_t *size = json_object_get(descriptor, "size");
    if (size && (uint64_t)json_integer_value(size) != (*ret)->size)
        return invalid(e, "a blob has another size than its descriptor says");
    return 0;
}

static int load_blob(const struct archive *a, const json_t *descriptor, json_t **ret, struct err *e)
{
    uint8_t digest[SOURCE_DIGEST_BYTES];
    const struct member *m;
    int r = find_blob(a, descriptor, &m, digest, e);
    return r < 0 ? r : load(a, m, digest, ret, e);
}

/* --- configuration --- */

/* A variable that could be read as two, or as none, is left out. */
static void take_env(struct oci_image *image, const json_t *env)
{
    for (size_t i = 0; i < json_array_size(env); i++) {
        const json_t *v = json_array_get(env, i);
        const char *text = json_string_value(v);
        size_t name = text ? strcspn(text, "=") : 0;
        if (!text || name == 0 || text[name] != '=' || strlen(text) != json_string_length(v) ||
            strpbrk(text, "\n\r"))
            continue;
        (void)buf_printf(&image->env, "%s\n", text);
    }
}

static int take_config(struct oci_image *image, const json_t *config, struct err *e)
{
    static const char *const keys[] = {"User",       "WorkingDir", "Entrypoint", "Cmd",
                                       "StopSignal", "Env",        "Labels"};
    const json_t *c = json_object_get(config, "config");
    const char *os = text_of(config, "os"), *arch = text_of(config, "architecture");
    if ((*os && strcmp(os, "linux") != 0) || (*arch && strcmp(arch, "amd64") != 0))
        return err_set(e, ERR_INVALID, "this image is for %.20s/%.20s, not for linux/amd64", os,
                       arch);
    image->env.max_bytes = image->config.max_bytes = OCI_JSON_MAX_BYTES;
    take_env(image, json_object_get(c, "Env"));
    auto_json json_t *kept = json_object();
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        json_t *v = json_object_get(c, keys[i]);
        if (v)
            json_object_set(kept, keys[i], v);
    }
    auto_free char *text = json_dumps(kept, JSON_INDENT(2) | JSON_SORT_KEYS);
    if (!text || buf_printf(&image->config, "%s\n", text) < 0 || image->env.failed)
        return err_errno(e, -ENOMEM, "read an image's configuration");
    return 0;
}

static int take_diff_ids(struct oci_image *image, const json_t *config, struct err *e)
{
    const json_t *ids = json_object_get(json_object_get(config, "rootfs"), "diff_ids");
    if (json_array_size(ids) != image->n_layers)
        return invalid(e, "its configuration names other layers");
    for (size_t i = 0; i < image->n_layers; i++) {
        const char *id = json_string_value(json_array_get(ids, i));
        image->layers[i].has_diff_id = true;
        if (!id || !parse_digest(id, image->layers[i].diff_id))
            return invalid(e, "a diff_id that is no sha256");
    }
    return 0;
}

/* --- OCI --- */

static int take_manifest(const struct archive *a, const json_t *manifest, struct oci_image *image,
                         struct err *e)
{
    auto_json json_t *config = NULL;
    const json_t *layers = json_object_get(manifest, "layers");
    if (!json_is_array(layers) || json_array_size(layers) > OCI_LAYERS_MAX)
        return invalid(e, "its manifest has no layers, or too many");
    for (size_t i = 0; i < json_array_size(layers); i++) {
        const json_t *d = json_array_get(layers, i);
        struct oci_layer *l = &image->layers[image->n_layers++];
        const struct member *m;
        if (strstr(text_of(d, "mediaType"), "encrypted"))
            return invalid(e, "a layer is encrypted");
        int r = find_blob(a, d, &m, l->digest, e);
        if (r < 0)
            return r;
        l->has_digest = true;
        l->offset = m->offset;
        l->size = m->size;
    }
    int r = load_blob(a, json_object_get(manifest, "config"), &config, e);
    return r < 0 ? r : take_config(image, config, e);
}

/* The manifest for this platform: one that names it before one that names none. */
static const json_t *choose(const json_t *manifests)
{
    const json_t *any = NULL;
    for (size_t i = 0; i < json_array_size(manifests); i++) {
        const json_t *d = json_array_get(manifests, i);
        const json_t *p = json_object_get(d, "platform");
        if (!p && !any)
            any = d;
        if (p && strcmp(text_of(p, "os"), "linux") == 0 &&
            strcmp(text_of(p, "architecture"), "amd64") == 0)
            return d;
    }
    return any;
}

static int take_index(const struct archive *a, const json_t *index, int depth,
                      struct oci_image *image, struct err *e)
{
    auto_json json_t *next = NULL;
    const json_t *d = choose(json_object_get(index, "manifests"));
    if (!d)
        return invalid(e, "its index names no image for linux/amd64");
    int r = load_blob(a, d, &next, e);
    if (r < 0)
        return r;
    if (!json_object_get(next, "manifests"))
        return take_manifest(a, next, image, e);
    if (depth == INDEX_DEPTH_MAX)
        return invalid(e, "indexes in indexes in indexes");
    return take_index(a, next, depth + 1, image, e);
}

/* --- docker save --- */

static int load_named(const struct archive *a, const char *name, json_t **ret, struct err *e)
{
    const struct member *m = find(a, name);
    if (!m)
        return err_set(e, ERR_INVALID,
                       "this is no whole image of a container: \"%.100s\" is not in it", name);
    return load(a, m, NULL, ret, e);
}

static int take_docker(const struct archive *a, const json_t *list, struct oci_image *image,
                       struct err *e)
{
    auto_json json_t *config = NULL;
    const json_t *it = json_array_get(list, 0);
    const json_t *layers = json_object_get(it, "Layers");
    if (json_array_size(list) != 1)
        return invalid(e, "there are several images in it, or none: save one");
    if (!json_is_array(layers) || json_array_size(layers) > OCI_LAYERS_MAX)
        return invalid(e, "its manifest has no layers, or too many");
    for (size_t i = 0; i < json_array_size(layers); i++) {
        const char *name = json_string_value(json_array_get(layers, i));
        const struct member *m = name ? find(a, name) : NULL;
        if (!m)
            return err_set(e, ERR_INVALID,
                           "this is no whole image of a container: layer \"%.100s\" is not in it",
                           name ? name : "");
        image->layers[image->n_layers++] = (struct oci_layer){.offset = m->offset, .size = m->size};
    }
    int r = load_named(a, text_of(it, "Config"), &config, e);
    if (r == 0)
        r = take_config(image, config, e);
    return r < 0 ? r : take_diff_ids(image, config, e);
}

static int take_archive(const struct archive *a, struct oci_image *image, struct err *e)
{
    auto_json json_t *o = NULL;
    bool is_oci = find(a, "oci-layout") && find(a, "index.json");
    if (!is_oci && !find(a, "manifest.json"))
        return invalid(e, "it has neither oci-layout and index.json, nor manifest.json");
    int r = load_named(a, is_oci ? "index.json" : "manifest.json", &o, e);
    if (r < 0)
        return r;
    return is_oci ? take_index(a, o, 0, image, e) : take_docker(a, o, image, e);
}

int oci_open(int fd, struct oci_image *ret, struct err *e)
{
    CLEANUP(archive_done) struct archive a = {.fd = fd};
    struct stat st;
    if (sodium_init() < 0 || fstat(fd, &st) < 0)
        return err_errno(e, -EIO, "open the archive");
    a.size = (uint64_t)st.st_size;
    *ret = (struct oci_image){.fd = fd};
    int r = refuse_compressed(&a, e);
    if (r == 0)
        r = archive_index(&a, e);
    if (r == 0)
        r = take_archive(&a, ret, e);
    if (r < 0)
        oci_close(ret);
    return r;
}

void oci_close(struct oci_image *image)
{
    buf_done(&image->env);
    buf_done(&image->config);
    image->n_layers = 0;
}

/* --- layers --- */

static ssize_t layer_read(void *arg, void *buf, size_t len, struct err *e)
{
    return source_read(arg, buf, len, e);
}

struct pass {
    const struct oci_image *image;
    const struct oci_meter *meter;
    struct tree *tree; /* to be made; or what there is */
    const struct oci_sink *sink;
    char *piece;
    uint64_t done, total;
};

static void tell(const struct pass *p, const struct source *s)
{
    if (p->meter && p->meter->moved)
        p->meter->moved(p->meter->arg, p->done + source_at(s), p->total);
}

static int give_content(struct pass *p, struct tar *tar, struct tree_inode *i, struct err *e)
{
    const struct oci_sink *k = p->sink;
    ssize_t n;
    int r = k->begin(k->arg, i, e);
    while (r == 0 && (n = tar_read(tar, p->piece, PIECE_BYTES, e)) != 0)
        r = n < 0 ? (int)n : k->data(k->arg, p->piece, (size_t)n, e);
    return r < 0 ? r : k->end(k->arg, e);
}

static int one_entry(struct pass *p, size_t layer, size_t n, struct tar *tar,
                     const struct tar_entry *en, struct err *e)
{
    if (!p->sink)
        return tree_apply(p->tree, en, e);
    const struct layer_inodes *l = &p->tree->layers[layer];
    return n < l->n && l->inodes[n] ? give_content(p, tar, l->inodes[n], e) : 0;
}

static int one_layer(struct pass *p, size_t layer, struct err *e)
{
    const struct oci_layer *l = &p->image->layers[layer];
    const struct source_part part = {.fd = p->image->fd,
                                     .offset = l->offset,
                                     .size = l->size,
                                     .digest = l->has_digest ? l->digest : NULL,
                                     .diff_id = l->has_diff_id ? l->diff_id : NULL};
    struct source *s = NULL;
    struct tar_entry en = {0};
    int r = source_new(&part, &s, e);
    if (r < 0)
        return r;
    struct tar tar = {.read = layer_read, .arg = s};
    if (!p->sink)
        r = tree_layer(p->tree, e);
    for (size_t n = 0; r >= 0 && (r = tar_next(&tar, &en, e)) > 0; n++) {
        r = one_entry(p, layer, n, &tar, &en, e);
        tell(p, s);
    }
    if (r == 0)
        r = source_finish(s, e);
    tar_entry_done(&en);
    source_free(s);
    p->done += l->size;
    return r;
}

static int all_layers(struct pass *p, struct err *e)
{
    int r = 0;
    for (size_t i = 0; i < p->image->n_layers; i++)
        p->total += p->image->layers[i].size;
    for (size_t i = 0; i < p->image->n_layers && r == 0; i++) {
        r = one_layer(p, i, e);
        if (r < 0 && r != -ENOSPC && !(e && e->class == ERR_FULL))
            return err_wrap(e, r, "layer %zu of %zu", i + 1, p->image->n_layers);
    }
    return r;
}

int oci_read_tree(const struct oci_image *image, const struct oci_meter *meter, struct tree *t,
                  struct err *e)
{
    struct pass p = {.image = image, .meter = meter, .tree = t};
    return all_layers(&p, e);
}

int oci_read_content(const struct oci_image *image, const struct oci_meter *meter,
                     const struct tree *t, const struct oci_sink *sink, struct err *e)
{
    auto_free char *piece = malloc(PIECE_BYTES);
    if (!piece)
        return err_errno(e, -ENOMEM, "read layers");
    struct pass p = {
        .image = image, .meter = meter, .tree = (struct tree *)t, .sink = sink, .piece = piece};
    return all_layers(&p, e);
}
