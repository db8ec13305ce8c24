/* SPDX-License-Identifier: Apache-2.0 */

/* The arguments of a Java program, after its machine has started with none. The `java` command
 * makes the array for main from what it was started with, and then calls main by
 * CallStaticVoidMethod of JNI. That call is caught once, and given another array. So main is called
 * by `java` itself, and a stack trace shows what it always shows.
 *
 * JNI's tables of functions are an ABI, so what is used of them can be written down here: nothing
 * of a JDK is needed to build this. Without Java in the process nothing is found and nothing
 * happens. */

#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wait.h"

#define JNI_VERSION_1_6 0x00010006

typedef void *object;            /* jclass, jobject, jmethodID */
typedef struct functions **jenv; /* JNIEnv */

union value {
    uint8_t flag;
    object l;
    uint64_t all;
};

/* struct JNINativeInterface_, by position. */
struct functions {
    void *from_0[6];
    object (*find_class)(jenv, const char *name); /* 6 */
    void *from_7[106];
    object (*get_static_method_id)(jenv, object c, const char *name, const char *type); /* 113 */
    void *from_114[2];
    object (*call_static_object_method)(jenv, object c, object method,
                                        const union value *); /* 116 */
    void *from_117[24];
    void (*call_static_void_method_variadic)(jenv, object c, object method, ...); /* 141 */
    void *from_142;
    void (*call_static_void_method)(jenv, object c, object method, const union value *); /* 143 */
    void *from_144[25];
    const char *(*get_string_utf_chars)(jenv, object s, uint8_t *is_copy); /* 169 */
    void (*release_string_utf_chars)(jenv, object s, const char *);        /* 170 */
    void *from_171;
    object (*new_object_array)(jenv, int32_t n, object c, object first); /* 172 */
    void *from_173;
    void (*set_object_array_element)(jenv, object a, int32_t i, object); /* 174 */
    void *from_175;
    object (*new_byte_array)(jenv, int32_t n); /* 176 */
    void *from_177[31];
    void (*set_byte_array_region)(jenv, object a, int32_t at, int32_t n, const char *); /* 208 */
};

/* struct JNIInvokeInterface_, by position. */
struct machine_functions {
    void *from_0[6];
    int32_t (*get_env)(struct machine_functions **, void **ret, int32_t version); /* 6 */
};

static struct {
    char **args; /* copies */
    unsigned n;
    void (*call)(jenv, object c, object method, ...); /* what was in the table */
} jvm;

/* Calls a static method that takes two values and returns an object. */
static object call(jenv e, const char *class, const char *const method[2], union value a,
                   union value b)
{
    object c = (*e)->find_class(e, class);
    object id = c ? (*e)->get_static_method_id(e, c, method[0], method[1]) : NULL;
    union value values[] = {a, b};
    return id ? (*e)->call_static_object_method(e, c, id, values) : NULL;
}

/* As `java` makes it from its own arguments. */
static object new_string(jenv e, const char *text)
{
    static const char *const make[] = {"makePlatformString", "(Z[B)Ljava/lang/String;"};
    int32_t len = (int32_t)strlen(text);
    object bytes = (*e)->new_byte_array(e, len);
    if (!bytes)
        return NULL;
    (*e)->set_byte_array_region(e, bytes, 0, len, text);
    return call(e, "sun/launcher/LauncherHelper", make, (union value){.flag = 1},
                (union value){.l = bytes});
}

static object new_args(jenv e)
{
    object string = (*e)->find_class(e, "java/lang/String");
    object array = string ? (*e)->new_object_array(e, (int32_t)jvm.n, string, NULL) : NULL;
    for (unsigned i = 0; array && i < jvm.n; i++) {
        object s = new_string(e, jvm.args[i]);
        if (!s)
            return NULL;
        (*e)->set_object_array_element(e, array, (int32_t)i, s);
    }
    return array;
}

/* The machine's own record of how it was started: the class, then the arguments. */
static void set_command(jenv e)
{
    static const char *const get[] = {"getProperty",
                                      "(Ljava/lang/String;Ljava/lang/String;)Ljava/lang/String;"};
    static const char *const set[] = {"setProperty",
                                      "(Ljava/lang/String;Ljava/lang/String;)Ljava/lang/String;"};
    object key = new_string(e, "sun.java.command");
    object old =
        key ? call(e, "java/lang/System", get, (union value){.l = key}, (union value){.l = key})
            : NULL;
    const char *class = old ? (*e)->get_string_utf_chars(e, old, NULL) : NULL;
    if (!class)
        return;
    size_t size = strlen(class) + 1;
    for (unsigned i = 0; i < jvm.n; i++)
        size += strlen(jvm.args[i]) + 1;
    char *command = malloc(size);
    if (command) {
        char *p = stpcpy(command, class);
        for (unsigned i = 0; i < jvm.n; i++)
            p = stpcpy(stpcpy(p, " "), jvm.args[i]);
        object s = new_string(e, command);
        if (s)
            call(e, "java/lang/System", set, (union value){.l = key}, (union value){.l = s});
    }
    free(command);
    (*e)->release_string_utf_chars(e, old, class);
}

/* Stands in the table for one call. Without memory for the arguments main is not called: the
 * machine then ends with the exception that says so. */
static void call_main(jenv e, object class, object method, ...)
{
    (*e)->call_static_void_method_variadic = jvm.call;
    set_command(e);
    object args = new_args(e);
    if (args)
        (*e)->call_static_void_method(e, class, method, &(union value){.l = args});
}

static char **copy(char **args, unsigned n)
{
    char **list = calloc(n, sizeof(*list));
    for (unsigned i = 0; list && i < n; i++) {
        list[i] = strdup(args[i]);
        if (!list[i])
            return NULL;
    }
    return list;
}

int wait_jvm_args(char **args, unsigned n)
{
    int32_t (*get_machines)(struct machine_functions ***, int32_t, int32_t *) =
        (__typeof__(get_machines))dlsym(RTLD_DEFAULT, "JNI_GetCreatedJavaVMs");
    struct machine_functions **machine;
    int32_t found = 0;
    void *e = NULL;
    if (!get_machines || get_machines(&machine, 1, &found) != 0 || found != 1)
        return -1;
    if ((*machine)->get_env(machine, &e, JNI_VERSION_1_6) != 0)
        return -1;
    jvm.args = copy(args, n);
    if (!jvm.args)
        return -1;
    struct functions *table = *(jenv)e;
    jvm.n = n;
    jvm.call = table->call_static_void_method_variadic;
    table->call_static_void_method_variadic = call_main;
    return 0;
}

/* holm.Wait.exit */
void Java_holm_Wait_exit(jenv e, object class, int32_t code);
void Java_holm_Wait_exit(jenv e, object class, int32_t code)
{
    _exit(code);
}
