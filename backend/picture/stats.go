package picture

import (
	"time"

	"daypass/backend/wire"
)

// statistics count in windows of a second; the last full one is shown.
type statistics struct {
	cfg       wire.PictureConfig
	state     wire.PictureState
	updates   uint64
	bytes     uint64
	refreshes uint64

	began     time.Time
	now, last window
}

// window is what happened in a second.
type window struct {
	took            time.Duration
	updates, bytes  int
	capture, encode time.Duration
	network, decode time.Duration
	motion          bool
}

func (s *statistics) config(c wire.PictureConfig) { s.cfg = c }

// roll starts a new window when the open one is a second old.
func (s *statistics) roll() {
	t := time.Now()
	d := t.Sub(s.began)
	if d < time.Second {
		return
	}
	s.last = s.now
	s.last.took = d
	if d > 2*time.Second {
		// Nothing happened for long: the mean over it says nothing of now.
		s.last = window{took: time.Second}
	}
	s.now, s.began = window{}, t
}

func (s *statistics) received(n int) {
	s.roll()
	s.bytes += uint64(n)
	s.now.bytes += n
}

func (s *statistics) motion(m bool) { s.now.motion = s.now.motion || m }

func (s *statistics) applied(u wire.PictureUpdate, decode time.Duration) {
	s.updates++
	s.now.updates++
	s.now.capture += time.Duration(u.Capture) * time.Microsecond
	s.now.encode += time.Duration(u.Encode) * time.Microsecond
	s.now.network += time.Duration(u.RTT) * time.Microsecond / 2
	s.now.decode += decode
}

// Stats returns figures of the last second.
func (s *Screen) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := &s.stats
	st.roll()
	w := st.last
	out := Stats{
		Width: st.cfg.Width, Height: st.cfg.Height, Display: st.cfg.Display,
		Updates: st.updates, Bytes: st.bytes, State: st.state, Refreshes: st.refreshes,
		Codec: "lossless",
	}
	if w.motion {
		out.Codec = "lossless+jpeg"
	}
	if sec := w.took.Seconds(); sec > 0 {
		out.UpdatesPerSecond = float64(w.updates) / sec
		out.KbitPerSecond = float64(w.bytes) * 8 / 1000 / sec
	}
	if n := time.Duration(w.updates); n > 0 {
		out.Capture, out.Encode, out.Network, out.Decode = w.capture/n, w.encode/n, w.network/n, w.decode/n
	}
	return out
}
