#!/bin/sh
# Runs as pid 1 of a new machine, in fresh mount, uts, ipc and pid namespaces, and becomes its systemd.
# Environment: NAME, IMAGE (overlay's lower folder), DIR (the machine's folder), CONSOLE (a terminal), CGROUPS (its folders), BINDS (source:target ...)
set -e
for group in $CGROUPS; do echo 1 > "$group/cgroup.procs"; done
[ "$IN_CGROUP" = 1 ] || IN_CGROUP=1 exec unshare --cgroup /bin/sh "$0"
R=$DIR/root
mount -t overlay overlay -o "lowerdir=$IMAGE,upperdir=$DIR/upper,workdir=$DIR/work" "$R"
hostname "$NAME"
for bind in $BINDS; do
    mkdir -p "$R${bind#*:}"
    mount --bind "${bind%%:*}" "$R${bind#*:}"
done
mount -t proc proc "$R/proc"
mount -t sysfs sysfs "$R/sys"
if [ "$CGROUP_VERSION" = 2 ]; then
    mount -t cgroup2 cgroup2 "$R/sys/fs/cgroup"
else
    mount -t tmpfs tmpfs "$R/sys/fs/cgroup"
    for controller in cpu cpuacct cpuset memory devices freezer blkio pids; do
        mkdir "$R/sys/fs/cgroup/$controller"
        mount -t cgroup -o $controller cgroup "$R/sys/fs/cgroup/$controller"
    done
    mkdir "$R/sys/fs/cgroup/systemd"
    mount -t cgroup -o none,name=systemd cgroup "$R/sys/fs/cgroup/systemd"
fi
# A /dev of its own: the host's would let udev and getty of this machine act on the host's devices.
mount -t tmpfs -o mode=755 tmpfs "$R/dev"
for device in null zero full random urandom tty kmsg; do
    [ -e /dev/$device ] || continue
    touch "$R/dev/$device"
    mount --bind /dev/$device "$R/dev/$device"
done
mkdir "$R/dev/pts" "$R/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$R/dev/pts"
ln -s pts/ptmx "$R/dev/ptmx"
mount -t tmpfs tmpfs "$R/dev/shm"
ln -s /proc/self/fd "$R/dev/fd"
ln -s fd/0 "$R/dev/stdin"
ln -s fd/1 "$R/dev/stdout"
ln -s fd/2 "$R/dev/stderr"
touch "$R/dev/console"
mount --bind "$CONSOLE" "$R/dev/console"
mount -t tmpfs tmpfs "$R/run"
mount -t tmpfs tmpfs "$R/tmp"
mkdir -p "$R/.old"
cd "$R"
pivot_root . .old
umount -l /.old
mount --make-rshared /
exec env -i container=lab PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --log-target=console --log-level=info --show-status=no
