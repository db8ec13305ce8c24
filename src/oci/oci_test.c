/* SPDX-License-Identifier: Apache-2.0 */

/* Images of containers, made here byte by byte: what becomes of layers on layers, and what is
 * refused. */

#include "base/test.h"

#include <sys/mman.h>
#include <unistd.h>

#include "oci/test_archive.h"
#include "oci/unpack.h"
#include "wire/ustar.h"

static const char config_text[] =
    "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"Env\":[\"PATH=/bin\",\"A=b c\","
    "\"BAD\\nLINE=x\",\"NONE\"],\"User\":\"1000\",\"WorkingDir\":\"/srv\",\"Cmd\":[\"sh\"]}}";

#define ARCHIVE(form, ...) ARCHIVE_WITH(config_text, form, __VA_ARGS__)

static int as_file(const struct buf *b)
{
    int fd = memfd_create("archive", MFD_CLOEXEC);
    assert_int_equal(b->len, write(fd, b->data, b->len));
    return fd;
}

static struct oci_image image;

/* Takes the archive. */
static int open_and_apply(struct buf archive, struct tree *t, struct err *e)
{
    int fd = as_file(&archive);
    buf_done(&archive);
    assert_int_equal(0, tree_init(t, e));
    int r = oci_open(fd, &image, e);
    if (r == 0)
        r = unpack_tree(&image, NULL, t, e);
    if (r < 0)
        close(fd);
    return r;
}

static void apply(struct buf archive, struct tree *t)
{
    struct err e = ERR_INIT;
    if (open_and_apply(archive, t, &e) < 0)
        fail_msg("%s", e.text);
}

static void done(struct tree *t)
{
    tree_done(t);
    close(image.fd);
    oci_close(&image);
}

static void refused(struct buf archive, const char *text)
{
    struct err e = ERR_INIT;
    struct tree t;
    int r = open_and_apply(archive, &t, &e);
    if (r >= 0 || !strstr(e.text, text))
        fail_msg("expected \"%s\", got %d \"%s\"", text, r, e.text);
    assert_true(e.class == ERR_INVALID || e.class == ERR_TOO_LARGE);
    tree_done(&t);
    oci_close(&image);
}

/* --- content --- */

struct collected {
    const char *path;
    struct tree *t;
    bool on;
    struct buf text;
};

static int begin(void *arg, struct tree_inode *i, struct err *e)
{
    struct collected *c = arg;
    const struct tree_node *n = tree_find(c->t, c->path);
    c->on = n && n->inode == i;
    return 0;
}

static int data(void *arg, const void *p, size_t len, struct err *e)
{
    struct collected *c = arg;
    return c->on ? buf_append(&c->text, p, len) : 0;
}

static int end(void *arg, struct err *e)
{
    return 0;
}

/* The file's content is this. */
static void has(struct tree *t, const char *path, const char *text)
{
    struct err e = ERR_INIT;
    struct collected c = {.path = path, .t = t};
    const struct oci_sink sink = {.begin = begin, .data = data, .end = end, .arg = &c};
    const struct tree_node *n = tree_find(t, path);
    if (!n)
        fail_msg("%s is not there", path);
    if (n->inode->data)
        buf_append_str(&c.text, n->inode->data);
    else if (oci_read_content(&image, NULL, t, &sink, &e) < 0)
        fail_msg("%s", e.text);
    assert_string_equal(buf_str(&c.text), text);
    buf_done(&c.text);
}

static void has_not(struct tree *t, const char *path)
{
    if (tree_find(t, path))
        fail_msg("%s is there", path);
}

/* --- tests --- */

