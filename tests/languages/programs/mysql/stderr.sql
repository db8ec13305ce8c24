\! echo oops >&2
