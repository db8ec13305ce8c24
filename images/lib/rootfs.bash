# SPDX-License-Identifier: Apache-2.0
# Root file systems. Most images share one Debian base tree: it is made once (the slow part), then
# each image is a copy with its own packages on top. Everything here is part of the recipe digest.
# shellcheck shell=bash

# Part of every image's digest: raise it when the same files would give another image.
BUILDER_VERSION=1

# Makes /bin and its like links into /usr before the first package is unpacked.
MMDEBSTRAP_HOOKS=/usr/share/mmdebstrap/hooks

# The base tree may be this old before it is made anew, so that rebuilds pick up security updates.
BASE_MAX_AGE_MIN=1440

# A small journal is enough for a disk that lives for one VM, and is less to write in the guest.
JOURNAL_MIB=8

# debian_suite: the host's own release. The images use it too, with the host's sources.
debian_suite() {
    (. /etc/os-release && printf '%s\n' "${VERSION_CODENAME:?}")
}

# write_sources DIR [ETC]: the Debian sources of ETC (the host's, /etc/apt) as DIR/host.list and
# DIR/host.sources. Third-party repositories (a newer nodejs, say) must not leak into images, so only this suite's main counts;
# where that leaves nothing (sources that say "stable"), everything is taken as it is.
write_sources() {
    local dir=$1 etc=${2-/etc/apt} suite file
    suite=$(debian_suite)
    cat "$etc/sources.list" "$etc"/sources.list.d/*.list >"$dir/all.list" 2>/dev/null || true
    # The echo keeps two files' stanzas apart.
    for file in "$etc"/sources.list.d/*.sources; do
        [[ -e $file ]] && { cat "$file"; echo; }
    done >"$dir/all.sources"
    awk -v s="$suite" '$1 == "deb" { l = $0; sub(/\[[^]]*\]/, "", l); split(l, f, " ")
        if (f[3] ~ "^" s "(-updates|-security)?$" && l ~ / main( |$)/) print }' \
        "$dir/all.list" >"$dir/host.list"
    awk -v s="$suite" 'BEGIN { RS = ""; ORS = "\n\n" }
        $0 ~ "(^|\n)Types:[^\n]*deb" && $0 ~ "(^|\n)Suites:[^\n]* " s "([ \n-]|$)" \
        && $0 ~ "(^|\n)Components:[^\n]* main( |\n|$)" && $0 !~ "(^|\n)Enabled: *no"' \
        "$dir/all.sources" >"$dir/host.sources"
    if ! [[ -s $dir/host.list || -s $dir/host.sources ]]; then
        mv "$dir/all.list" "$dir/host.list"
        mv "$dir/all.sources" "$dir/host.sources"
    fi
}

# write_apt_options FILE: how this host reaches its mirror (proxies, retries, clocks that are off).
write_apt_options() {
    {
        echo 'Acquire::Languages "none";'
        apt-config dump | grep -E '^Acquire::(https?|Check-|Max-ValidTime|Retries|ForceIPv)' |
            grep -v ' "";$' || true
    } >"$1"
}

# keep_out_usrmerge TREE: a tree made with merged /usr needs only the empty package usr-is-merged,
# but apt would take the first alternative, usrmerge, and with it all of perl (48 MB).
keep_out_usrmerge() {
    mkdir -p "$1/etc/apt/preferences.d"
    printf 'Package: usrmerge\nPin: release *\nPin-Priority: -1\n' \
        >"$1/etc/apt/preferences.d/usrmerge"
}

# debian_install VARIANT TREE WORK PACKAGES: run mmdebstrap on TREE, empty or a copy of the base.
debian_install() {
    local variant=$1 tree=$2 work=$3 packages=$4 path options=() sources=()
    if [[ $variant == custom ]]; then
        options=(--skip=check/empty)
        # Without manual pages their directories are missing, and then update-alternatives, which
        # links pages too, fails in the scripts of packages (openjdk, scala, groovy).
        mkdir -p "$tree"/usr/share/man/man{1,7,8}
    else
        options=(--hook-dir="$MMDEBSTRAP_HOOKS/merged-usr")
    fi
    for path in doc man info locale lintian bug groff; do
        options+=("--dpkgopt=path-exclude=/usr/share/$path/*")
    done
    write_sources "$work"
    write_apt_options "$work/apt.conf"
    for path in "$work/host.list" "$work/host.sources"; do
        [[ -s $path ]] && sources+=("$path")
    done
    # mmdebstrap makes the device nodes itself and stops where there are some already.
    if [[ -d $tree/dev ]]; then find "$tree/dev" -mindepth 1 -delete; fi
    TMPDIR=$work mmdebstrap --mode=root --format=directory --variant="$variant" \
        --include="${packages// /,}" --aptopt="$work/apt.conf" \
        --dpkgopt=force-unsafe-io "${options[@]}" \
        --dpkgopt='path-include=/usr/share/locale/locale.alias' \
        --setup-hook="$(declare -f keep_out_usrmerge); keep_out_usrmerge \"\$1\"" \
        "$(debian_suite)" "$tree" "${sources[@]}"
}

# unpack_only TREE WORK PACKAGES: for images that are no Debian system: files only, no scripts.
unpack_only() {
    local tree=$1 work=$2 packages=$3 deb
    [[ -n $packages ]] || return 0
    # shellcheck disable=SC2086  # a list of words, checked by recipe_check
    (cd "$work" && apt-get -q -o APT::Sandbox::User=root download $packages)
    for deb in "$work"/*.deb; do
        dpkg -x "$deb" "$tree"
        printf '%s\n' "${deb##*/}" >>"$work/packages"
        rm -f "$deb"
    done
    rm -rf "$tree"/usr/share/{doc,man,locale,lintian}
}

