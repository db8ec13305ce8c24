println 'a
def x = (
