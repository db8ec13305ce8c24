/* SPDX-License-Identifier: Apache-2.0 */

/* The arguments of a program in a Java machine, after the machine has started with none.
 *
 * A class with a main: the `java` command makes the array for it from what it was started with, and
 * then calls main by CallStaticVoidMethod of JNI. That call is caught once, and given another
 * array. So main is called by `java` itself, and a stack trace shows what it always shows.
 *
 * Clojure and Groovy look for the program when their own main runs already, and have noted that
 * there are no arguments: what they have noted is changed.
 *
 * The tables of functions of JNI and JVMTI are an ABI, so what is used of them can be written down
 * here: nothing of a JDK is needed to build this. Without Java in the process nothing is found and
 * nothing happens. */

#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "job.h"
#include "wait.h"

#define JNI_VERSION_1_6 0x00010006
#define JVMTI_VERSION_1_2 0x30010200

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
    void *from_7[26];
    object (*get_method_id)(jenv, object c, const char *name, const char *type); /* 33 */
    void *from_34[2];
    object (*call_object_method)(jenv, object o, object method, const union value *); /* 36 */
    void *from_37[2];
    uint8_t (*call_flag_method)(jenv, object o, object method, const union value *); /* 39 */
    void *from_40[54];
    object (*get_field_id)(jenv, object c, const char *name, const char *type); /* 94 */
    object (*get_object_field)(jenv, object o, object field);                   /* 95 */
    void *from_96[17];
    object (*get_static_method_id)(jenv, object c, const char *name, const char *type); /* 113 */
    void *from_114[2];
    object (*call_static_object_method)(jenv, object c, object method,
                                        const union value *); /* 116 */
    void *from_117[24];
    void (*call_static_void_method_variadic)(jenv, object c, object method, ...); /* 141 */
    void *from_142;
    void (*call_static_void_method)(jenv, object c, object method, const union value *); /* 143 */
    object (*get_static_field_id)(jenv, object c, const char *name, const char *type);   /* 144 */
    object (*get_static_object_field)(jenv, object c, object field);                     /* 145 */
    void *from_146[23];
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

typedef struct tool_functions **tools; /* jvmtiEnv */

/* Called for each object; may give it a tag. */
typedef int32_t (*on_object)(int64_t class_tag, int64_t bytes, int64_t *tag, int32_t, void *);

/* struct jvmtiInterface_1_, by position; positions count from 1. */
struct tool_functions {
    void *from_1[113];
    int32_t (*get_objects_with_tags)(tools, int32_t n, const int64_t *tags, int32_t *ret_n,
                                     object **ret_objects, int64_t **ret_tags); /* 114 */
    void *from_115;
    int32_t (*iterate_through_heap)(tools, int32_t filter, object class,
                                    const on_object callbacks[16], void *); /* 116 */
    void *from_117[10];
    int32_t (*dispose_environment)(tools); /* 127 */
    void *from_128[14];
    int32_t (*add_capabilities)(tools, const uint32_t bits[4]); /* 142 */
};

#define CAN_TAG_OBJECTS 1U

static struct {
    char **args; /* copies */
    size_t n;
    void (*old_call)(jenv, object c, object method, ...); /* what was in the table */
} jvm;

/* A static method, by its name and type. */
static object call_static(jenv e, object class, const char *name, const char *type,
                          const union value *values)
{
    object id = class ? (*e)->get_static_method_id(e, class, name, type) : NULL;
    return id ? (*e)->call_static_object_method(e, class, id, values) : NULL;
}

/* As `java` makes it from its own arguments. */
static object new_string(jenv e, const char *text)
{
    int32_t len = (int32_t)strlen(text);
    object bytes = (*e)->new_byte_array(e, len);
    if (!bytes)
        return NULL;
    (*e)->set_byte_array_region(e, bytes, 0, len, text);
    const union value values[] = {{.flag = 1}, {.l = bytes}};
    return call_static(e, (*e)->find_class(e, "sun/launcher/LauncherHelper"), "makePlatformString",
                       "(Z[B)Ljava/lang/String;", values);
}