# list_packages TREE WORK: write name=version of everything installed to WORK/packages.
list_packages() {
    [[ -e $1/var/lib/dpkg/status ]] || { touch "$2/packages"; return; }
    dpkg-query --admindir="$1/var/lib/dpkg" -W -f '${Package}=${Version}\n' |
        LC_ALL=C sort >"$2/packages"
}

# add_line FILE LINE: append LINE unless its first field (up to ':') is there already.
add_line() {
    grep -q "^${2%%:*}:" "$1" 2>/dev/null || printf '%s\n' "$2" >>"$1"
}

# skeleton TREE: what every image has, Debian or not: users, names, mount points.
skeleton() {
    local tree=$1 shell=/bin/sh
    [[ -x $tree/bin/bash ]] && shell=/bin/bash
    mkdir -p "$tree"/{dev,proc,sys,run,tmp,var/tmp,etc,root,home,work,workspace}
    chmod 1777 "$tree/tmp" "$tree/var/tmp"
    chmod 0700 "$tree/root"
    add_line "$tree/etc/passwd" "root:x:0:0:root:/root:$shell"
    add_line "$tree/etc/passwd" "user:x:1000:1000::/home/user:$shell"
    add_line "$tree/etc/group" 'root:x:0:'
    add_line "$tree/etc/group" 'user:x:1000:'
    # No password ever: accounts are for running code, not for logging in.
    add_line "$tree/etc/shadow" 'root:*:19000:0:99999:7:::'
    add_line "$tree/etc/shadow" 'user:*:19000:0:99999:7:::'
    chmod 0640 "$tree/etc/shadow"
    install -d -m 0755 -o 1000 -g 1000 "$tree/home/user" "$tree/work" "$tree/workspace"
    skeleton_network "$tree"
    # One KEY=VALUE a line, no quotes: pam_env reads it so, and so can the agent.
    printf '%s\n' 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
        'LANG=C.UTF-8' >"$tree/etc/environment"
}

# skeleton_network TREE: every guest sees the same network, 172.16.0.2/30 behind gateway .1, which
# answers DNS as well; so nothing in here depends on the host.
skeleton_network() {
    local tree=$1
    rm -f "$tree"/etc/{resolv.conf,hostname,hosts}
    printf '%s\n' '127.0.0.1 localhost' '127.0.1.1 holm' \
        '::1 localhost ip6-localhost ip6-loopback' >"$tree/etc/hosts"
    echo holm >"$tree/etc/hostname"
    echo 'nameserver 172.16.0.1' >"$tree/etc/resolv.conf"
}

