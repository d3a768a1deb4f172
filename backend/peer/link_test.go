package peer_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"daypass/backend/fault"
	"daypass/backend/peer"
	"daypass/backend/peer/peertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of a test that would otherwise hang. It is not a
// statement about speed.
const patience = 60 * time.Second

type side struct {
	*peer.Link
	t    *testing.T
	name string
	box  *peertest.Mailbox
	cfg  peer.Config
	seen peer.Event // flags since the last until
}

func logTo(name string) *slog.Logger {
	if os.Getenv("PEER_LOG") == "" {
		return nil
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("side", name)
}

// twoSides starts two paired links.
func twoSides(t *testing.T, change func(console, host *peer.Config)) (console, host *side) {
	t.Helper()
	cc, hc := peertest.Configs()
	cc.Hello, hc.Hello = []byte("I am the console"), []byte("I am the host")
	cc.Log, hc.Log = logTo("console"), logTo("host")
	if change != nil {
		change(&cc, &hc)
	}
	console = &side{t: t, name: "console", cfg: cc, box: cc.Mailbox.(*peertest.Mailbox)}
	host = &side{t: t, name: "host", cfg: hc, box: hc.Mailbox.(*peertest.Mailbox)}
	host.Link = peer.Listen(t.Context(), hc)
	console.Link = peer.Dial(t.Context(), cc)
	t.Cleanup(func() {
		for _, s := range []*side{console, host} {
			s.end("test over")
		}
		console.box.Close()
		host.box.Close()
	})
	return console, host
}

func (s *side) end(reason string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.Close(ctx, reason); err != nil {
		s.t.Errorf("%s: close: %v", s.name, err)
	}
}

// until waits for an event that fulfils ok and returns it with what was merged
// into it.
func (s *side) until(what string, ok func(peer.Event) bool) peer.Event {
	s.t.Helper()
	late := time.After(patience)
	for {
		select {
		case e, open := <-s.Events():
			if !open {
				s.t.Fatalf("%s: closed before %s", s.name, what)
			}
			s.seen.Fresh = s.seen.Fresh || e.Fresh
			s.seen.NewInstance = s.seen.NewInstance || e.NewInstance
			if e.PeerHello != nil {
				s.seen.PeerHello = e.PeerHello
			}
			if ok(e) {
				return e
			}
		case <-late:
			s.t.Fatalf("%s: %s never came; state %s", s.name, what, s.State())
		}
	}
}

func (s *side) open() peer.Event {
	s.t.Helper()
	s.until("open", func(e peer.Event) bool { return e.State == peer.Open })
	e := s.seen
	s.seen = peer.Event{}
	return e
}

func receive(t *testing.T, c peer.Channel) []byte {
	t.Helper()
	select {
	case b, ok := <-c.Receive():
		if !ok {
			t.Fatal("channel closed")
		}
		return b
	case <-time.After(patience):
		t.Fatal("nothing received")
	}
	return nil
}

func TestOpensAndCarriesEveryChannel(t *testing.T) {
	console, host := twoSides(t, nil)
	if err := console.Control().Send([]byte("before open")); err != nil {
		t.Fatal(err)
	}
	if err := console.Input().Send([]byte("x")); fault.KindOf(err) != fault.Offline {
		t.Fatalf("input before open: %v", err)
	}
	if e := console.open(); string(e.PeerHello) != "I am the host" || !e.Fresh || e.NewInstance {
		t.Errorf("console's event: %+v", e)
	}
	if e := host.open(); string(e.PeerHello) != "I am the console" || !e.Fresh {
		t.Errorf("host's event: %+v", e)
	}
	if b := receive(t, host.Control()); string(b) != "before open" {
		t.Errorf("got %q", b)
	}
	big := make([]byte, peer.MaxMessage)
	for i := range big {
		big[i] = byte(i * 7)
	}
	for name, pair := range map[string][2]peer.Channel{
		"control": {console.Control(), host.Control()}, "input": {console.Input(), host.Input()},
		"picture": {host.Picture(), console.Picture()}, "bulk": {host.Bulk(), console.Bulk()},
	} {
		for _, m := range [][]byte{{1}, []byte("twenty bytes of text"), big} {
			if err := pair[0].Writable(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
			if err := pair[0].Send(m); err != nil {
				t.Fatalf("%s: %d bytes: %v", name, len(m), err)
			}
			if got := receive(t, pair[1]); !slices.Equal(got, m) {
				t.Fatalf("%s: %d bytes arrived as %d", name, len(m), len(got))
			}
		}
		for _, m := range [][]byte{nil, make([]byte, peer.MaxMessage+1)} {
			if err := pair[0].Send(m); fault.KindOf(err) != fault.Invalid {
				t.Errorf("%s: %d bytes: %v", name, len(m), err)
			}
		}
	}
	cs, hs := console.Stats(), host.Stats()
	if cs.Path != peer.PathDirect || cs.OurFingerprint != hs.PeerFingerprint || hs.OurFingerprint != cs.PeerFingerprint || len(cs.OurFingerprint) != 95 {
		t.Errorf("stats: %+v %+v", cs, hs)
	}
	if cs.LocalType == "" || !cs.RemoteAddr.IsValid() || cs.Epoch != 1 || cs.Connections != 1 {
		t.Errorf("console's stats: %+v", cs)
	}
	if got := cs.Input.BytesSent; got != uint64(1+20+peer.MaxMessage) || hs.Input.BytesReceived != got {
		t.Errorf("input: %d sent, %d received", got, hs.Input.BytesReceived)
	}
}

func TestByeArrivesAndHostStays(t *testing.T) {
	console, host := twoSides(t, nil)
	console.open()
	host.open()
	for i := range 100 {
		if err := console.Control().Send(fmt.Appendf(nil, "last words %d", i)); err != nil {
			t.Fatal(err)
		}
	}
	console.end("done for today")
	if console.State() != peer.Closed {
		t.Error("console not closed")
	}
	host.until("bye", func(e peer.Event) bool { return e.Bye == "done for today" })
	for i := range 100 {
		if got, want := string(receive(t, host.Control())), fmt.Sprintf("last words %d", i); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	// Another console program of the same pairing: the host notices that it is
	// another instance.
	if err := host.Control().Send([]byte("to the old one")); err != nil {
		t.Fatal(err)
	}
	console.Link = peer.Dial(t.Context(), console.cfg)
	console.open()
	if e := host.open(); !e.NewInstance || !e.Fresh {
		t.Errorf("host's event: %+v", e)
	}
	if err := host.Control().Send([]byte("to the new one")); err != nil {
		t.Fatal(err)
	}
	if got := string(receive(t, console.Control())); got != "to the new one" {
		t.Errorf("got %q", got)
	}
}

func TestBadMailbox(t *testing.T) {
	simulatedWith(t, func(c, h *peer.Config) {
		c.Mailbox.(*peertest.Mailbox).SetFaults(0.4, 0.5)
		h.Mailbox.(*peertest.Mailbox).SetFaults(0.4, 0.5)
	}, func(t *testing.T, _ *wire, console, host *side) {
		if err := console.Control().Send([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		if got := string(receive(t, host.Control())); got != "hello" {
			t.Errorf("got %q", got)
		}
	})
}

func TestMailboxComesLate(t *testing.T) {
	console, host := twoSides(t, func(c, h *peer.Config) {
		c.Mailbox.(*peertest.Mailbox).SetOffline(true)
		h.Mailbox.(*peertest.Mailbox).SetOffline(true)
	})
	host.box.SetOffline(false)
	console.box.SetOffline(false)
	console.open()
	host.open()
}

func TestWindowIsBounded(t *testing.T) {
	console, host := twoSides(t, nil)
	console.open()
	host.open()
	n := 0
	for ; ; n++ {
		err := console.Control().Send(make([]byte, 10_000))
		if fault.KindOf(err) == fault.Limit {
			break
		}
		if err != nil || n > 10_000 {
			t.Fatalf("after %d messages: %v", n, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := console.Control().Writable(ctx, 0); err == nil {
		t.Error("writable although nothing was taken")
	}
	for range n {
		receive(t, host.Control())
	}
	if err := console.Control().Writable(t.Context(), 0); err != nil {
		t.Error(err)
	}
	if b := console.Control().Buffered(); b != 0 {
		t.Errorf("%d bytes buffered after everything was taken", b)
	}
	// A receiver that does not take its picture does not stop control.
	for host.Picture().Send(make([]byte, 50_000)) == nil { //nolint:revive // until full
	}
	if err := console.Control().Send([]byte("still here")); err != nil {
		t.Fatal(err)
	}
	if got := string(receive(t, host.Control())); got != "still here" {
		t.Errorf("got %q", got)
	}
}

func TestJunkInTheMailbox(t *testing.T) {
	console, host := twoSides(t, nil)
	for _, s := range []*side{console, host} {
		for kind := range byte(8) {
			for _, n := range []int{0, 5, 8, 16, 32, 40, 72, 400} {
				s.box.Inject(append([]byte{'C', kind}, make([]byte, n)...))
			}
		}
		s.box.Inject(nil)
	}
	console.open()
	host.open()
	for _, s := range []*side{console, host} {
		s.box.Inject(append([]byte{'C', 6}, make([]byte, 24)...)) // a forged want
		s.box.Inject(append([]byte{'C', 1}, make([]byte, 40)...)) // a forged ask
	}
	if err := console.Control().Send([]byte("unmoved")); err != nil {
		t.Fatal(err)
	}
	if got := string(receive(t, host.Control())); got != "unmoved" {
		t.Errorf("got %q", got)
	}
	if n := console.Stats().Connections; n != 1 {
		t.Errorf("%d connections", n)
	}
}

func BenchmarkRoundTrip20Bytes(b *testing.B) {
	cc, hc := peertest.Configs()
	host, console := peer.Listen(b.Context(), hc), peer.Dial(b.Context(), cc)
	defer func() {
		for _, l := range []*peer.Link{console, host} {
			if err := l.Close(context.Background(), "over"); err != nil {
				b.Error(err)
			}
		}
		cc.Mailbox.(*peertest.Mailbox).Close()
		hc.Mailbox.(*peertest.Mailbox).Close()
	}()
	if err := console.Input().Writable(b.Context(), 0); err != nil {
		b.Fatal(err)
	}
	if err := host.Input().Writable(b.Context(), 0); err != nil {
		b.Fatal(err)
	}
	go func() {
		for m := range host.Input().Receive() {
			if err := host.Input().Send(m); err != nil {
				return
			}
		}
	}()
	msg := make([]byte, 20)
	all := make([]time.Duration, 0, b.N)
	b.ResetTimer()
	for i := range b.N {
		time.Sleep(5 * time.Millisecond) // idle between messages, as with a hand on the mouse
		binary.LittleEndian.PutUint64(msg, uint64(i))
		t := time.Now()
		if err := console.Input().Send(msg); err != nil {
			b.Fatal(err)
		}
		<-console.Input().Receive()
		all = append(all, time.Since(t))
	}
	b.StopTimer()
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "µs-median")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "µs-p99")
}