static void test_one_layer(void **state)
{
    for (enum test_form form = PLAIN; form <= ZSTD; form++) {
        struct tree t;
        apply(ARCHIVE(form, LAYER({"./", '5', .mode = 0711}, {"./bin/", '5'},
                                  {"bin/sh", '0', "program", 04755, 7}, {"etc/x/y", '0', "deep"},
                                  {"lib", '2', "usr/lib"}, {"bin/ash", '1', "bin/sh"},
                                  {"dev/null", '3'}, {"fifo", '6'})),
              &t);
        const struct tree_node *sh = tree_find(&t, "bin/sh");
        assert_int_equal(t.root->inode->mode, 0711);
        assert_int_equal(sh->inode->mode, 04755);
        assert_int_equal(sh->inode->uid, 7);
        assert_int_equal(sh->inode->mtime_s, 1000);
        assert_ptr_equal(sh->inode, tree_find(&t, "bin/ash")->inode);
        assert_int_equal(sh->inode->names, 2);
        assert_int_equal(tree_find(&t, "etc/x")->inode->mode, 0755);
        assert_int_equal(tree_find(&t, "dev/null")->inode->major, 1);
        assert_int_equal(tree_find(&t, "dev/null")->inode->minor, 3);
        has(&t, "bin/ash", "program");
        has(&t, "etc/x/y", "deep");
        has(&t, "etc/environment", "PATH=/bin\nA=b c\n");
        assert_non_null(strstr(buf_str(&image.config), "\"WorkingDir\": \"/srv\""));
        assert_int_equal(tree_find(&t, "tmp")->inode->mode, 01777);
        has(&t, "etc/resolv.conf", "nameserver 172.16.0.1\n");
        done(&t);
    }
}

static void test_whiteouts(void **state)
{
    struct tree t;
    apply(ARCHIVE(GZIP,
                  LAYER({"a/one", '0', "1"}, {"a/two", '0', "2"}, {"b/x/y", '0', "3"},
                        {"b/z", '0', "4"}, {"c", '0', "5"}, {"d/e", '0', "6"}),
                  LAYER({"a/.wh.one", '0'}, {"b/x/new", '0', "7"}, {"b/.wh..wh..opq", '0'},
                        {"b/w", '0', "8"}, {".wh.c", '0'}, {"c", '0', "9"}, {"none/.wh.f", '0'},
                        {".wh..wh.plnk", '0'}, {"d", '0', "file now"}, {".wh.", '0'})),
          &t);
    has_not(&t, "a/one");
    has(&t, "a/two", "2");
    has_not(&t, "b/x/y"); /* below an opaque directory, beside something new */
    has_not(&t, "b/z");
    has(&t, "b/x/new", "7");
    has(&t, "b/w", "8");
    has(&t, "c", "9"); /* a whiteout does not hide what its own layer brings */
    has(&t, "d", "file now");
    has_not(&t, "none");
    done(&t);
}

static void test_layers_on_layers(void **state)
{
    struct tree t;
    apply(ARCHIVE(PLAIN,
                  LAYER({"usr/lib/a", '0', "old"}, {"lib", '2', "usr/lib"},
                        {"up", '2', "../../usr"}, {"abs", '2', "/usr/lib"},
                        {"dir", '5', .mode = 0700}, {"dir/f", '0', "f"}, {"hard", '1', "dir/f"}),
                  LAYER({"lib/b", '0', "through a link"}, {"up/lib/c", '0', "clamped"},
                        {"abs/d", '0', "absolute"}, {"dir", '5', .mode = 0750},
                        {"usr/lib/a", '0', "new"}, {"hard", '0', "its own now"},
                        {"again", '1', "abs/a"})),
          &t);
    has(&t, "usr/lib/b", "through a link");
    has(&t, "usr/lib/c", "clamped");
    has(&t, "usr/lib/d", "absolute");
    has(&t, "usr/lib/a", "new");
    has(&t, "again", "new");
    assert_int_equal(tree_find(&t, "dir")->inode->mode, 0750);
    has(&t, "dir/f", "f");
    has(&t, "hard", "its own now");
    assert_int_equal(tree_find(&t, "dir/f")->inode->names, 1);
    done(&t);
}

static void test_long_names_and_attributes(void **state)
{
    struct tree t;
    auto_buf struct buf records = {0};
    static char name[700], gnu[700];
    for (int i = 0; i < 3; i++)
        snprintf(name + strlen(name), 202, "/%0200d", i);
    snprintf(gnu, sizeof(gnu), "gnu%.402s", name);
    test_pax(&records, "path", name);
    test_pax(&records, "SCHILY.xattr.user.colour", "a=blue");
    test_pax(&records, "mtime", "7.5");
    apply(ARCHIVE(PLAIN, LAYER({"x", 'x', records.data}, {"short", '0', "long"}, {"x", 'L', gnu},
                               {"short", '0', "gnu"}, {"g", 'g', "9 a=bcde\n"}, {"old/", '0'},
                               {"plain", '0', "p"})),
          &t);
    has(&t, name + 1, "long");
    const struct tree_inode *i = tree_find(&t, name + 1)->inode;
    assert_int_equal(i->mtime_s, 7);
    assert_string_equal(i->xattrs, "user.colour");
    assert_memory_equal(i->xattrs + 12 + 4, "a=blue", 6);
    assert_null(tree_find(&t, "plain")->inode->xattrs);
    assert_int_equal(tree_find(&t, "old")->inode->type, TAR_DIR);
    has(&t, gnu, "gnu");
    has_not(&t, "short");
    done(&t);
}