/* `first`, unless it is NULL, and the arguments. */
static object new_args(jenv e, const char *first)
{
    int32_t at = first ? 1 : 0;
    object string = (*e)->find_class(e, "java/lang/String");
    object array = string ? (*e)->new_object_array(e, (int32_t)jvm.n + at, string, NULL) : NULL;
    for (int32_t i = 0; array && i < (int32_t)jvm.n + at; i++) {
        object s = new_string(e, i < at ? first : jvm.args[i - at]);
        if (!s)
            return NULL;
        (*e)->set_object_array_element(e, array, i, s);
    }
    return array;
}

/* The machine's own record of how it was started: the class, then the arguments. */
static void set_command(jenv e)
{
    static const char type[] = "(Ljava/lang/String;Ljava/lang/String;)Ljava/lang/String;";
    object system = (*e)->find_class(e, "java/lang/System");
    object key = new_string(e, "sun.java.command");
    union value values[] = {{.l = key}, {.l = key}};
    object old = key ? call_static(e, system, "getProperty", type, values) : NULL;
    const char *class = old ? (*e)->get_string_utf_chars(e, old, NULL) : NULL;
    if (!class)
        return;
    size_t size = strlen(class) + 1;
    for (size_t i = 0; i < jvm.n; i++)
        size += strlen(jvm.args[i]) + 1;
    char *command = malloc(size);
    if (command) {
        char *p = stpcpy(command, class);
        for (size_t i = 0; i < jvm.n; i++)
            p = stpcpy(stpcpy(p, " "), jvm.args[i]);
        values[1].l = new_string(e, command);
        if (values[1].l)
            call_static(e, system, "setProperty", type, values);
    }
    free(command);
    (*e)->release_string_utf_chars(e, old, class);
}

/* Stands in the table for one call. Without memory for the arguments main is not called: the
 * machine then ends with the exception that says so. */
static void call_main(jenv e, object class, object method, ...)
{
    (*e)->call_static_void_method_variadic = jvm.old_call;
    object args = new_args(e, NULL);
    if (args)
        (*e)->call_static_void_method(e, class, method, &(union value){.l = args});
}

/* A class of the program's own, not of the JDK. */
static object find_program_class(jenv e, const char *name)
{
    union value values[] = {{.l = new_string(e, name)}, {.flag = 0}, {.l = NULL}};
    values[2].l = call_static(e, (*e)->find_class(e, "java/lang/ClassLoader"),
                              "getSystemClassLoader", "()Ljava/lang/ClassLoader;", NULL);
    return values[0].l && values[2].l
               ? call_static(e, (*e)->find_class(e, "java/lang/Class"), "forName",
                             "(Ljava/lang/String;ZLjava/lang/ClassLoader;)Ljava/lang/Class;",
                             values)
               : NULL;
}

/* clojure.main has bound *command-line-args* to what follows the program's file in the sequence of
 * its own arguments. So the variable, as this thread sees it, is set to such a sequence. */
static int set_clojure_args(jenv e)
{
    object rt = find_program_class(e, "clojure.lang.RT"),
           variable = find_program_class(e, "clojure.lang.Var");
    object field =
        rt ? (*e)->get_static_field_id(e, rt, "CMD_LINE_ARGS", "Lclojure/lang/Var;") : NULL;
    object set =
        variable ? (*e)->get_method_id(e, variable, "set", "(Ljava/lang/Object;)Ljava/lang/Object;")
                 : NULL;
    union value value = {.l = new_args(e, WAIT_PROGRAM)};
    if (!field || !set || !value.l)
        return -ENOTSUP;
    static const char type[] = "(Ljava/lang/Object;)Lclojure/lang/ISeq;";
    value.l = call_static(e, rt, "seq", type, &value);
    value.l = value.l ? call_static(e, rt, "next", type, &value) : NULL;
    object o = (*e)->get_static_object_field(e, rt, field);
    return value.l && (*e)->call_object_method(e, o, set, &value) ? 1 : -ENOTSUP;
}

