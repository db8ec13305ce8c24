#!/bin/sh
echo "a shell: $#: $*"
env | sort
