# SPDX-License-Identifier: Apache-2.0
# What an image is made of: a row of the table (table.bash), or a file of `key=value` lines. The keys
# are described in README.md.
# shellcheck shell=bash disable=SC2153  # RECIPES and RECIPE are two things

# Bounds: an image below 16 MiB cannot hold its own file system, one above 64 GiB is a typing error.
RECIPE_SIZE_MIN_MIB=16
RECIPE_SIZE_MAX_MIB=65536

# recipe_load NAME: fill the array RECIPE. A mistake ends the program with its place and the reason.
recipe_load() {
    local name=$1 key
    declare -gA RECIPE=([from]=base [default]=yes [size_mib]=2048
        [packages]='' [languages]='' [host_tools]='')
    if ! [[ -v TABLE_KEYS[$name] ]]; then
        recipe_read "$(recipe_dir "$name")/recipe"
        return
    fi
    RECIPE[default]=no
    RECIPE[languages]=${TABLE_LANGUAGES[$name]-}
    for key in ${TABLE_KEYS[$name]}; do
        [[ $key =~ ^(packages|size_mib|default|host_tools)$ ]] ||
            die "$TABLE: images.$name: unknown key '$key' (known: default host_tools packages size_mib)"
        recipe_check "$TABLE: images.$name" "$key" "${TABLE_VALUES[$name $key]}"
        RECIPE[$key]=${TABLE_VALUES[$name $key]}
    done
}

# recipe_read FILE
recipe_read() {
    local file=$1 line number=0 key value
    [[ -r $file ]] || die "$file: no such recipe"
    local -A seen=()
    while IFS= read -r line || [[ -n $line ]]; do
        number=$((number + 1))
        [[ $line =~ ^[[:space:]]*(#|$) ]] && continue
        [[ $line == *=* ]] || die "$file:$number: '$line' is not key=value"
        key=${line%%=*} value=${line#*=}
        [[ -v RECIPE[$key] ]] || die "$file:$number: unknown key '$key' (known: $(recipe_keys))"
        [[ -v seen[$key] ]] && die "$file:$number: '$key' is given twice"
        seen[$key]=1
        recipe_check "$file:$number" "$key" "$value"
        RECIPE[$key]=$value
    done <"$file"
}

recipe_keys() {
    printf '%s\n' "${!RECIPE[@]}" | sort | paste -sd' '
}

# recipe_check WHERE KEY VALUE
recipe_check() {
    local where=$1 key=$2 value=$3
    case $key in
    from) [[ $value =~ ^(base|debootstrap|none)$ ]] ||
        die "$where: from must be base, debootstrap or none, not '$value'" ;;
    default) [[ $value =~ ^(yes|no)$ ]] || die "$where: default must be yes or no, not '$value'" ;;
    size_mib)
        if ! [[ $value =~ ^[1-9][0-9]{0,5}$ ]] ||
            ((value < RECIPE_SIZE_MIN_MIB || value > RECIPE_SIZE_MAX_MIB)); then
            die "$where: size_mib must be $RECIPE_SIZE_MIN_MIB to $RECIPE_SIZE_MAX_MIB," \
                "not '$value'"
        fi
        ;;
    *) [[ $value =~ ^[a-z0-9.+\ -]*$ ]] ||
        die "$where: $key must be words of a-z 0-9 . + - separated by spaces, not '$value'" ;;
    esac
}

# recipe_names: the names of all images and recipes, one a line.
recipe_names() {
    local file
    {
        for file in "$RECIPES"/*/recipe; do
            [[ ! -e $file ]] || basename "$(dirname "$file")"
        done
        table_names
    } | sort
}

# recipe_dir NAME: where NAME's files are. The base belongs to the builder, whatever --recipes says.
recipe_dir() {
    if [[ $1 == base ]]; then echo "$IMAGES/base"; else echo "$RECIPES/$1"; fi
}

# recipe_digest NAME: over everything that decides the content of the image: what is said of it, but
# not when it is built or what runs in it, its own files, and the builder's. The files that only
# schedule or display builds are left out: a change there makes no other image.
recipe_digest() {
    local dir files key
    dir=$(recipe_dir "$1")
    files=("$IMAGES"/lib/{rootfs,recipe}.bash)
    if [[ ${RECIPE[from]} == base ]]; then
        files+=("$IMAGES"/base/{recipe,customize})
    fi
    if grep -qs 'lib/wait/install' "$dir/customize"; then
        files+=("$IMAGES"/lib/wait/{install,*.[ch]})
    fi
    {
        for key in from packages size_mib host_tools; do
            printf '%s=%s\n' "$key" "${RECIPE[$key]}"
        done
        digest_files "${files[@]}"
        digest_tree "$dir"
    } | sha256sum | cut -d' ' -f1
}
