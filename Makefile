# SPDX-License-Identifier: Apache-2.0
# Shortcuts; the work is done by meson, ninja and the scripts that are named here.
.PHONY: all build web demo stop test test-languages bench check format install clean

all: build

build: build/build.ninja
	ninja -C build

build/build.ninja:
	meson setup build

web:
	./tools/web

demo:
	./demo

stop:
	./demo --stop

test:
	./test

# All of them, so all images; those that are there are not built again.
test-languages: build
	./images/build --all
	./tests/languages/run

bench:
	./tests/bench/run

check:
	./tools/check

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

install: build web
	meson install -C build --no-rebuild --only-changed
	./tools/web /usr/local/share/holm/web

clean:
	rm -rf build build-* web/dist
