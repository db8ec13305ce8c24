# SPDX-License-Identifier: Apache-2.0
# The Debian packages that building, running and testing Holm take, and installing what is missing.
# shellcheck shell=bash disable=SC2034  # used by those who source this

# To build: compiler, build system, libraries (docs/ARCHITECTURE.md says why each of these).
PACKAGES_BUILD=(gcc libc6-dev binutils meson ninja-build pkg-config libjansson-dev libnghttp2-dev
    libmicrohttpd-dev libwslay-dev libsqlite3-dev libinih-dev libseccomp-dev libcap-ng-dev
    libcurl4-openssl-dev libsodium-dev libnftables-dev libmnl-dev libxxhash-dev zlib1g-dev
    libisal-dev libzstd-dev libext2fs-dev comerr-dev libcmocka-dev)

# To make images and run VMs; buildah only for images by a Dockerfile (holm image build --dockerfile), so it is
# not here. perl-base, util-linux and the like are always there.
PACKAGES_RUN=(qemu-system-x86 qemu-utils seabios mmdebstrap e2fsprogs xz-utils zstd cpio
    ca-certificates curl python3 iproute2 nftables jq)

# To test. binutils, cpio and kmod also for the nested machine of tests/vm, chromium for tests/browser, mypy for
# the hints of sdk/python.
PACKAGES_TEST=(clang clang-format libclang-rt-14-dev gcc make shellcheck wrk curl bash-completion zsh
    libcap2-bin busybox-static chromium python3-requests mypy)

# packages_missing NAME...: those that are not installed.
packages_missing() {
    dpkg-query -W -f='${Package} ${db:Status-Status}\n' "$@" 2>/dev/null |
        awk -v wanted="$*" '
            $2 == "installed" { have[$1] = 1 }
            END { n = split(wanted, w, " "); for (i = 1; i <= n; i++) if (!(w[i] in have)) print w[i] }'
}

# packages_lists_stale: are apt's lists missing, or older than a day? images/build needs them too. The
# lists carry the server's times; the directory that they pass through carries ours.
packages_lists_stale() {
    local lists=/var/lib/apt/lists
    [[ -z $(find "$lists" -maxdepth 1 -name '*_Packages*' -print -quit 2>/dev/null) ||
        -z $(find "$lists/partial" -maxdepth 0 -mtime -1 2>/dev/null) ]]
}

packages_install() {
    apt-get -y -q -o Dpkg::Use-Pty=0 install --no-install-recommends "$@"
}

# packages_update_and_install NAME...: with fresh lists if they are old, or if it fails without.
packages_update_and_install() {
    export DEBIAN_FRONTEND=noninteractive
    if packages_lists_stale; then
        apt-get -q update
        packages_install "$@"
    elif ! packages_install "$@"; then
        apt-get -q update
        packages_install "$@"
    fi
}

# packages_ensure LOG NAME...: installs what is missing and says so. Fails as ui_fail does.
packages_ensure() {
    local log=$1 missing
    shift
    mapfile -t missing < <(packages_missing "$@")
    if ((${#missing[@]} == 0)); then
        ui_done 'all are there'
        return
    fi
    ui_say "${#missing[@]} to install: ${missing[*]}"
    ui_run "$log" packages_update_and_install "${missing[@]}" ||
        ui_fail "$log" 'apt-get cannot install what is needed' \
            "check the network and /etc/apt/sources.list*, then run 'apt-get update' and this again"
    ui_done "${#missing[@]} installed"
}

# packages_or_command COMMAND PACKAGE: PACKAGE, unless something else already gives COMMAND.
packages_or_command() {
    command -v "$1" >/dev/null || printf '%s\n' "$2"
}