static void test_hostile_layers(void **state)
{
#define REFUSED(text, ...) refused(ARCHIVE(PLAIN, LAYER(__VA_ARGS__)), text)
    REFUSED("\"..\"", {"../x", '0', "x"});
    REFUSED("\"..\"", {"a/../../x", '0', "x"});
    REFUSED("\"..\"", {"a", '1', "../../etc/passwd"});
    REFUSED("not there", {"a", '1', "none"});
    REFUSED("to a directory", {"d", '5'}, {"a", '1', "d"});
    REFUSED("leads nowhere", {"a", '2', ""});
    REFUSED("too many symbolic links", {"a", '2', "b"}, {"b", '2', "a"}, {"a/x", '0', "x"});
    REFUSED("no directory", {"f", '0', "x"}, {"f/x", '0', "x"});
    REFUSED("is no directory", {"/", '2', "x"});
    REFUSED("content", {"d/", '0', "x"});
    REFUSED("sparse", {"s", 'S'});
    REFUSED("unknown kind", {"s", 'D'});
    REFUSED("sparse", {"x", 'x', "22 GNU.sparse.major=1\n"}, {"s", '0'});
    REFUSED("pax header that is none", {"x", 'x', "99 path=a\n"}, {"s", '0'});
    REFUSED("that is none", {"x", 'x', "12 size=-10\n"}, {"s", '0'});
    REFUSED("empty name", {"", '0', "x"});
#undef REFUSED
    /* Absolute names are names in the image: there is no other place. */
    struct tree t;
    apply(ARCHIVE(PLAIN, LAYER({"/etc/motd", '0', "inside"})), &t);
    has(&t, "etc/motd", "inside");
    done(&t);
}

static void put_deep(struct buf *layer, const char *name)
{
    auto_buf struct buf records = {0};
    test_pax(&records, "path", name);
    test_put(layer, &(struct test_put){"x", 'x', records.data});
    test_put(layer, &(struct test_put){"f", '0', "x"});
}

/* Names are bounded, so it takes a link in the depth to get deeper. */
static void test_depth(void **state)
{
    struct buf layer = {0};
    auto_buf struct buf way = {0}, name = {0}, records = {0};
    for (int i = 0; i < 400; i++)
        buf_append_str(&way, i ? "/d" : "d");
    buf_printf(&name, "%s/f", buf_str(&way));
    put_deep(&layer, buf_str(&name));
    test_pax(&records, "linkpath", buf_str(&way));
    test_put(&layer, &(struct test_put){"x", 'x', records.data});
    test_put(&layer, &(struct test_put){"deep", '2', "d"});
    buf_clear(&name);
    buf_append_str(&name, "deep");
    for (int i = 0; i < 200; i++)
        buf_append_str(&name, "/e");
    put_deep(&layer, buf_str(&name));
    ustar_put_zeros(&layer, 1024);
    refused(ARCHIVE(PLAIN, layer), "too deep");
}

enum { MANY = 50000 };

static struct buf many_names(const char *form)
{
    struct buf layer = {0};
    for (int i = 0; i < MANY; i++) {
        char name[32];
        snprintf(name, sizeof(name), form, i);
        test_put(&layer, &(struct test_put){name, '0'});
    }
    ustar_put_zeros(&layer, 1024);
    return layer;
}

/* A layer may replace and remove as often as it has entries: each time takes no longer however many
 * names a directory has. */
static void test_many_names(void **state)
{
    struct tree t;
    struct tree_size size;
    apply(ARCHIVE(GZIP, many_names("d/%d"), many_names("d/%d"),
                  LAYER({"d/7", '5'}, {"d/7/x", '0', "x"}), LAYER({"d/7", '2', "8"})),
          &t);
    tree_measure(&t, &size);
    assert_in_range(size.inodes, MANY, MANY + 30);
    has_not(&t, "d/7/x");
    done(&t);
    apply(ARCHIVE(GZIP, many_names("d/%d"), many_names("d/.wh.%d")), &t);
    tree_measure(&t, &size);
    assert_in_range(size.inodes, 1, 30);
    assert_non_null(tree_find(&t, "d"));
    done(&t);
}