static int32_t mark(int64_t class_tag, int64_t bytes, int64_t *tag, int32_t length, void *data)
{
    (void)class_tag, (void)bytes, (void)length, (void)data;
    *tag = 1;
    return 0;
}

/* The one object of a class. Not of its heirs. */
static object find_object(struct machine_functions **machine, object class)
{
    static const uint32_t bits[4] = {CAN_TAG_OBJECTS};
    static const on_object callbacks[16] = {mark};
    static const int64_t tags[] = {1};
    void *env = NULL;
    object *found = NULL;
    int32_t n = 0;
    if ((*machine)->get_env(machine, &env, JVMTI_VERSION_1_2) != 0)
        return NULL;
    tools t = env;
    if ((*t)->add_capabilities(t, bits) != 0 ||
        (*t)->iterate_through_heap(t, 0, class, callbacks, NULL) != 0 ||
        (*t)->get_objects_with_tags(t, 1, tags, &n, &found, NULL) != 0)
        n = 0;
    object o = n == 1 ? found[0] : NULL;
    (*t)->dispose_environment(t);
    return o;
}

/* groovy.ui.GroovyMain has an empty list of arguments, which it reads once it has the program. What
 * takes its command line apart for it leaves "--" out, wherever it is. */
static int set_groovy_args(struct machine_functions **machine, jenv e)
{
    object class = find_program_class(e, "groovy.ui.GroovyMain");
    object main = class ? find_object(machine, class) : NULL;
    object field = main ? (*e)->get_field_id(e, class, "args", "Ljava/util/List;") : NULL;
    object list = field ? (*e)->get_object_field(e, main, field) : NULL;
    object kind = list ? (*e)->find_class(e, "java/util/List") : NULL;
    object add = kind ? (*e)->get_method_id(e, kind, "add", "(Ljava/lang/Object;)Z") : NULL;
    if (!add)
        return -ENOTSUP;
    for (size_t i = 0; i < jvm.n; i++) {
        if (strcmp(jvm.args[i], "--") == 0)
            continue;
        const union value value = {.l = new_string(e, jvm.args[i])};
        if (!value.l || !(*e)->call_flag_method(e, list, add, &value))
            return -ENOMEM;
    }
    return 1;
}

static bool is_main(const char *class)
{
    return wait_command.n >= 2 && strcmp(wait_command.argv[wait_command.n - 2], class) == 0;
}

int wait_jvm_args(char **args, size_t n)
{
    int32_t (*get_machines)(struct machine_functions ***, int32_t, int32_t *) =
        (__typeof__(get_machines))dlsym(RTLD_DEFAULT, "JNI_GetCreatedJavaVMs");
    struct machine_functions **machine;
    int32_t found = 0;
    void *env = NULL;
    if (!get_machines)
        return 0;
    if (get_machines(&machine, 1, &found) != 0 || found != 1 ||
        (*machine)->get_env(machine, &env, JNI_VERSION_1_6) != 0)
        return -ENOTSUP;
    jenv e = env;
    jvm.args = job_argv(args, n, NULL, 0);
    jvm.n = n;
    if (!jvm.args)
        return -ENOMEM;
    set_command(e);
    if (is_main("clojure.main"))
        return set_clojure_args(e);
    if (is_main("groovy.ui.GroovyMain"))
        return set_groovy_args(machine, e);
    jvm.old_call = (*e)->call_static_void_method_variadic;
    (*e)->call_static_void_method_variadic = call_main;
    return 1;
}

/* holm.Wait.exit */
void Java_holm_Wait_exit(jenv e, object class, int32_t code);
void Java_holm_Wait_exit(jenv e, object class, int32_t code)
{
    _exit(code);
}
