fun other() = 41
