define(`again', `again')dnl
again
