# SPDX-License-Identifier: Apache-2.0
# Which version of each language an image has: what the row's `version` command prints in the finished
# tree. It is noted in image.json beside what is there, when the file system is made already: what the
# commands may leave in the tree is in no image, and neither digest depends on what they say.
# shellcheck shell=bash disable=SC2153  # TABLE_VERSION is table.bash's

VERSION_TIMEOUT_S=60
VERSION_LINES=5
VERSION_READ_BYTES=4096
VERSION_SIZE=31 # as much as the daemon takes (LANGUAGE_NAME_MAX_BYTES)

# version_in LANGUAGE: the first dotted number of the first lines of the standard input: of the line
# that begins with the language's name, if there is one; what is in parentheses, like a
# distribution's own number, only where a line has no other. Where none of them has dots: a number at
# the end of the first line.
version_in() {
    LC_ALL=C awk -v name="$1" -v lines="$VERSION_LINES" -v size="$VERSION_SIZE" '
        function dotted(s) {
            return match(s, /[0-9]+(\.[0-9]+)+/) ? substr(s, RSTART, RLENGTH < size ? RLENGTH : size) : ""
        }
        NR == 1 && match($NF, /^[0-9]+$/) { plain = substr($NF, 1, size) }
        NR <= lines {
            outside = $0
            while (sub(/\([^()]*\)/, " ", outside)) {}
            v = dotted(outside)
            if (v == "") v = dotted($0)
            if (first == "") first = v
            if ($1 == name && own == "") own = v
        }
        END {
            if (own == "") own = first != "" ? first : plain
            if (own != "") print own
        }'
}

# version_of_package IMAGE LANGUAGE PACKAGES: of the package that is called like the language; of the
# image's first one when nothing else is in it. PACKAGES has lines of name=version.
version_of_package() {
    local image=$1 language=$2 packages=$3 package=$2
    if ! grep -q "^$language=" "$packages"; then
        [[ ${TABLE_LANGUAGES[$image]} == "$language" && -n ${RECIPE[packages]} ]] || return 0
        package=${RECIPE[packages]%% *}
    fi
    sed -n "s/^$package=\\([0-9]*:\\)\\{0,1\\}\\([0-9][0-9.]*\\).*/\\2/p" "$packages" |
        sed 's/\.$//' | cut -c "-$VERSION_SIZE"
}

# versions_spaces TREE: the words that put a command into namespaces of its own, with /proc of the tree:
# nothing that it starts outlives it. In a plain chroot this is not to be had; then it has no /proc.
versions_spaces() {
    local words=(unshare --pid --fork --kill-child "--mount-proc=$1/proc")
    if "${words[@]}" true 2>/dev/null; then printf '%s\n' "${words[@]}"; fi
}

# version_run LANGUAGE TREE FILE: the output of its command, as nobody, with the image's variables.
version_run() {
    local language=$1 tree=$2 file=$3 words env=() extra spaces
    read -ra words <<<"${TABLE_VERSION[$language]}"
    read -ra extra <<<"${TABLE_ENV[$language]-}"
    mapfile -t spaces < <(versions_spaces "$tree")
    if [[ -e $tree/etc/environment ]]; then mapfile -t env < <(grep -F '=' "$tree/etc/environment"); fi
    # --foreground: an interrupted build ends the process group of its task, and this is to be in it.
    timeout --foreground -k 1 "$VERSION_TIMEOUT_S" "${spaces[@]}" \
        env -i HOME=/tmp "${env[@]}" "${extra[@]}" "$(command -v chroot)" \
        --userspec=+65534:+65534 --groups= "$tree" "${words[@]}" </dev/null >"$file" 2>&1
}

# versions_ask IMAGE TREE WORK: {"LANGUAGE": "VERSION", ...} of those that said one; a warning for others.
versions_ask() {
    local image=$1 tree=$2 work=$3 language version sep='' status
    printf '{'
    for language in ${TABLE_LANGUAGES[$image]}; do
        [[ -n ${TABLE_VERSION[$language]-} ]] || continue
        status=0
        version_run "$language" "$tree" "$work/version.out" || status=$?
        if ((status != 0)); then
            printf 'warning: %s: "%s" ended with %s:\n' "$language" "${TABLE_VERSION[$language]}" "$status" >&2
            head -c "$VERSION_READ_BYTES" "$work/version.out" >&2
            continue
        fi
        version=$(head -c "$VERSION_READ_BYTES" "$work/version.out" | version_in "$language")
        [[ -n $version ]] || version=$(version_of_package "$image" "$language" "$work/packages")
        if [[ -z $version ]]; then
            printf 'warning: %s: "%s" tells no version\n' "$language" "${TABLE_VERSION[$language]}" >&2
            continue
        fi
        printf '%s"%s": "%s"' "$sep" "$language" "$version"
        sep=', '
    done
    printf '}'
}

# versions_record IMAGE TREE WORK: into the image.json of the published image; in one step, as all of it.
versions_record() {
    local image=$1 tree=$2 work=$3 json versions
    json=$DATA/images/$image/image.json
    [[ -n ${TABLE_LANGUAGES[$image]-} ]] || return 0
    step 'ask for versions'
    # What programs expect of /dev; the file system has been made.
    [[ -e $tree/dev/null ]] || mknod -m 0666 "$tree/dev/null" c 1 3 || true
    versions=$(versions_ask "$image" "$tree" "$work") &&
        sed -e '/^  "versions": /d' -e "s|^  \"packages\": |  \"versions\": $versions,\\n&|" "$json" \
            >"$work/image.json" &&
        cp "$work/image.json" "$json.new" && mv "$json.new" "$json"
}

# versions_of_published IMAGE WORK: of an image that was made before, from its file system.
versions_of_published() {
    local image=$1 work=$2
    step 'unpack the file system'
    mkdir -p "$work/tree"
    debugfs -R "rdump / $work/tree" "$DATA/images/$image/rootfs.ext4"
    list_packages "$work/tree" "$work"
    versions_record "$image" "$work/tree" "$work"
}
