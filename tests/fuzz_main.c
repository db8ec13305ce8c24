/* SPDX-License-Identifier: Apache-2.0 */

/* Runs a fuzzer's entry point over the files named on the command line, or over every file of the
 * directories named there: a corpus as an ordinary test. With libFuzzer its own main takes this
 * one's place. */

#include <dirent.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/fd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
    auto_buf struct buf b = {0};
    int r = file_read(path, &b, 16 << 20);
    if (r < 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(-r));
        return 1;
    }
    LLVMFuzzerTestOneInput((const uint8_t *)buf_str(&b), b.len);
    return 0;
}

static int run_dir(const char *path, int *ret_files)
{
    auto_closedir DIR *d = opendir(path);
    int failed = d ? 0 : 1;
    for (struct dirent *de; d && (de = readdir(d));) {
        char file[PATH_MAX];
        if (de->d_name[0] == '.' || path_printf(file, sizeof(file), "%s/%s", path, de->d_name) < 0)
            continue;
        failed |= run_file(file);
        ++*ret_files;
    }
    return failed;
}

int main(int argc, char **argv)
{
    int failed = 0, files = 0;
    for (int i = 1; i < argc; i++) {
        struct stat st;
        if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode)) {
            failed |= run_dir(argv[i], &files);
        } else {
            failed |= run_file(argv[i]);
            files++;
        }
    }
    printf("%d inputs\n", files);
    return failed || files == 0;
}
