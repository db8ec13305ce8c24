# SPDX-License-Identifier: Apache-2.0
# Toolchains that no package registry has: an archive that whoever builds the image brings, with
# the checksum that it must have. A recipe that needs one cannot be built without.
# shellcheck shell=bash

TOOLCHAIN_MAX_BYTES=$((4 << 30))

toolchain_check_arguments() {
    if [[ -z $TOOLCHAIN ]]; then
        [[ -z $TOOLCHAIN_SHA256 ]] || usage_error '--sha256 is of a --toolchain: which one?'
        return 0
    fi
    ((${#NAMES[@]} == 1)) || usage_error '--toolchain is for one image: name it'
    [[ $TOOLCHAIN_SHA256 =~ ^[0-9a-fA-F]{64}$ ]] ||
        usage_error "--toolchain needs --sha256 with 64 hexadecimal digits, not '$TOOLCHAIN_SHA256'"
    TOOLCHAIN_SHA256=${TOOLCHAIN_SHA256,,}
    case $TOOLCHAIN in
    https://* | http://*) ;;
    *)
        [[ -f $TOOLCHAIN ]] || usage_error "--toolchain: no such file: '$TOOLCHAIN'"
        TOOLCHAIN=$(realpath "$TOOLCHAIN")
        ;;
    esac
}

# toolchain_is_current DIR: does the image in DIR have the one that was given?
toolchain_is_current() {
    [[ -z $TOOLCHAIN ]] ||
        [[ "$(json_value "$1/image.json" toolchain_sha256)" == "$TOOLCHAIN_SHA256" ]]
}

# toolchain_lacks NAME: the image needs one that nobody has brought, now or before.
toolchain_lacks() {
    [[ -n ${TABLE_TOOLCHAIN[$1]-} && -z $TOOLCHAIN && ! -s $DATA/cache/toolchains/$1 ]]
}

# toolchain_wanted NAME: in words.
toolchain_wanted() {
    printf 'its toolchain is in no registry. Bring it: --toolchain ARCHIVE|URL --sha256 SUM %s (%s)' \
        "$1" "${TABLE_TOOLCHAIN[$1]}"
}

# toolchain_fetch FILE: the archive, wherever it is, as FILE; only with the right checksum.
toolchain_fetch() {
    local file=$1 sum
    case $TOOLCHAIN in
    https://* | http://*)
        step 'download the toolchain'
        curl -fsSL --proto '=https,http' --proto-redir '=https,http' --retry 3 --connect-timeout 30 \
            --max-filesize "$TOOLCHAIN_MAX_BYTES" -o "$file" -- "$TOOLCHAIN"
        ;;
    *)
        step 'copy the toolchain'
        cp -L --reflink=auto -- "$TOOLCHAIN" "$file"
        ;;
    esac
    step 'check the toolchain'
    sum=$(sha256sum <"$file")
    sum=${sum%% *}
    if [[ $sum != "$TOOLCHAIN_SHA256" ]]; then
        echo "the toolchain's SHA-256 is $sum, not $TOOLCHAIN_SHA256: nothing was unpacked"
        return 1
    fi
    printf '%s' "$sum" >"${file%/*}/toolchain.sha256"
}

# toolchain_strip DIR: an archive's one leading directory goes, its content moves up.
toolchain_strip() {
    local dir=$1 entries
    mapfile -t entries < <(find "$dir" -mindepth 1 -maxdepth 1)
    if ((${#entries[@]} == 1)) && [[ -d ${entries[0]} && ! -L ${entries[0]} ]]; then
        mv -T "${entries[0]}" "$dir.stripped"
        rmdir "$dir"
        mv -T "$dir.stripped" "$dir"
    fi
}

# toolchain_unpack NAME TREE WORK: into TREE/opt/NAME, owned by root. The archive is what its
# checksum says; tar all the same keeps to the directory (no absolute names, no "..").
toolchain_unpack() {
    local name=$1 work=$3 file=$3/toolchain.archive dir=$2/opt/$1
    if [[ -z $TOOLCHAIN ]]; then
        toolchain_keep "$name" "$work" || return 0
    else
        toolchain_fetch "$file"
        mkdir -p "$DATA/cache/toolchains"
        cp --reflink=auto "$file" "$DATA/cache/toolchains/.$name"
        mv "$DATA/cache/toolchains/.$name" "$DATA/cache/toolchains/$name"
    fi
    step 'unpack the toolchain'
    mkdir -p "$dir"
    if [[ $(head -c 2 "$file") == PK ]]; then
        python3 -m zipfile -e "$file" "$dir"
        # zipfile drops the modes; whatever begins like a program is one.
        find "$dir" -type f -exec sh -c 'for f; do
            case $(head -c 4 "$f" | tr -d "\0") in "#!"* | ?ELF*) chmod 0755 "$f" ;; esac
        done' sh {} +
    else
        tar --extract --file "$file" --directory "$dir" --no-same-owner --no-same-permissions
    fi
    toolchain_strip "$dir"
    chown -hR 0:0 "$dir"
    chmod -R u+rwX,go+rX,go-w "$dir"
    rm -f "$file"
}

# toolchain_keep NAME WORK: the archive that the last build was given, for one that only wants newer
# packages. Fails when there is none.
toolchain_keep() {
    local name=$1 work=$2 kept=$DATA/cache/toolchains/$1
    [[ -s $kept ]] || return 1
    step 'take the toolchain of the last build'
    cp --reflink=auto "$kept" "$work/toolchain.archive"
    sha256sum <"$kept" | cut -d' ' -f1 | tr -d '\n' >"$work/toolchain.sha256"
}
