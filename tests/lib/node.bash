# SPDX-License-Identifier: Apache-2.0
# The npm packages of tests/package.json, installed where node finds them. ROOT is the source tree.
# shellcheck shell=bash

# node_packages: unless they are as the lock file says.
node_packages() {
    local dir=$ROOT/tests
    if [[ ! $dir/node_modules/.package-lock.json -nt $dir/package-lock.json ]]; then
        npm ci --prefix "$dir" --no-progress || return
        touch "$dir/node_modules/.package-lock.json"
    fi
}