# debian_settings TREE: no mirror, proxy or password of this host, and the rules that keep later
# installations as lean as this one.
debian_settings() {
    local tree=$1
    [[ -d $tree/etc/apt ]] || return 0
    rm -f "$tree"/etc/apt/{sources.list.d,auth.conf.d,preferences.d}/* \
        "$tree/etc/apt/apt.conf.d/99mmdebstrap"
    echo '# The mirror is up to whoever opens the network for this VM.' >"$tree/etc/apt/sources.list"
    printf 'Acquire::Languages "none";\nAPT::Install-Recommends "false";\n' \
        >"$tree/etc/apt/apt.conf.d/90holm"
    if [[ -e $tree/etc/dpkg/dpkg.cfg.d/99mmdebstrap ]]; then
        mv "$tree/etc/dpkg/dpkg.cfg.d/99mmdebstrap" "$tree/etc/dpkg/dpkg.cfg.d/90holm"
    fi
}

# scrub TREE: remove what identifies this host or this build, caches, and logs. Two VMs of one
# image must not share a machine id or an ssh host key.
scrub() {
    local tree=$1
    rm -rf "$tree"/var/lib/apt/lists/* "$tree"/var/cache/apt/* "$tree"/var/cache/debconf/*-old \
        "$tree"/var/lib/dpkg/*-old "$tree"/var/log/{*.log,apt} \
        "$tree/var/cache/ldconfig/aux-cache" \
        "$tree"/etc/{passwd,group,shadow,gshadow,subuid,subgid}- "$tree"/etc/ssh/ssh_host_* \
        "$tree/var/lib/dbus/machine-id" "$tree/.dockerenv"
    find "$tree/tmp" "$tree/var/tmp" "$tree/run" "$tree/dev" -mindepth 1 -delete
    # systemd takes an empty file as "make one for this boot"; without systemd nobody needs one.
    if [[ -x $tree/usr/lib/systemd/systemd || -x $tree/lib/systemd/systemd ]]; then
        : >"$tree/etc/machine-id"
    else
        rm -f "$tree/etc/machine-id"
    fi
}

# make_ext4 TREE FILE SIZE_MIB: a sparse image. Nothing is left for the guest's lazy initialiser to
# do: its writes would land in the overlay of every VM.
make_ext4() {
    local tree=$1 file=$2 size_mib=$3 journal_mib=$JOURNAL_MIB
    ((size_mib >= 64)) || journal_mib=4 # the least that ext4 takes
    truncate -s "${size_mib}M" "$file"
    mke2fs -q -F -t ext4 -b 4096 -m 0 -L holm -J "size=$journal_mib" \
        -E lazy_itable_init=0,lazy_journal_init=0 -d "$tree" "$file"
    chmod 0444 "$file"
}

# write_image_json NAME DIR WORK: DIR/image.json, one key a line (json_value relies on it).
write_image_json() {
    local name=$1 dir=$2 work=$3 digest recipe_digest languages
    read -ra languages <<<"${RECIPE[languages]}"
    recipe_digest=$(recipe_digest "$name")
    digest=$( (echo "$recipe_digest $BUILDER_VERSION" &&
        cat "$work/packages" "$work/toolchain.sha256") | sha256sum)
    digest=${digest%% *}
    cat >"$dir/image.json" <<JSON
{
  "name": "$name",
  "digest": "$digest",
  "recipe_digest": "$recipe_digest",
  "languages": $(json_list "${languages[@]}"),
  "created_at": "$(date -u +%Y-%m-%dT%H:%M:%SZ)",
  "size_bytes": $(stat -c %s "$dir/rootfs.ext4"),
  "allocated_bytes": $(($(stat -c '%b * %B' "$dir/rootfs.ext4"))),
  "toolchain_sha256": "$(cat "$work/toolchain.sha256")",
  "packages": $(wc -l <"$work/packages"),
  "debian": "$(debian_suite)"
}
JSON
}

# image_is_current NAME: does the published image come from exactly this recipe and builder?
image_is_current() {
    local dir=$DATA/images/$1
    [[ -s $dir/rootfs.ext4 ]] &&
        { [[ -z $SIZE_MIB ]] || (($(stat -c %s "$dir/rootfs.ext4") == SIZE_MIB << 20)); } &&
        toolchain_is_current "$dir" &&
        [[ "$(json_value "$dir/image.json" recipe_digest)" == "$(recipe_digest "$1")" ]]
}

base_is_current() {
    local stamp=$DATA/cache/base/recipe_digest
    [[ "$(cat "$stamp" 2>/dev/null)" == "$(recipe_digest base)" ]] &&
        [[ -n $(find "$stamp" -mmin "-$BASE_MAX_AGE_MIN") ]]
}

# build_base WORK: make DATA/cache/base/tree, from which images are copied.
build_base() {
    local work=$1 out=$1/out
    mkdir -p "$out" "$DATA/cache"
    step 'install Debian'
    debian_install minbase "$out/tree" "$work" "${RECIPE[packages]}"
    run_customize base "$out/tree" "$work"
    recipe_digest base >"$out/recipe_digest"
    step 'publish'
    swap_in "$out" "$DATA/cache/base"
}

# copy_files NAME TREE: the recipe's own files, at the same places in the tree, owned by root. What is
# executable is so for all; directories that are there stay as they are. Links are customize's.
copy_files() {
    local dir odd
    dir=$(recipe_dir "$1")/tree
    [[ -d $dir ]] || return 0
    step 'copy files'
    odd=$(find "$dir" ! -type f ! -type d -print -quit)
    if [[ -n $odd ]]; then
        echo "$odd: neither a file nor a directory"
        return 1
    fi
    tar -C "$dir" -c --sort=name --owner=0 --group=0 --numeric-owner --mode='u=rwX,go=rX' . |
        tar -C "$2" -x -p --no-overwrite-dir --keep-directory-symlink
}

# run_customize NAME TREE WORK: the recipe's own script, if there is one.
run_customize() {
    local script
    script=$(recipe_dir "$1")/customize
    [[ -e $script ]] || return 0
    step 'customize'
    mkdir -p "$3/scratch"
    HOLM_SCRATCH=$3/scratch bash -euo pipefail "$script" "$2"
}

# fill_tree TREE WORK: everything up to the recipe's own script.
fill_tree() {
    local tree=$1 work=$2 packages=${RECIPE[packages]}
    if [[ ${RECIPE[from]} == none ]]; then
        mkdir -p "$tree"
        step 'unpack packages'
        unpack_only "$tree" "$work" "$packages"
        return
    fi
    step 'copy the base'
    cp -a --reflink=auto "$DATA/cache/base/tree" "$tree"
    [[ -n $packages ]] || return 0
    step 'install packages'
    debian_install custom "$tree" "$work" "$packages"
}

# build_image NAME WORK: make DATA/images/NAME.
build_image() {
    local name=$1 work=$2 tree=$2/tree out=$2/out
    mkdir -p "$out"
    fill_tree "$tree" "$work"
    toolchain_unpack "$name" "$tree" "$work"
    copy_files "$name" "$tree"
    run_customize "$name" "$tree" "$work"
    step 'clean up'
    [[ ${RECIPE[from]} == none ]] || list_packages "$tree" "$work"
    touch "$work/packages" "$work/toolchain.sha256"
    debian_settings "$tree"
    skeleton "$tree"
    scrub "$tree"
    # The recipe's environment comes last: it may override what every image has.
    if [[ -e $RECIPES/$name/environment ]]; then
        cat "$RECIPES/$name/environment" >>"$tree/etc/environment"
    fi
    step 'make the file system'
    make_ext4 "$tree" "$out/rootfs.ext4" "${SIZE_MIB:-${RECIPE[size_mib]}}"
    step 'publish'
    write_image_json "$name" "$out" "$work"
    chmod 0755 "$out"
    swap_in "$out" "$DATA/images/$name"
}
