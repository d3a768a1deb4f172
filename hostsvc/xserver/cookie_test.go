//go:build linux || freebsd || openbsd || netbsd

package xserver

import "testing"

func TestPlace(t *testing.T) {
	for in, want := range map[string]string{
		":1": "unix /tmp/.X11-unix/X1", ":12.0": "unix /tmp/.X11-unix/X12", "unix:3": "unix /tmp/.X11-unix/X3",
		"host:2": "tcp host:6002", "tcp/host:2.1": "tcp host:6002", "/run/x:0": "unix /run/x:0",
	} {
		network, address, _, _, err := place(in)
		if err != nil || network+" "+address != want {
			t.Errorf("%s: %s %s %v, want %s", in, network, address, err, want)
		}
	}
	for _, in := range []string{"", "1", ":", ":x", ":1.y", ":1.-1", ":99999"} {
		if _, address, _, _, err := place(in); err == nil {
			t.Errorf("%q leads to %s", in, address)
		}
	}
}

func entry(family int, fields ...string) []byte {
	b := []byte{byte(family >> 8), byte(family)}
	for _, f := range fields {
		b = append(append(b, byte(len(f)>>8), byte(len(f))), f...)
	}
	return b
}

func TestFindCookie(t *testing.T) {
	const kind, cookie = "MIT-MAGIC-COOKIE-1", "0123456789abcdef"
	file := entry(256, "other", "1", kind, "xxxxxxxxxxxxxxxx")
	file = append(file, entry(256, "here", "2", kind, "yyyyyyyyyyyyyyyy")...)
	file = append(file, entry(256, "here", "1", "XDM-AUTHORIZATION-1", "zzzzzzzzzzzzzzzz")...)
	file = append(file, entry(256, "here", "1", kind, cookie)...)
	if c := findCookie(file, "here", "1"); string(c) != cookie {
		t.Errorf("%q", c)
	}
	if c := findCookie(file, "renamed", "2"); string(c) != "yyyyyyyyyyyyyyyy" {
		t.Errorf("after a new host name: %q", c)
	}
	if c := findCookie(file, "here", "3"); c != nil {
		t.Errorf("another display's cookie: %q", c)
	}
	if c := findCookie(entry(256, "here", "1", kind, cookie)[:30], "here", "1"); c != nil {
		t.Errorf("a cut file gave %q", c)
	}
	if c := findCookie(entry(65535, "", "", kind, cookie), "here", "7"); string(c) != cookie {
		t.Errorf("wild: %q", c)
	}
}

func FuzzXauthority(f *testing.F) {
	f.Add(entry(256, "here", "1", cookieName, "0123456789abcdef"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c := findCookie(b, "here", "1"); c != nil && len(c) != 16 {
			t.Errorf("cookie of %d bytes", len(c))
		}
	})
}
