#!/bin/sh
# Builds the guests into a folder (by default in place, where they are committed). The same compiler
# makes the same bytes, whatever the checkout's path: debug information has paths relative to it.
set -eu
cd "$(dirname "$0")/.."
out=${1:-guests}
cross=${CROSS:-riscv64-linux-gnu-}
objects=$(mktemp -d)
trap 'rm -rf "$objects"' EXIT

common="-march=rv64imafdc_zicsr_zifencei -mabi=lp64d -mcmodel=medany -ffile-prefix-map=$PWD=. -fdebug-prefix-map=$objects=."
debug='-gdwarf-5 -gno-record-gcc-switches'
c="-std=gnu11 -Og -fno-omit-frame-pointer -ffreestanding -fno-pic -fno-stack-protector -fno-common
   -fno-asynchronous-unwind-tables -msmall-data-limit=0 -Wall -Wextra -Werror"
link='-nostdlib -static -no-pie -Wl,--no-warn-rwx-segments -Wl,-z,max-page-size=4096'

mkdir -p "$out/embedded" "$out/tests" "$out/bench"

kernel_objects=
for source in guests/embedded/*.S guests/embedded/*.c; do
    object=$objects/$(basename "$source").o
    case $source in */user.c) object=$objects/user.o ;; esac
    # shellcheck disable=SC2086
    "${cross}gcc" $common $debug $c -c "$source" -o "$object"
    kernel_objects="$kernel_objects $object"
done
if "${cross}nm" -u "$objects/user.o" | grep .; then
    echo 'user.c uses symbols of the kernel, which user programs cannot reach' >&2
    exit 1
fi
# shellcheck disable=SC2086
"${cross}gcc" $common $link -Wl,--build-id=sha1 -T guests/embedded/kernel.ld $kernel_objects -o "$out/embedded/kernel.elf"
"${cross}gcc" --version | head -n 1 > "$out/embedded/kernel.elf.compiler"

# Through an object of a fixed name: the symbol table keeps it.
for source in guests/tests/*.S; do
    name=$(basename "$source" .S)
    # shellcheck disable=SC2086
    "${cross}gcc" $common $debug -c "$source" -o "$objects/$name.o"
    # shellcheck disable=SC2086
    "${cross}gcc" $common $link -Wl,--build-id=none -T guests/tests/test.ld "$objects/$name.o" -o "$out/tests/$name.elf"
done

# Optimised as programs are that people measure; without debug information.
for source in guests/bench/*.c; do
    name=$(basename "$source" .c)
    [ "$name" = main ] && continue
    for part in start.S main.c "$name.c"; do
        # shellcheck disable=SC2086
        "${cross}gcc" $common $c -O2 -fno-math-errno -fno-tree-loop-distribute-patterns -fomit-frame-pointer -c "guests/bench/$part" -o "$objects/bench-${part%.*}.o"
    done
    # shellcheck disable=SC2086
    "${cross}gcc" $common $link -Wl,--build-id=none -Wl,-s -T guests/bench/bench.ld "$objects/bench-start.o" "$objects/bench-main.o" \
        "$objects/bench-$name.o" -lgcc -o "$out/bench/$name.elf"
done