static struct buf with_whiteouts(const char *name)
{
    struct buf layer = many_names("d/%d");
    layer.len -= 1024;
    for (int i = 0; i < MANY; i++)
        test_put(&layer, &(struct test_put){name, '0'});
    ustar_put_zeros(&layer, 1024);
    return layer;
}

static void test_many_whiteouts_of_one(void **state)
{
    static const char *const names[] = {"d/.wh..wh..opq", ".wh.d"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct tree t;
        struct tree_size size;
        apply(ARCHIVE(GZIP, LAYER({"d/old", '0', "x"}), with_whiteouts(names[i])), &t);
        tree_measure(&t, &size);
        assert_in_range(size.inodes, MANY, MANY + 30);
        has_not(&t, "d/old");
        done(&t);
    }
}

static struct buf damaged(size_t at, char c)
{
    struct buf b = ARCHIVE(GZIP, LAYER({"a", '0', "content"}));
    b.data[at] = c;
    return b;
}

static void test_archives_that_are_none(void **state)
{
    struct buf b = {0};
    buf_append_str(&b, "x");
    refused(b, "it is empty");
    b = (struct buf){0};
    buf_append(&b, "\x1f\x8b\x08\0abc", 7);
    refused(b, "compressed");
    refused(LAYER({"readme", '0', "x"}), "neither oci-layout");
    refused(LAYER({"oci-layout", '0', "{}"}, {"index.json", '0', "[1"}), "no JSON");
    refused(LAYER({"oci-layout", '0', "{}"}, {"index.json", '0', "{}"}), "linux/amd64");
    refused(LAYER({"oci-layout", '0', "{}"},
                  {"index.json", '0', "{\"manifests\":[{\"digest\":\"md5:1\"}]}"}),
            "no sha256");
    refused(LAYER({"oci-layout", '0', "{}"},
                  {"index.json", '0',
                   "{\"manifests\":[{\"digest\":\"sha256:"
                   "0000000000000000000000000000000000000000000000000000000000000000\"}]}"}),
            "is not in it");
    /* The layer is the first blob: its bytes begin behind the first header. */
    refused(damaged(512 + 9, '\xff'), "layer 1 of 1");
    refused(damaged(100, 'x'), "checksum");
    struct buf layer = LAYER({"a", '0', "x"});
    refused(test_archive(&layer, 1, PLAIN, "{\"architecture\":\"arm64\",\"os\":\"linux\"}"),
            "arm64");
    b = ARCHIVE(PLAIN, LAYER({"a", '0', "x"}));
    b.len = 512 + 600;
    refused(b, "cut off");
}

static void test_docker_archives(void **state)
{
    struct buf layer = LAYER({"hello", '0', "world"}), b = {0}, config = {0};
    char id[80];
    struct tree t;
    test_digest(layer.data, layer.len, id);
    buf_printf(
        &config,
        "{\"os\":\"linux\",\"config\":{\"Env\":[\"X=1\"]},\"rootfs\":{\"diff_ids\":[\"%s\"]}}", id);
    for (int wrong = 0; wrong < 2; wrong++) {
        static const char manifest[] = "[{\"Config\":\"c.json\",\"Layers\":[\"1/layer.tar\"]}]";
        b = (struct buf){0};
        layer.data[600] ^= wrong;
        test_put_bytes(&b, "1/layer.tar", layer.data, layer.len);
        test_put_bytes(&b, "c.json", config.data, config.len);
        test_put_bytes(&b, "manifest.json", manifest, sizeof(manifest) - 1);
        ustar_put_zeros(&b, 1024);
        if (wrong) {
            refused(b, "diff_id");
            break;
        }
        apply(b, &t);
        has(&t, "hello", "world");
        has(&t, "etc/environment", "X=1\n");
        done(&t);
    }
    buf_done(&layer);
    buf_done(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_layer),
        cmocka_unit_test(test_whiteouts),
        cmocka_unit_test(test_layers_on_layers),
        cmocka_unit_test(test_long_names_and_attributes),
        cmocka_unit_test(test_hostile_layers),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_many_names),
        cmocka_unit_test(test_many_whiteouts_of_one),
        cmocka_unit_test(test_archives_that_are_none),
        cmocka_unit_test(test_docker_archives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
