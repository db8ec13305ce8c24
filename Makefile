# SPDX-License-Identifier: Apache-2.0
# Shortcuts; the work is done by meson, ninja and the scripts that are named here.
.PHONY: all build demo stop test bench check format install clean

all: build

build: build/build.ninja
	ninja -C build

build/build.ninja:
	meson setup build

demo:
	./demo

stop:
	./demo --stop

test:
	./test

bench:
	./tests/bench/run

check:
	./tools/check

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

install: build
	meson install -C build --no-rebuild --only-changed

clean:
	rm -rf build build-*
