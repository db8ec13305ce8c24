/* SPDX-License-Identifier: Apache-2.0 */

/* The languages: one row each. A program lands in /work, is compiled there when its language needs
 * it, and runs as an ordinary user; arguments of the request follow those of the row. */

#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "host/host.h"

static const struct language languages[] = {
    {
        .name = "bash",
        .aliases = "sh shell",
        .title = "Bash",
        .extension = ".sh",
        .image = "bash",
        .file = "main.sh",
        .run = "bash {file}",
        .env = "",
        .version = "bash --version",
        .hello = "echo 'Hello, World!'\n",
        .memory_mib = 256,
    },
    {
        .name = "c",
        .aliases = "gcc",
        .title = "C (GCC)",
        .extension = ".c",
        .image = "c",
        .file = "main.c",
        .compile = "gcc -std=gnu17 -O1 -o main main.c -lm -pthread",
        .run = "./main",
        .env = "",
        .version = "gcc --version",
        .hello = "#include <stdio.h>\n\nint main(void)\n{\n    puts(\"Hello, World!\");\n}\n",
        .memory_mib = 256,
    },
    {
        .name = "nodejs",
        .aliases = "node javascript js",
        .title = "JavaScript (Node.js)",
        .extension = ".js",
        .image = "nodejs",
        .file = "main.js",
        .run = "node {file}",
        .env = "",
        .version = "node --version",
        .hello = "console.log('Hello, World!');\n",
        .memory_mib = 384,
    },
    {
        .name = "perl",
        .aliases = "pl",
        .title = "Perl",
        .extension = ".pl",
        .image = "perl",
        .file = "main.pl",
        .run = "perl {file}",
        .env = "",
        .version = "perl -v",
        .hello = "print \"Hello, World!\\n\";\n",
        .memory_mib = 256,
    },
    {
        .name = "python",
        .aliases = "python3 py",
        .title = "Python 3",
        .extension = ".py",
        .image = "python",
        .file = "main.py",
        .run = "python3 {file}",
        .env = "",
        .version = "python3 --version",
        .hello = "print(\"Hello, World!\")\n",
        .memory_mib = 256,
    },
    {
        .name = "typescript",
        .aliases = "ts deno",
        .title = "TypeScript (Deno)",
        .extension = ".ts",
        .image = "typescript",
        .file = "main.ts",
        .run = "deno run --quiet --allow-all --no-prompt {file}",
        .env = "DENO_DIR=/var/cache/deno DENO_NO_UPDATE_CHECK=1 NO_COLOR=1",
        .version = "deno --version",
        .hello = "const greeting: string = 'Hello, World!';\nconsole.log(greeting);\n",
        .memory_mib = 512,
    },
};

const struct language *host_language(size_t index)
{
    return index < ARRAY_SIZE(languages) ? &languages[index] : NULL;
}

static bool is_alias(const struct language *lang, const char *name)
{
    size_t len = strlen(name);
    for (const char *p = lang->aliases; *p;) {
        size_t word = strcspn(p, " ");
        if (word == len && strncasecmp(p, name, len) == 0)
            return true;
        p += word + strspn(p + word, " ");
    }
    return false;
}

const struct language *host_language_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(languages); i++) {
        if (strcasecmp(languages[i].name, name) == 0 || is_alias(&languages[i], name))
            return &languages[i];
    }
    return NULL;
}
