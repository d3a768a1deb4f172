package host

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"

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

func (f *feed) detach() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.to = nil
}

// forget drops the hello of a console that is gone.
func (f *feed) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hello = nil
}

// tap is the way out of the picture, with a valve that shuts at once: capture
// may need a moment to notice that it was stopped, its pictures go nowhere.
type tap struct {
	ch   peer.Channel
	shut atomic.Bool
}

var errShut = fault.New(fault.Cancelled, "host.picture", "Nothing is shown now.", "")

// Send implements Sender.
func (t *tap) Send(b []byte) error {
	if t.shut.Load() {
		return errShut
	}
	return t.ch.Send(b)
}

// Buffered implements Sender.
func (t *tap) Buffered() int { return t.ch.Buffered() }

// showing is one serving of the picture.
type showing struct {
	tap    *tap
	cancel context.CancelFunc
	done   chan struct{}
}

type serveFunc func(ctx context.Context, src screen.Source, display uint32, out Sender, feedback <-chan []byte, log *slog.Logger) error

// startShowing serves the picture until stop. ended, called from another
// goroutine, hears of an end that stop did not cause.
func startShowing(serve serveFunc, src screen.Source, display uint32, ch peer.Channel, f *feed, log *slog.Logger, ended func(error)) *showing {
	ctx, cancel := context.WithCancel(context.Background())
	s := &showing{tap: &tap{ch: ch}, cancel: cancel, done: make(chan struct{})}
	from := f.attach()
	go func() {
		defer close(s.done)
		err := serve(ctx, src, display, s.tap, from, log)
		if ctx.Err() == nil && !s.tap.shut.Load() {
			if err == nil {
				err = errors.New("host: the picture ended")
			}
			ended(err)
		}
	}()
	return s
}

// stop ends the serving: from the moment it returns nothing more is sent, and
// what captures is gone or about to be; wait says so.
func (s *showing) stop(f *feed) {
	s.tap.shut.Store(true)
	s.cancel()
	f.detach()
}

func (s *showing) wait() { <-s.done }
