//go:build linux

package screen

import (
	"image"
	"math/rand/v2"
	"testing"
)

func TestXaddress(t *testing.T) {
	for in, want := range map[string]string{
		":1": "unix /tmp/.X11-unix/X1", ":12.0": "unix /tmp/.X11-unix/X12", "unix:3": "unix /tmp/.X11-unix/X3",
		"host:2": "tcp host:6002", "tcp/host:2.1": "tcp host:6002", "/run/x:0": "unix /run/x:0",
	} {
		network, address, _, _, err := xaddress(in)
		if err != nil || network+" "+address != want {
			t.Errorf("%s: %s %s %v, want %s", in, network, address, err, want)
		}
	}
}

func xauthEntry(family int, fields ...string) []byte {
	b := []byte{byte(family >> 8), byte(family)}
	for _, f := range fields {
		b = append(append(b, byte(len(f)>>8), byte(len(f))), f...)
	}
	return b
}

func TestXauthorityFindsTheCookie(t *testing.T) {
	cookie := "0123456789abcdef"
	file := xauthEntry(256, "other", "1", "MIT-MAGIC-COOKIE-1", "xxxxxxxxxxxxxxxx")
	file = append(file, xauthEntry(256, "here", "2", "MIT-MAGIC-COOKIE-1", "yyyyyyyyyyyyyyyy")...)
	file = append(file, xauthEntry(256, "here", "1", "MIT-MAGIC-COOKIE-1", cookie)...)
	if name, data := parseXauthority(file, "here", "1"); name != "MIT-MAGIC-COOKIE-1" || string(data) != cookie {
		t.Errorf("%q %q", name, data)
	}
	if _, data := parseXauthority(file[:len(file)-1], "here", "1"); data != nil {
		t.Error("a cut file gave a cookie")
	}
	if _, data := parseXauthority(xauthEntry(65535, "", "", "MIT-MAGIC-COOKIE-1", cookie), "here", "7"); string(data) != cookie {
		t.Error("wild entry not found")
	}
}

func FuzzXauthority(f *testing.F) {
	f.Add(xauthEntry(256, "here", "1", "MIT-MAGIC-COOKIE-1", "0123456789abcdef"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, data := parseXauthority(b, "here", "1"); data != nil && len(data) != 16 {
			t.Errorf("cookie of %d bytes", len(data))
		}
	})
}

func TestAddCoversAllAndStaysShort(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		var list, all []image.Rectangle
		for range 60 {
			p := image.Pt(r.IntN(1900), r.IntN(1000))
			x := image.Rectangle{Min: p, Max: p.Add(image.Pt(1+r.IntN(90), 1+r.IntN(90)))}
			all = append(all, x)
			list = Add(list, x)
		}
		if len(list) > maxRects {
			t.Fatalf("%d rectangles", len(list))
		}
		for _, a := range all {
			// A merged list keeps each rectangle whole in one entry.
			in := false
			for _, l := range list {
				in = in || a.In(l)
			}
			if !in {
				t.Fatalf("%v is in none of %v", a, list)
			}
		}
	}
}
