puts stderr oops
