[indent=4]

init
    turns: uint = 0
    while true
        turns++
