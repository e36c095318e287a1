#!/bin/sh
set -eu

target="${1:-/var/backups}"
keep=7

usage() {
    echo "usage: backup.sh [FOLDER]" >&2
    exit 2
}

if [ "$#" -gt 1 ]; then
    usage
elif [ ! -d "$target" ]; then
    echo "no such folder: $target" >&2
    exit 1
fi

for folder in /etc /home; do
    name="$(basename "$folder")-$(date +%F).tar.gz"
    tar -czf "$target/$name" "$folder" || {
        echo "failed: $folder" >&2
        continue
    }
    case "$name" in
        etc-*) chmod 600 "$target/$name" ;;
        *) chmod 640 "$target/$name" ;;
    esac
done

ls -1t "$target" | tail -n +"$((keep + 1))" | while read -r old; do
    rm -f "$target/$old"
done
