// Package picture is the console half of the picture path: it takes the
// messages of Link.Picture, keeps an exact copy of the remote display and
// hands the newest state to the page as view frames. The host is a stranger
// to it: every size, count and byte is checked before it is used. It must not
// know connections, pages or sessions.
package picture

import (
	"context"
	"image"
	"sync"
	"time"

	"daypass/backend/fault"
	"daypass/backend/wire"
)

// Options are what a Screen may be given beside the stream; the zero value is
// a plain screen.
type Options struct {
	// Tap is called with every message that Packet accepted, before Packet
	// returns and from its goroutine: a recorder writes what arrived. It must
	// copy what it keeps.
	Tap func(message []byte)
}

// Stats are figures of the last second of picture, by stage. Durations are
// means over the updates of that time, 0 when there were none.
type Stats struct {
	Width, Height    int           // of the display; 0 before the first picture
	Display          uint32        // which display
	Updates          uint64        // applied since the screen was made
	Bytes            uint64        // received since the screen was made
	UpdatesPerSecond float64       // applied
	KbitPerSecond    float64       // received
	Capture          time.Duration // host: reading the display
	Encode           time.Duration // host: copies, tiles, motion, compression
	Network          time.Duration // half of the round trip the host measures
	Decode           time.Duration // here: complete update to surface
	Codec            string        // "lossless" or "lossless+jpeg", by what was used in that time
	State            wire.PictureState
	Refreshes        uint64 // streams asked for anew because one could not be applied
}

// State words for people, by wire.PictureState; nil while the picture is live.
func stateFault(s wire.PictureState) *fault.Error {
	switch s {
	case wire.PictureLocked:
		return fault.New(fault.Unsupported, "picture.state", "The remote computer's session is locked.", "Ask the customer to unlock it.")
	case wire.PictureOff:
		return fault.New(fault.Unsupported, "picture.state", "The remote computer's display is switched off to save power.", "Move the pointer or press a key to wake it.")
	case wire.PictureNoDisplay:
		return fault.New(fault.Unsupported, "picture.state", "The remote computer has no display that could be shown.", "Ask the customer to log in at the desktop.")
	case wire.PictureFailed:
		return fault.New(fault.Unsupported, "picture.state", "The remote computer cannot read its display at the moment.", "It tries again by itself.")
	}
	return nil
}

// Screen is the exact copy of one remote display. Packet is called by one
// goroutine, Next by one other; everything else from anywhere. It starts no
// goroutines and needs no closing.
type Screen struct {
	opts     Options
	feedback chan []byte
	wake     chan struct{} // 1: something newer for Next

	dec decoder // owned by Packet's goroutine

	mu sync.Mutex
	// mu guards all following
	surface *image.RGBA
	view    viewState
	stats   statistics
}

// NewScreen returns a screen without a picture. Its hello waits in Feedback.
func NewScreen(opts Options) *Screen {
	s := &Screen{opts: opts, feedback: make(chan []byte, 16), wake: make(chan struct{}, 1)}
	s.Refresh()
	return s
}

// Feedback gives the messages to send back on Link.Picture, in order: one
// hello at the start, acknowledgements, refreshes. Acknowledgements coalesce
// when nobody takes them. The channel is never closed; the receiver owns what
// it gets.
func (s *Screen) Feedback() <-chan []byte { return s.feedback }

// Snapshot returns a copy of the display now, or nil before the first picture.
func (s *Screen) Snapshot() *image.RGBA {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.surface == nil {
		return nil
	}
	c := image.NewRGBA(s.surface.Rect)
	copy(c.Pix, s.surface.Pix)
	return c
}

// State returns why no picture comes, with words for people, or nil while the
// picture is live.
func (s *Screen) State() *fault.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return stateFault(s.stats.state)
}

var _ interface {
	Next(ctx context.Context, dst []byte) ([]byte, error)
	Invalidate()
} = (*Screen)(nil)
