while read --line line
    printf "%s\n" "$line"
end
