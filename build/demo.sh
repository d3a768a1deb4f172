#!/usr/bin/env bash
# demo.sh: the console, and beside it a customer's desktop in a window with the host program in it, so that one person can play
# both sides on one screen. What you copy in the console (the link) can be pasted on the customer's desktop.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -n "${DISPLAY:-}" ] || { echo "The customer's desktop is an X11 window, and there is no X11 screen here (DISPLAY is not set)."; echo "Log in to a graphical session, or see it work without a screen: make e2e"; exit 1; }
export DAYPASS_HOME=${DAYPASS_HOME:-${XDG_CONFIG_HOME:-$HOME/.config}/daypass-demo}
dir=$(mktemp -d "${TMPDIR:-/tmp}/daypass-demo.XXXXXX")
chmod 700 "$dir"
pids=()
end() {
	trap - EXIT INT TERM
	[ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2>/dev/null || true
	wait 2>/dev/null || true
	rm -rf "$dir"
}
trap end EXIT
trap 'exit 130' INT TERM

# A free display number, then a nested desktop: Xephyr shows it in a window.
n=80
while [ -e "/tmp/.X$n-lock" ] || [ -e "/tmp/.X11-unix/X$n" ]; do n=$((n + 1)); done
desk=:$n
program=$PWD/build/bin/downloads/daypass-host-linux-$(go env GOARCH)
echo "Starting the customer's desktop ($desk)"
Xephyr "$desk" -screen "${DEMO_SIZE:-1280x800}" -title "Customer's desktop" -resizeable -noreset -no-host-grab -nolisten tcp >"$dir/desktop.log" 2>&1 &
pids+=($!)
for _ in $(seq 100); do DISPLAY=$desk xset q >/dev/null 2>&1 && break; sleep 0.1; done
DISPLAY=$desk xset q >/dev/null 2>&1 || { echo "The customer's desktop did not start:"; tail -n 5 "$dir/desktop.log"; exit 1; }

# A home and a desktop of its own: neither the bus nor the settings of the person who runs the demo.
on_desk() {
	env -C "$dir/home" -u WAYLAND_DISPLAY -u XDG_SESSION_TYPE -u DBUS_SESSION_BUS_ADDRESS -u XAUTHORITY DISPLAY="$desk" HOME="$dir/home" \
		XDG_RUNTIME_DIR="$dir/run" XDG_CONFIG_HOME="$dir/home/.config" GSETTINGS_BACKEND=memory "$@" >>"$dir/programs.log" 2>&1 &
	pids+=($!)
}
mkdir -m 700 -p "$dir/home/Desktop" "$dir/home/Downloads" "$dir/home/.config" "$dir/run"
env DISPLAY="$desk" xsetroot -solid '#3b5b7a'
on_desk openbox --sm-disable
printf 'Hello from the customer.\n' >"$dir/home/Desktop/notes.txt"
on_desk mousepad --disable-server "$dir/home/Desktop/notes.txt"
on_desk xterm -geometry 90x20+40+420 -e bash

# One way, only links: what the technician copies can be pasted on the customer's desktop.
(
	last=
	while sleep 0.5; do
		now=$(timeout 2 xclip -selection clipboard -o 2>/dev/null | head -c 500 || true)
		if [ "$now" != "$last" ] && [[ $now == http*/s/*#* ]]; then
			printf %s "$now" | DISPLAY=$desk xclip -selection clipboard -i
		fi
		last=$now
	done
) &
pids+=($!)

cp "$program" "$dir/home/Downloads/Daypass-Support"
chmod +x "$dir/home/Downloads/Daypass-Support"
on_desk "$dir/home/Downloads/Daypass-Support"
cat <<'T'

There are two windows now: Daypass, and the customer's desktop (it may lie behind the other).

  1. In Daypass: Use this computer, then New session (N). Enter any e-mail address, Continue, then Copy link.
     Should it ask first where to keep your keys: this computer has no keyring. "Keep nothing" is right for a demo.
  2. On the customer's desktop: paste the link (Ctrl+V) into the window that asks for it, then Continue.
  3. Daypass shows the code; type it on the customer's desktop, then Continue.
  4. In Daypass: Remote Control (R). At the end: End session now.

Close Daypass, or press Ctrl+C here, to end the demo.
T
build/bin/daypass
