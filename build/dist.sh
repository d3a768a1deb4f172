#!/usr/bin/env bash
# dist.sh VERSION: what is released, in build/bin/dist: programs for Linux and Windows, packages, an installer, the bill of materials
# and checksums. Windows programs are signed with the operator's certificate:
#   DAYPASS_SIGN_CERT=chain.pem DAYPASS_SIGN_KEY=key.pem [DAYPASS_SIGN_PKCS11=module.so] [DAYPASS_SIGN_TIMESTAMP=URL]
# or, where there is none, with one made for tests, which Windows does not trust.
# What is signed is the same bytes in every build of the same commit (build/reproduce.sh shows it).
set -euo pipefail
cd "$(dirname "$0")/.."
version=${1:?version}
plain=${version#v}
case $plain in [0-9]*.*) ;; *) plain=0.0.0+$plain ;; esac # no tag yet
debian=$(printf %s "$plain" | tr -- - + | tr -cd "A-Za-z0-9.+~")
out=$PWD/build/bin/dist
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
rm -rf "$out"
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
say() { printf '%s\n' "$*"; }

build/windows.sh "$version" # build/bin/windows

say "signing the Windows programs"
cert=${DAYPASS_SIGN_CERT:-} key=${DAYPASS_SIGN_KEY:-} trust=()
if [ -z "$cert" ]; then
	say "  no DAYPASS_SIGN_CERT: with a certificate for tests, which Windows does not trust"
	cert=$work/test.pem key=$work/test.key
	openssl req -x509 -newkey rsa:3072 -nodes -days 30 -subj "/CN=Daypass test build/O=Daypass" -addext "extendedKeyUsage=codeSigning" \
		-addext "keyUsage=digitalSignature" -keyout "$key" -out "$cert" 2>/dev/null
	trust=(-CAfile "$cert")
else
	trust=(-CAfile "${DAYPASS_SIGN_CA:-/etc/ssl/certs/ca-certificates.crt}")
fi
sign() { # FROM TO WHAT
	local with=(-certs "$cert" -key "$key" -h sha256 -n "$3" -i https://daypass.example)
	[ -z "${DAYPASS_SIGN_PKCS11:-}" ] || with+=(-pkcs11module "$DAYPASS_SIGN_PKCS11")
	[ -z "${DAYPASS_SIGN_TIMESTAMP:-}" ] || with+=(-ts "$DAYPASS_SIGN_TIMESTAMP")
	osslsigncode sign "${with[@]}" -in "$1" -out "$2" >"$work/sign.log" 2>&1 || { cat "$work/sign.log" >&2; return 1; }
	osslsigncode verify "${trust[@]}" -in "$2" >"$work/sign.log" 2>&1 || { cat "$work/sign.log" >&2; return 1; }
}
mkdir -p "$work/down"
for a in amd64 arm64; do
	cp "build/bin/downloads/daypass-host-linux-$a" "$work/down/"
	sign "build/bin/windows/daypass-host-windows-$a.exe" "$work/down/daypass-host-windows-$a.exe" "Daypass remote support"
done
cp "$work/down/daypass-host-windows-amd64.exe" "$out/daypass-host.exe"
sign build/bin/windows/daypass.exe "$work/daypass.exe" "Daypass console"

say "Linux archive"
arch=$(go env GOARCH)
name=daypass-$plain-linux-$arch
mkdir -p "$work/$name/downloads"
cp build/bin/daypass build/bin/daypass-signaling LICENSE README.md CHANGELOG.md "$work/$name/"
cp "$work/down"/* "$work/$name/downloads/"
tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -cf - "$name" | gzip -n >"$out/$name.tar.gz"

# deb NAME DEPENDS RECOMMENDS SUMMARY TEXT: packs $work/NAME, which holds the files already.
deb() {
	local root=$work/$1 from
	mkdir -p "$root/DEBIAN" "$root/usr/share/doc/$1"
	cp LICENSE "$root/usr/share/doc/$1/copyright"
	gzip -nc CHANGELOG.md >"$root/usr/share/doc/$1/changelog.gz"
	from=$(du -sk --apparent-size "$root" | cut -f1)
	{
		printf 'Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: Daypass <support@daypass.example>\nInstalled-Size: %s\n' "$1" "$debian" "$arch" "$from"
		[ -z "$2" ] || printf 'Depends: %s\n' "$2"
		[ -z "$3" ] || printf 'Recommends: %s\n' "$3"
		printf 'Section: net\nPriority: optional\nDescription: %s\n %s\n' "$4" "$5"
	} >"$root/DEBIAN/control"
	chmod -R u=rwX,go=rX "$root"
	find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
	dpkg-deb --root-owner-group -Zxz --build "$root" "$out/$1_${debian}_$arch.deb" >/dev/null
}
say "Debian packages"
install -D build/bin/daypass "$work/daypass/usr/bin/daypass"
install -D -m 644 build/deb/daypass.desktop "$work/daypass/usr/share/applications/daypass.desktop"
install -D -m 644 build/appicon.png "$work/daypass/usr/share/icons/hicolor/512x512/apps/daypass.png"
deb daypass "libc6, libgtk-3-0, libwebkit2gtk-4.1-0" "daypass-downloads, gnome-keyring | org.freedesktop.secrets, gstreamer1.0-plugins-good, xdg-utils" \
	"remote support for one day: the technician's console" "A technician invites a customer by e-mail and helps on their computer over a direct, encrypted connection for 24 hours."
install -D build/bin/daypass-signaling "$work/daypass-signaling/usr/bin/daypass-signaling"
install -D -m 644 build/deb/daypass-signaling.service "$work/daypass-signaling/usr/lib/systemd/system/daypass-signaling.service"
install -D -m 644 build/deb/daypass-signaling.default "$work/daypass-signaling/etc/default/daypass-signaling"
mkdir -p "$work/daypass-signaling/DEBIAN"
echo /etc/default/daypass-signaling >"$work/daypass-signaling/DEBIAN/conffiles"
deb daypass-signaling "libc6" "daypass-downloads" "remote support for one day: the signaling server" \
	"Brings technicians and customers together. It can read nothing of a session."
mkdir -p "$work/daypass-downloads/usr/share/daypass"
cp -r "$work/down" "$work/daypass-downloads/usr/share/daypass/downloads"
deb daypass-downloads "" "" "remote support for one day: the customers' programs" \
	"What a customer downloads, for Linux (X11) and Windows. They need nothing installed; GTK 3 is used where it is present."

say "Windows installer"
makensis -V1 -NOCD "-DVERSION=$plain" "-DCONSOLE=$work/daypass.exe" "-DDOWN=$work/down" "-DICON=$PWD/build/bin/windows/daypass.ico" "-DLICENSE=$PWD/LICENSE" \
	"-DOUT=$work/setup.exe" build/nsis/daypass.nsi
sign "$work/setup.exe" "$out/daypass-$plain-windows-setup.exe" "Daypass console, installer"

say "bill of materials, checksums"
go run ./build/sbom "$version" build/bin/daypass build/bin/daypass-signaling build/bin/downloads/daypass-host-linux-{amd64,arm64} \
	build/bin/windows/daypass.exe build/bin/windows/daypass-host-windows-{amd64,arm64}.exe >"$out/daypass-$plain.cdx.json"
(cd "$out" && find . -type f ! -name SHA256SUMS -printf '%P\n' | sort | xargs sha256sum >SHA256SUMS)
ls -l "$out"
