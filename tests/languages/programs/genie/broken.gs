[indent=4]

init
    number: int = "text"
    print "%d", number
