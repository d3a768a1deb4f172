package host

import (
	"sync"
	"testing"

	"daypass/hostsvc/consent"
)

// What is left on the desktop, where no file shows it, makes a removal unclean.
func TestWhatIsLeftOnTheDesktopIsReported(t *testing.T) {
	r := newRig(t)
	var mu sync.Mutex
	names := []string{"_NET_SUPPORTED"}
	r.cfg.Marks = func() map[string][]string {
		mu.Lock()
		defer mu.Unlock()
		return map[string][]string{"properties of the desktop's root window": append([]string(nil), names...)}
	}
	r.activate()
	r.view.screen(t, consent.Connected)
	mu.Lock()
	names = append(names, "_DAYPASS_LEFT", "_OTHER")
	mu.Unlock()
	r.do(consent.Action{Kind: consent.EndAndRemove})
	m := r.view.screen(t, consent.Removed)
	if m.Report.Clean || len(m.Report.Left) != 1 || m.Report.Left[0] != "properties of the desktop's root window: _DAYPASS_LEFT" {
		t.Errorf("%+v", m.Report)
	}
	r.do(consent.Action{Kind: consent.Leave})
	if err := r.wait(); err != nil {
		t.Fatal(err)
	}
}
