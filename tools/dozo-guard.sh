#!/bin/sh
# Starts the guard's single file that lies beside this script, or says in one line why it cannot run
# here. It uses nothing but the shell: an image may have little else.
refuse() {
  echo "dozo guard: cannot run here: $1." >&2
  exit 6
}
case $0 in */*) here=${0%/*} ;; *) here=. ;; esac
for loader in /lib64/ld-linux-x86-64.so.2 /lib/ld-linux-aarch64.so.1 none; do
  [ -x "$loader" ] && break
done
case $loader in
  none) refuse 'this image has no glibc for x64 or arm64 (Alpine has musl). Use an image with glibc 2.28 or newer, such as Debian' ;;
  *x86-64*) file=$here/dozo-guard-linux-x64 ;;
  *) file=$here/dozo-guard-linux-arm64 ;;
esac
[ -x "$file" ] || refuse "$file is not there, or may not be executed"
# What the loader does not find it names, and it ends with an error or without one.
found=$("$loader" --list "$file" 2>&1) || found="not found: $found"
case $found in
  *"version "*GLIBC*) refuse 'glibc is older than 2.28, or libstdc++ older than that of GCC 6. Use a newer image, such as Debian 10' ;;
  *libstdc++*'not found'* | *'not found'*libstdc++* | *libgcc_s*'not found'* | *'not found'*libgcc_s*)
    refuse 'libstdc++.so.6 or libgcc_s.so.1 is missing. Install libstdc++6, or copy both files to where libc.so.6 is' ;;
  *'not found'*) refuse "the loader does not accept it: $(echo $found)" ;;
esac
exec "$file" "$@"
