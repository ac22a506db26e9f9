#!/bin/sh
# build.sh DIRECTORY: puts `kube-apiserver` and `kubectl` of Debian 12 into a directory.
#
# Debian ships kubectl alone and the source of both. The source comes as apt has it: from the
# machine's own mirror, by hashes that Debian has signed. One CPU takes about five minutes for it,
# and it needs 2 GB of disk while it builds.
set -eu
to=$1
work=$to.build
rm -rf "$work" && mkdir -p "$work/lists/partial" "$work/archives/partial"
trap 'rm -rf "$work"' EXIT
cd "$work"

# The machine's Debian repositories, once more with their sources.
keys=/usr/share/keyrings/debian-archive-keyring.gpg
options=
if [ -f "$keys" ]; then options="[signed-by=$keys]"; fi
apt-get indextargets --format '$(ORIGIN) $(CODENAME) $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
    sort -u | while read -r origin codename uri release component; do
        if [ "$origin" = Debian ] && [ "$codename" = bookworm ]; then
            echo "deb $options $uri $release $component"
            echo "deb-src $options $uri $release $component"
        fi
    done > sources.list
if ! [ -s sources.list ]; then echo 'no repository of Debian 12 is configured on this machine' >&2; exit 1; fi
apt() {
    apt-get -qq -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=- \
        -o Dir::State::lists="$work/lists" -o Dir::Cache::archives="$work/archives" \
        -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User=root "$@"
}
apt update
apt source --download-only kubernetes
apt download kubernetes-client
dpkg -x kubernetes-client_*.deb client

tar xzf kubernetes_*.orig.tar.gz
cd kubernetes-1.20.2
# What is vendored here panics on the Go that Debian has; Debian's own copies do not.
for module in modern-go/reflect2 json-iterator/go; do
    vendored=vendor/github.com/$module
    rm -f "$vendored"/*.go "$vendored"/*.s
    find "/usr/share/gocode/src/github.com/$module" -maxdepth 1 \( -name '*.go' -o -name '*.s' \) \
        ! -name '*_test.go' -exec cp {} "$vendored" \;
done
mkdir -p .go/src/k8s.io
ln -sfn ../../.. .go/src/k8s.io/kubernetes
export GOPATH="$PWD/.go" GOCACHE="$work/go" HOME="$work"
export CGO_ENABLED=0 GOFLAGS=-mod=vendor GO111MODULE=auto
make WHAT=cmd/kube-apiserver

mkdir "$work/done"
cp _output/bin/kube-apiserver ../client/usr/bin/kubectl "$work/done"
rm -rf "$to"
mv "$work/done" "$to"
