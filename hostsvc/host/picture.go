package host

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"daypass/backend/fault"
	"daypass/backend/peer"
	"daypass/backend/wire"
	"daypass/hostsvc/screen"
)

// feed carries the console's messages of the Picture channel to whatever serves
// the picture now. Between two servings it keeps the console's latest hello,
// which the next one begins with. It is safe for concurrent use.
type feed struct {
	mu    sync.Mutex
	hello []byte
	to    chan []byte
}

// run passes messages on until the channel is closed.
func (f *feed) run(from <-chan []byte) {
	for b := range from {
		f.mu.Lock()
		if wire.PictureMessageKind(b) == wire.PictureHelloKind {
			f.hello = b
		}
		if f.to != nil {
			select {
			case f.to <- b:
			default: // acknowledgements repeat themselves; a stream that stalls begins again
			}
		}
		f.mu.Unlock()
	}
}

func (f *feed) attach() <-chan []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.to = make(chan []byte, 256)
	if f.hello != nil {
		f.to <- f.hello
	}
	return f.to
}

// detach ends what attach began, unless another serving has taken its place.
func (f *feed) detach(from <-chan []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.to == from {
		f.to = nil
	}
}

// forget drops the hello of a console that is gone.
func (f *feed) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hello = nil
}

// tap is the way out of the picture, with a valve that shuts at once: capture
// may need a moment to notice that it was stopped, its pictures go nowhere. When
// close has returned nothing is sent any more. It is safe for concurrent use.
type tap struct {
	ch peer.Channel

	mu    sync.Mutex // guards all following, and what is being sent
	shut  bool
	until time.Time // then it is shut; zero: no limit
}

var errShut = fault.New(fault.Cancelled, "host.picture", "Nothing is shown now.", "")

// Send implements Sender.
func (t *tap) Send(b []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.shut || (!t.until.IsZero() && !time.Now().Before(t.until)) {
		return errShut
	}
	return t.ch.Send(b)
}

// Buffered implements Sender.
func (t *tap) Buffered() int { return t.ch.Buffered() }

func (t *tap) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.shut = true
}

func (t *tap) closed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.shut
}

// showing is one serving of the picture.
type showing struct {
	tap    *tap
	cancel context.CancelFunc
	done   chan struct{}
	from   <-chan []byte
	feed   *feed

	mu   sync.Mutex
	over *time.Timer // stops it at the limit of the right to see; nil: none
}

type serveFunc func(ctx context.Context, src screen.Source, display uint32, out Sender, feedback <-chan []byte, log *slog.Logger) error

// startShowing serves the picture until stop. ended, called from another
// goroutine, hears of an end that stop did not cause.
func startShowing(serve serveFunc, src screen.Source, display uint32, ch peer.Channel, f *feed, log *slog.Logger, ended func(error)) *showing {
	ctx, cancel := context.WithCancel(context.Background())
	s := &showing{tap: &tap{ch: ch}, cancel: cancel, done: make(chan struct{}), from: f.attach(), feed: f}
	go func() {
		defer close(s.done)
		err := serve(ctx, src, display, s.tap, s.from, log)
		if ctx.Err() == nil && !s.tap.closed() {
			if err == nil {
				err = errors.New("host: the picture ended")
			}
			ended(err)
		}
	}()
	return s
}

// limit stops the serving by itself in left from now, whatever else is busy; a
// negative one is none.
func (s *showing) limit(left time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over != nil {
		s.over.Stop()
		s.over = nil
	}
	s.tap.mu.Lock()
	defer s.tap.mu.Unlock()
	if s.tap.until = (time.Time{}); left >= 0 {
		s.tap.until = time.Now().Add(left)
		s.over = time.AfterFunc(left, s.stop)
	}
}

// stop ends the serving: from the moment it returns nothing more is sent, and
// what captures is gone or about to be; wait says so. It may be called from any
// goroutine, again too.
func (s *showing) stop() {
	s.tap.close()
	s.cancel()
	s.feed.detach(s.from)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over != nil {
		s.over.Stop()
	}
}

func (s *showing) wait() { <-s.done }
