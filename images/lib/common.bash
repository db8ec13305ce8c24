# SPDX-License-Identifier: Apache-2.0
# Shared by the programs in images/: messages, digests, and removal that cannot follow a mount.
# shellcheck shell=bash

# die MESSAGE...: one sentence on stderr, prefixed with the program's name; exit 1.
die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# usage_error MESSAGE...: as die, for a command line that makes no sense; exit 2.
usage_error() {
    printf "%s: %s\nTry '%s --help'.\n" "${0##*/}" "$*" "$0" >&2
    exit 2
}

# require_tools TOOL...: name every missing program at once, not one a run.
require_tools() {
    local tool missing=()
    for tool in "$@"; do
        command -v "$tool" >/dev/null || missing+=("$tool")
    done
    ((${#missing[@]} == 0)) || die "not installed: ${missing[*]} (use apt-get install)"
}

# digest_files FILE...: sha256 over names and contents; a missing file counts as such.
# Only the last part of the directory counts, so a checkout elsewhere gives the same digest.
digest_files() {
    local file
    for file in "$@"; do
        printf '%s/%s\n' "$(basename "$(dirname "$file")")" "${file##*/}"
        if [[ -e $file ]]; then sha256sum <"$file"; else echo absent; fi
    done | sha256sum | cut -d' ' -f1
}

# digest_tree DIR: over the names, contents and execute bits of all files below it; there may be none.
digest_tree() {
    [[ -d $1 ]] || return 0
    (cd "$1" && find . -type f -printf '%P %m\n' | LC_ALL=C sort | while read -r file mode; do
        printf '%s %s ' "$file" $((8#$mode & 0100))
        sha256sum <"$file"
    done)
}

# json_list WORD...: ["a","b"]. Words come from recipes, whose values hold no quotes.
json_list() {
    local word sep=''
    printf '['
    for word in "$@"; do
        printf '%s"%s"' "$sep" "$word"
        sep=','
    done
    printf ']'
}

# json_value FILE KEY: the string value of KEY in a file that write_image_json wrote.
json_value() {
    sed -n "s/^ *\"$2\": \"\\([^\"]*\\)\",\\{0,1\\}\$/\\1/p" "$1" 2>/dev/null || true
}

# remove_tree DIR: unmount what is still mounted below, then delete. A bind mount of the host's
# /dev left by an interrupted build must never be deleted through.
remove_tree() {
    local dir mount
    dir=$(realpath -m "$1")
    while read -r mount; do
        umount -l "$mount" 2>/dev/null || true
    done < <(awk -v d="$dir/" 'index($2 "/", d) == 1 { print $2 }' /proc/self/mounts | sort -r)
    rm -rf --one-file-system "$dir"
}

# swap_in NEW TARGET: TARGET becomes NEW in one step; what TARGET was before is deleted.
# A directory that is not empty cannot be renamed over, and mv cannot exchange, so perl (always
# there on Debian) calls renameat2(RENAME_EXCHANGE); file systems without it get two renames.
swap_in() {
    local new=$1 target=$2
    if [[ ! -e $target ]]; then
        mv -T "$new" "$target"
        return
    fi
    # shellcheck disable=SC2016  # the variables are perl's
    if ! perl -e 'exit(syscall(316, -100, $ARGV[0], -100, $ARGV[1], 2) == 0 ? 0 : 1)' \
        "$new" "$target"; then
        mv -T "$target" "$new.old"
        mv -T "$new" "$target"
        new=$new.old
    fi
    rm -rf --one-file-system "$new"
}
