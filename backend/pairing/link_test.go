package pairing

import (
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"daypass/backend/fault"
	"daypass/backend/grant"
)

func testLink(t testing.TB, server string) Link {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	return Link{Server: u, Session: grant.NewID(), Secret: NewSecret()}
}

func same(a, b Link) bool {
	return a.Server.String() == b.Server.String() && a.Session == b.Session && a.Secret == b.Secret
}

func TestLinkAndFileNameSurviveMailAndFileManagers(t *testing.T) {
	for _, server := range []string{"https://help.example.com", "https://help.example.com:8443", "http://192.168.1.20:7801", "http://[fd00::5]:80", "https://xn--bcher-kva.example"} {
		l := testLink(t, server)
		canon := strings.TrimSuffix(server, ":80")
		for _, text := range []string{l.String(), " <" + l.String() + ">\r\n", strings.ToUpper(l.String()[:5]) + l.String()[5:], strings.Replace(l.String(), "#", "/#", 1), strings.ToLower(l.String())} {
			got, err := ParseLink(text)
			if err != nil || got.Session != l.Session || got.Secret != l.Secret || got.Server.String() != canon {
				t.Errorf("%q: %+v, %v", text, got.Server, err)
			}
		}
		n := l.FileName(".exe")
		bare := strings.TrimSuffix(n, ".exe")
		for _, name := range []string{n, bare + " (1).exe", bare + " - Copy.exe", "Kopie von " + n, "Copie de " + bare, `C:\Users\Anna W\Downloads\` + n, "/home/a/" + bare, strings.ToLower(n), bare + ".exe.exe", bare + "-1.bin"} {
			got, err := ParseFileName(name)
			if err != nil || got.Session != l.Session || got.Secret != l.Secret || got.Server.String() != canon {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
}

func TestOtherTextsAreNoLinks(t *testing.T) {
	l := testLink(t, "https://help.example.com")
	s := l.String()
	for _, bad := range []string{
		"", "hello", "https://help.example.com", l.Page(), s[:len(s)-1], s + "0", "ftp" + s[5:], "https://user@" + s[8:], strings.Replace(s, "#", "?a=b#", 1),
		strings.Replace(s, "/s/", "/x/", 1), strings.Replace(s, ".com/", ".com:0/", 1), strings.Replace(s, ".com/", ".com:099/", 1), strings.Replace(s, "help", "he lp", 1), strings.Replace(s, "help", "-help", 1), strings.Repeat("a", 5000),
	} {
		if _, err := ParseLink(bad); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q: %v", bad, err)
		} else if strings.Contains(err.Error(), l.Secret.Text()) {
			t.Errorf("%q: the error quotes the password", bad)
		}
	}
	n := l.FileName("")
	for _, bad := range []string{"", "Support.exe", n[:len(n)-1], strings.Replace(n, "Support", "Helper", 1), "Support_00_" + l.Session.String() + "_" + l.Secret.Text() + "_"} {
		if _, err := ParseFileName(bad); fault.KindOf(err) != fault.NotFound {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestSecretsDoNotPrintThemselves(t *testing.T) {
	l := testLink(t, "https://help.example.com")
	c := NewCode()
	var b strings.Builder
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "link", l, "secret", l.Secret, "code", c, "device", NewDevice(), "pin", &Pin{})
	fmt.Fprintf(&b, "%v %s %v", l.Secret, l.Secret, c)
	if strings.Contains(b.String(), l.Secret.Text()) || strings.Contains(b.String(), c.Digits()) {
		t.Errorf("printed: %s", b.String())
	}
}

func TestCodeCatchesEverySlip(t *testing.T) {
	if check([]byte("572")) != 4 { // the textbook example of the Damm algorithm
		t.Fatal("check digit of 572 is 4")
	}
	for range 50 {
		c := NewCode()
		for _, s := range []string{c.Digits(), c.Grouped(), " " + c.Grouped() + "\n", c.Digits()[:2] + "-" + c.Digits()[2:]} {
			if got, err := ParseCode(s); err != nil || got != c {
				t.Fatalf("%q: %v", s, err)
			}
		}
		for i := range c {
			for d := byte('0'); d <= '9'; d++ {
				wrong := c
				wrong[i] = d
				if _, err := ParseCode(wrong.Digits()); (err == nil) != (d == c[i]) {
					t.Fatalf("digit %d of %s as %c: %v", i, c.Digits(), d, err)
				}
			}
			if i > 0 && c[i] != c[i-1] {
				wrong := c
				wrong[i], wrong[i-1] = wrong[i-1], wrong[i]
				if _, err := ParseCode(wrong.Digits()); fault.KindOf(err) != fault.Invalid {
					t.Fatalf("swapped: %v", err)
				}
			}
		}
	}
	for _, bad := range []string{"", "1234567", "123456789", "1234567a", "１２３４５６７８", strings.Repeat(" ", 100) + "57240000"} {
		if _, err := ParseCode(bad); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzParseLink(f *testing.F) {
	f.Add("https://help.example.com/s/00000000000000000000000000#00000000000000000000000000")
	f.Add("http://[::1]:7801/s/00000000000000000000000000#00000000000000000000000000")
	f.Fuzz(func(t *testing.T, s string) {
		l, err := ParseLink(s)
		if err != nil {
			return
		}
		if again, err := ParseLink(l.String()); err != nil || !same(again, l) {
			t.Fatalf("%q → %q: %v", s, l.String(), err)
		}
		if again, err := ParseFileName(l.FileName(".exe")); err != nil || !same(again, l) {
			t.Fatalf("%q → %q: %v", s, l.FileName(".exe"), err)
		}
	})
}

func FuzzParseFileName(f *testing.F) {
	f.Add("Support_D1M6YVV9_00000000000000000000000000_00000000000000000000000000_ (1).exe")
	f.Fuzz(func(t *testing.T, s string) {
		l, err := ParseFileName(s)
		if err != nil {
			return
		}
		if again, err := ParseLink(l.String()); err != nil || !same(again, l) {
			t.Fatalf("%q → %q: %v", s, l.String(), err)
		}
	})
}

func FuzzParseCode(f *testing.F) {
	f.Add("4711 8862")
	f.Fuzz(func(t *testing.T, s string) {
		if c, err := ParseCode(s); err == nil && check(c[:]) != 0 {
			t.Fatalf("%q", s)
		}
	})
}

func FuzzParseSecret(f *testing.F) {
	f.Add("00000000000000000000000000")
	f.Fuzz(func(t *testing.T, s string) {
		if v, err := ParseSecret(s); err == nil {
			if w, err := ParseSecret(v.Text()); err != nil || w != v {
				t.Fatalf("%q: %v", s, err)
			}
		}
	})
}

func FuzzParseDevice(f *testing.F) {
	b, _ := NewDevice().MarshalBinary()
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, err := ParseDevice(b); err == nil {
			if c, err := d.MarshalBinary(); err != nil || string(c) != string(b) {
				t.Fatalf("%x → %x", b, c)
			}
		}
	})
}

func FuzzParsePin(f *testing.F) {
	b, _ := (&Pin{Role: RoleHost}).MarshalBinary()
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := ParsePin(b); err == nil {
			if c, err := p.MarshalBinary(); err != nil || string(c) != string(b) {
				t.Fatalf("%x → %x", b, c)
			}
		}
	})
}
