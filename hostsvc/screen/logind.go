//go:build linux || freebsd || openbsd || netbsd

package screen

import (
	"os"

	"github.com/godbus/dbus/v5"
)

// logind knows whether the desktop's session is locked. A nil *logind never
// says so: there is no logind, or this process belongs to no session.
type logind struct {
	conn    *dbus.Conn
	session dbus.BusObject
}

func openLogind() *logind {
	id := os.Getenv("XDG_SESSION_ID")
	if id == "" {
		return nil
	}
	conn, err := dbus.ConnectSystemBus()
	if err != nil {
		return nil
	}
	var path dbus.ObjectPath
	if err := conn.Object("org.freedesktop.login1", "/org/freedesktop/login1").Call("org.freedesktop.login1.Manager.GetSession", 0, id).Store(&path); err != nil {
		_ = conn.Close()
		return nil
	}
	return &logind{conn: conn, session: conn.Object("org.freedesktop.login1", path)}
}

func (l *logind) locked() bool {
	if l == nil {
		return false
	}
	v, err := l.session.GetProperty("org.freedesktop.login1.Session.LockedHint")
	if err != nil {
		return false
	}
	locked, ok := v.Value().(bool)
	return ok && locked
}

func (l *logind) close() {
	if l != nil {
		_ = l.conn.Close()
	}
}
