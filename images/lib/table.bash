# SPDX-License-Identifier: Apache-2.0
# languages.json: the images that languages need, and which languages each has. The daemon checks
# the languages' own members (src/host/languages_load.c); here only what images are made of counts.
# shellcheck shell=bash disable=SC2153,SC2034  # RECIPES and RECIPE are two things; others read the table

declare -A TABLE_KEYS=()      # image: the keys it has, separated by spaces
declare -A TABLE_VALUES=()    # "image key": the value, as in a recipe
declare -A TABLE_LANGUAGES=() # image: its languages
declare -A TABLE_TOOLCHAIN=() # image: what to bring, if its toolchain is in no registry
declare -A TABLE_VERSION=()   # language: the command that prints its version
declare -A TABLE_ENV=()       # language: its variables, NAME=value words

# A text where a list or a number belongs comes out in parentheses, which no value may have.
# shellcheck disable=SC2016  # the variables are jq's
TABLE_QUERY='
def words: if type == "array" then map(if type == "string" then . else "(\(.))" end) | join(" ")
    elif type == "boolean" then (if . then "yes" else "no" end)
    elif type == "number" then tostring
    else "(\(.))" end;
(.images | if type == "object" then . else error("images is no object") end | to_entries[] |
    .key as $name | (.value | if type == "object" then . else error("images.\($name) is no object") end) |
    ["image", $name, ""], (to_entries[] | ["value", "\($name) \(.key)", (.value | words)])),
(.languages | if type == "array" then . else error("languages is no list") end | .[] |
    if (.image | type) == "string" and (.name | type) == "string" then ["language", .image, .name],
        (if .toolchain.notes? then ["toolchain", .image, (.toolchain.notes | tostring)] else empty end),
        ["version", .name, (.version | if type == "string" then . else "" end)],
        ["env", .name, (.env | if type == "object" then to_entries | map("\(.key)=\(.value)") | words else "" end)]
    else error("a language without name or image") end) | @tsv'

# table_load FILE: a file that is not there is an empty table.
table_load() {
    local file=$1 rows kind name value
    [[ -e $file ]] || return 0
    require_tools jq
    if ! rows=$(jq -r "$TABLE_QUERY" "$file" 2>&1); then
        rows=${rows##*jq: }
        die "$file: ${rows#error (at *): }"
    fi
    while IFS=$'\t' read -r kind name value; do
        case $kind in
        image) table_add_image "$file" "$name" ;;
        value)
            TABLE_KEYS[${name%% *}]+=" ${name#* }"
            TABLE_VALUES[$name]=$value
            ;;
        language)
            [[ -v TABLE_KEYS[$name] ]] || die "$file: language $value: no image '$name'"
            TABLE_LANGUAGES[$name]+="${TABLE_LANGUAGES[$name]:+ }$value"
            ;;
        toolchain) TABLE_TOOLCHAIN[$name]=$value ;;
        version) TABLE_VERSION[$name]=$value ;;
        env) TABLE_ENV[$name]=$value ;;
        esac
    done <<<"$rows"
}

table_add_image() {
    local file=$1 name=$2
    [[ $name =~ ^[a-z][a-z0-9-]*$ ]] || die "$file: '$name' is no name for an image"
    [[ $name != base && $name != kernel ]] || die "$file: '$name' is no image; it is built as needed"
    [[ ! -e $RECIPES/$name/recipe ]] || die "$file: image '$name' has a recipe, too"
    TABLE_KEYS[$name]=''
}

# table_names: the names of all images, one a line.
table_names() {
    ((${#TABLE_KEYS[@]} == 0)) || printf '%s\n' "${!TABLE_KEYS[@]}"
}
