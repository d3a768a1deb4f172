//go:build linux || freebsd || openbsd || netbsd

package xserver_test

import (
	"errors"
	"testing"

	"daypass/hostsvc/screen/screentest"
	"daypass/hostsvc/xserver"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/shm"
	"github.com/jezek/xgb/xinerama"
	"github.com/jezek/xgb/xproto"
	"github.com/jezek/xgb/xtest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wait closes a connection and returns when it is gone.
func wait(x *xgb.Conn) {
	x.Close()
	for {
		if ev, err := x.WaitForEvent(); ev == nil && err == nil {
			return
		}
	}
}

// TestInitsDoNotRaceWithConnections is one for the race detector: connections
// that get errors and events while others begin to use extensions, as capture,
// input, the bar and the clipboard do in the host.
func TestInitsDoNotRaceWithConnections(t *testing.T) {
	display := screentest.Xvfb(t, "320x200")
	errs := make(chan error)
	const each = 20
	go func() {
		for range each {
			x, err := xserver.Dial(display)
			if err == nil {
				err = errors.Join(shm.Init(x), xinerama.Init(x), xtest.Init(x))
				wait(x)
			}
			errs <- err
		}
	}()
	go func() {
		for range each {
			x, err := xserver.Dial(display)
			if err == nil {
				for range 50 {
					if e := xproto.MapWindowChecked(x, 1).Check(); e == nil {
						err = errors.New("a window that does not exist was shown")
					}
				}
				wait(x)
			}
			errs <- err
		}
	}()
	for range 2 * each {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// TestExtensionErrorsAreAnswered: without a constructor xgb drops the error and
// the one who asked waits for ever.
func TestExtensionErrorsAreAnswered(t *testing.T) {
	x, err := xserver.Dial(screentest.Xvfb(t, "320x200"))
	if err != nil {
		t.Fatal(err)
	}
	defer wait(x)
	if err := shm.Init(x); err != nil {
		t.Fatal(err)
	}
	root := xproto.Setup(x).DefaultScreen(x).Root
	_, err = shm.GetImage(x, xproto.Drawable(root), 0, 0, 8, 8, 0xffffffff, xproto.ImageFormatZPixmap, 0x1234567, 0).Reply()
	var e xserver.Error
	if !errors.As(err, &e) || e.Code < 128 || e.Bad != 0x1234567 {
		t.Errorf("a segment that does not exist: %v", err)
	}
}

func TestTablesStayEmpty(t *testing.T) {
	for name, numbers := range xgb.NewExtEventFuncs {
		if len(numbers) != 0 {
			t.Errorf("%s would add its events to the map that all connections read", name)
		}
	}
	for name, numbers := range xgb.NewExtErrorFuncs {
		if len(numbers) != 0 {
			t.Errorf("%s would add its errors to the map that all connections read", name)
		}
	}
}

func TestNoSuchScreen(t *testing.T) {
	if x, err := xserver.Dial(screentest.Xvfb(t, "320x200") + ".7"); err == nil {
		wait(x)
		t.Error("screen 7 of a display with one")
	}
}
