# SPDX-License-Identifier: Apache-2.0
# The guest kernel: Debian's cloud kernel, unpacked but never installed on the host, and the
# modules the initramfs must load before it can mount the root and talk to the agent's port.
# shellcheck shell=bash

# What the guest needs; what these need in turn is read from the modules. A name that the kernel
# has built in is simply not among its files, and is passed over. ext4 must be built in.
KERNEL_META_PACKAGE=linux-image-cloud-amd64
KERNEL_MODULES=(virtio_pci virtio_blk virtio_console rng-core virtio-rng virtio_net virtio_balloon)

# module_field FILE FIELD: one field of the .modinfo section, a list of NUL-ended FIELD=VALUE.
# The package ships no modules.dep (depmod makes it at installation), and kmod may not be here.
module_field() {
    tr '\0' '\n' <"$1" | LC_ALL=C sed -n "s/^$2=//p" | head -n 1
}

# module_load_order DIR NAME...: paths of NAMEs and all they depend on, dependencies first.
module_load_order() {
    local dir=$1 name path
    shift
    local -A MODULE_PATH=() MODULE_DONE=()
    while IFS= read -r path; do
        name=${path##*/}
        name=${name%.ko}
        MODULE_PATH[${name//-/_}]=$path
    done < <(find "$dir" -name '*.ko')
    for name in "$@"; do
        module_visit "${name//-/_}"
    done
}

# module_visit NAME: print what NAME depends on, then NAME, each once. Names here have '_' only.
module_visit() {
    local name=$1 path needs need
    path=${MODULE_PATH[$name]-}
    [[ -n $path && -z ${MODULE_DONE[$name]-} ]] || return 0
    MODULE_DONE[$name]=1
    needs=$(module_field "$path" depends)
    for need in ${needs//,/ }; do
        module_visit "${need//-/_}"
    done
    printf '%s\n' "$path"
}

# kernel_package: the versioned package that the meta package stands for today.
kernel_package() {
    apt-cache depends "$KERNEL_META_PACKAGE" | awk '/Depends: linux-image-[0-9]/ { print $2; exit }'
}

kernel_recipe_digest() {
    digest_files "$IMAGES/lib/kernel.bash"
}

# kernel_is_current: was DATA/kernel made by this very file? A newer Debian kernel alone is no
# reason to rebuild: it would invalidate every snapshot behind the owner's back (use --force).
kernel_is_current() {
    [[ -s $DATA/kernel/vmlinuz ]] &&
        [[ "$(cat "$DATA/kernel/recipe_digest" 2>/dev/null)" == "$(kernel_recipe_digest)" ]]
}

# build_kernel WORKDIR: make DATA/kernel.
build_kernel() {
    local work=$1 package out=$1/out
    step 'find the package'
    package=$(kernel_package)
    [[ -n $package ]] || { echo "apt knows no $KERNEL_META_PACKAGE: run apt-get update"; return 1; }
    step "download $package"
    (cd "$work" && apt-get -q -o APT::Sandbox::User=root download "$package")
    step 'unpack'
    dpkg -x "$work"/linux-image-*.deb "$work/tree"
    rm -f "$work"/linux-image-*.deb
    step 'pick modules'
    mkdir -p "$out/modules"
    kernel_collect "$work/tree" "$out"
    kernel_recipe_digest >"$out/recipe_digest"
    step 'publish'
    chmod -R a+rX "$out"
    swap_in "$out" "$DATA/kernel"
}

# kernel_collect TREE OUT: copy kernel, configuration, version and numbered modules.
kernel_collect() {
    local tree=$1 out=$2 version path number=0
    version=$(basename "$tree"/lib/modules/*)
    cp "$tree/boot/vmlinuz-$version" "$out/vmlinuz"
    cp "$tree/boot/config-$version" "$out/config"
    printf '%s\n' "$version" >"$out/version"
    if ! grep -q '^CONFIG_EXT4_FS=y' "$out/config"; then
        echo "kernel $version has no built-in ext4"
        return 1
    fi
    while IFS= read -r path; do
        cp "$path" "$(printf '%s/modules/%02d-%s' "$out" "$number" "${path##*/}")"
        number=$((number + 1))
    done < <(module_load_order "$tree/lib/modules/$version" "${KERNEL_MODULES[@]}")
    ((number > 0)) || { echo "kernel $version: none of ${KERNEL_MODULES[*]} found"; return 1; }
}
