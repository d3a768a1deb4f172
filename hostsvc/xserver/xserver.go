//go:build linux || freebsd || openbsd || netbsd

// Package xserver opens connections to the customer's X server for all that show,
// capture, type or copy there, so that display names, cookies and the quirks of
// the X binding are dealt with once. It knows the way to the server and nothing
// of what is done there.
//
// xgb keeps the constructors of errors and events in maps of the process, which
// every connection reads and each extension's Init writes without a lock: two
// connections can end the program with "concurrent map writes". This package
// therefore completes those maps before main begins (see tables.go), and
// nothing writes them afterwards. Connections of the host are opened here only;
// test/law keeps that.
package xserver

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
)

// dialPatience is how long a display may take to accept a connection.
const dialPatience = 10 * time.Second

const cookieName = "MIT-MAGIC-COOKIE-1"

// Dial connects xgb to display, in the form of X(7), as "[host]:number[.screen]"
// or "/socket:number"; empty means $DISPLAY. The caller closes it.
func Dial(display string) (*xgb.Conn, error) {
	c, screen, err := Raw(display)
	if err != nil {
		return nil, err
	}
	return Over(c, screen)
}

// Over is Dial over a connection that Raw made, which the caller may have
// wrapped. It is closed when an error comes back.
func Over(c net.Conn, screen int) (*xgb.Conn, error) {
	x, err := xgb.NewConnNet(c)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("xserver: %w", err), c.Close())
	}
	if n := len(xproto.Setup(x).Roots); screen >= n {
		x.Close()
		return nil, fmt.Errorf("xserver: the display has %d screens, and number %d was asked for", n, screen)
	}
	x.DefaultScreen = screen
	return x, nil
}

// Raw connects to display (empty: $DISPLAY) and returns the screen its name
// asks for. Whatever is written first is replaced by a set-up request for the
// little-endian protocol 11.0 with the display's cookie; a single Write must
// carry all of it. The caller closes the connection.
func Raw(display string) (c net.Conn, screen int, err error) {
	if display == "" {
		display = os.Getenv("DISPLAY")
	}
	network, address, number, screen, err := place(display)
	if err != nil {
		return nil, 0, err
	}
	d := net.Dialer{Timeout: dialPatience}
	ctx := context.Background()
	nc, err := d.DialContext(ctx, network, address)
	if err != nil && network == "unix" {
		if abstract, e := d.DialContext(ctx, network, "@"+address); e == nil {
			nc, err = abstract, nil
		}
	}
	if err != nil {
		return nil, 0, fmt.Errorf("xserver: display %s: %w", display, err)
	}
	return &conn{Conn: nc, greeting: greeting(authority(number))}, screen, nil
}

// conn is a connection whose first Write is replaced by greeting.
type conn struct {
	net.Conn
	greeting []byte // nil once written
}

func (c *conn) Write(b []byte) (int, error) {
	if c.greeting == nil {
		return c.Conn.Write(b)
	}
	g := c.greeting
	c.greeting = nil
	if _, err := c.Conn.Write(g); err != nil {
		return 0, err
	}
	return len(b), nil
}

// greeting is the set-up request (X11 protocol, section 8).
func greeting(cookie []byte) []byte {
	name := ""
	if len(cookie) > 0 {
		name = cookieName
	}
	b := []byte{'l', 0, 11, 0, 0, 0, byte(len(name)), 0, byte(len(cookie)), 0, 0, 0}
	b = append(b, name...)
	b = append(b, make([]byte, -len(name)&3)...)
	b = append(b, cookie...)
	return append(b, make([]byte, -len(cookie)&3)...)
}

// place splits a display name as X(7) has it.
func place(display string) (network, address, number string, screen int, err error) {
	bad := fmt.Errorf("xserver: display %q cannot be understood", display)
	i := strings.LastIndexByte(display, ':')
	if i < 0 {
		return "", "", "", 0, bad
	}
	host, number := display[:i], display[i+1:]
	if num, scr, ok := strings.Cut(number, "."); ok {
		number = num
		if screen, err = strconv.Atoi(scr); err != nil || screen < 0 {
			return "", "", "", 0, bad
		}
	}
	n, err := strconv.ParseUint(number, 10, 15)
	if err != nil {
		return "", "", "", 0, bad
	}
	switch {
	case host == "" || host == "unix":
		return "unix", "/tmp/.X11-unix/X" + number, number, screen, nil
	case strings.HasPrefix(host, "/"):
		return "unix", display, number, screen, nil
	}
	host = strings.TrimPrefix(host, "tcp/")
	return "tcp", net.JoinHostPort(host, strconv.Itoa(6000+int(n))), number, screen, nil
}

// authority finds the cookie for a display (Xau(3)), or nil: the server may
// still allow the user.
func authority(number string) []byte {
	path := os.Getenv("XAUTHORITY")
	if path == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil
		}
		path = filepath.Join(home, ".Xauthority")
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	host, err := os.Hostname()
	if err != nil {
		host = ""
	}
	return findCookie(b, host, number)
}

// findCookie looks through an Xauthority file: family u16, then address,
// number, name and data, each with a u16 length, all big endian. A cookie for
// this display under another host's name is taken when no better one is there:
// the computer may have been given a new name since.
func findCookie(b []byte, host, number string) []byte {
	const local, wild = 256, 65535
	field := func() (string, bool) {
		if len(b) < 2 {
			return "", false
		}
		n := int(binary.BigEndian.Uint16(b))
		if len(b) < 2+n {
			return "", false
		}
		s := string(b[2 : 2+n])
		b = b[2+n:]
		return s, true
	}
	var second []byte
	for len(b) >= 2 {
		family := binary.BigEndian.Uint16(b)
		b = b[2:]
		var f [4]string // address, number, name, data
		for i := range f {
			var ok bool
			if f[i], ok = field(); !ok {
				return second // the file is cut short
			}
		}
		if f[2] != cookieName || len(f[3]) != 16 || f[1] != "" && f[1] != number {
			continue
		}
		if family == wild || family == local && f[0] == host {
			return []byte(f[3])
		}
		if second == nil {
			second = []byte(f[3])
		}
	}
	return second
}
