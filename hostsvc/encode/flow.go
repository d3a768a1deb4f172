package encode

import "time"

// Bounds of the window: bytes in flight that the receiver has not acknowledged.
const (
	minWindow = 24 << 10
	maxWindow = 2 << 20
	// maxUpdate is about the most bytes of one update: a large change goes in
	// several, so that encoding, network and decoding overlap and the channel's
	// own queue (4 MiB) is never full.
	maxUpdate = 512 << 10
	// queueTime is how much delay beyond the path's own the window may make.
	queueTime = 80 * time.Millisecond
	// firstRate in bytes a second is believed until the first measurement.
	firstRate = 4 << 20
	// thinRate is where photographs go lossy first.
	thinRate = 1 << 20
	maxOpen  = 32 // updates in flight

	// Under load updates leave at most at this rate; a burst after rest leaves
	// at once.
	updateEvery = time.Second / 60
	burst       = 4
)

// flow decides when the next update may leave, from what the receiver
// acknowledged: a window of rate x (delay + queueTime). One goroutine uses it.
type flow struct {
	open    []sentUpdate
	bytes   int // in open
	rate    float64
	known   bool // rate was measured
	lastAck time.Time
	rttMin  time.Duration
	rtt     time.Duration // smoothed, for the statistics
	oldMin  time.Duration // rttMin of the epoch before
	minAge  time.Time
	blocked bool // the window was full since the last sample

	credit float64 // of updateEvery, at most burst
	filled time.Time
}

type sentUpdate struct {
	seq   uint32
	bytes int
	at    time.Time
}

func (f *flow) reset() {
	f.open, f.bytes, f.blocked = f.open[:0], 0, false
}

func (f *flow) window() int {
	r := f.rate
	if r == 0 {
		r = firstRate
	}
	w := int(r * (f.rttMin + queueTime).Seconds())
	return min(max(w, minWindow), maxWindow)
}

// room is how many bytes may leave now; 0 when the window is full.
func (f *flow) room() int {
	n := f.window() - f.bytes
	if n <= 0 || len(f.open) >= maxOpen {
		f.blocked = true
		return 0
	}
	return n
}

// wait is how long the rate limit holds the next update back.
func (f *flow) wait(now time.Time) time.Duration {
	f.credit = min(burst, f.credit+float64(now.Sub(f.filled))/float64(updateEvery))
	f.filled = now
	if f.credit >= 1 {
		return 0
	}
	return time.Duration((1 - f.credit) * float64(updateEvery))
}

// sent puts an update into the window; one that is free goes on with the frame
// before it and does not count for the rate.
func (f *flow) sent(seq uint32, bytes int, now time.Time, free bool) {
	f.open = append(f.open, sentUpdate{seq, bytes, now})
	f.bytes += bytes
	if !free {
		f.credit--
	}
}

// ack takes all updates up to seq out of the window. It reports false for an
// acknowledgement of something never sent.
func (f *flow) ack(seq uint32, now time.Time) bool {
	n, sum := 0, 0
	for n < len(f.open) && int32(f.open[n].seq-seq) <= 0 {
		sum += f.open[n].bytes
		n++
	}
	if n == 0 {
		return true // an old one
	}
	u := f.open[n-1]
	if u.seq != seq {
		return false
	}
	f.bytes -= sum
	f.open = append(f.open[:0], f.open[n:]...)
	rtt := now.Sub(u.at)
	if f.rtt == 0 {
		f.rtt = rtt
	}
	f.rtt += (rtt - f.rtt) / 8
	if u.bytes < minWindow || f.rttMin == 0 {
		f.minimum(rtt, now)
	}
	began := u.at.Add(f.rttMin)
	if f.lastAck.After(began) {
		began = f.lastAck
	}
	f.lastAck = now
	took := max(now.Sub(began), time.Millisecond)
	sample := float64(sum) / took.Seconds()
	switch {
	case f.rate == 0 && sum >= minWindow:
		f.rate, f.known = sample, true
	case f.rate == 0:
	case sample > f.rate:
		f.rate += (sample - f.rate) / 2
	case sum >= minWindow || f.blocked:
		f.rate += (sample - f.rate) / 8
	}
	if f.bytes < f.window()/2 {
		f.blocked = false
	}
	return true
}

// minimum keeps the smallest delay of the last 10 to 20 seconds.
func (f *flow) minimum(rtt time.Duration, now time.Time) {
	if now.Sub(f.minAge) > 10*time.Second {
		f.oldMin, f.minAge = f.rttMin, now
		f.rttMin = rtt
	}
	if f.rttMin == 0 || rtt < f.rttMin {
		f.rttMin = rtt
	}
	if f.oldMin > 0 && f.oldMin < f.rttMin {
		f.rttMin, f.oldMin = f.oldMin, 0
	}
}

// thin reports whether the link is slow enough to spare photographs.
func (f *flow) thin() bool { return f.known && f.rate < thinRate }

// quality adapts the motion codec: down while the window holds updates back,
// slowly up when it does not.
func (f *flow) quality(q int) int {
	if f.blocked {
		return max(minQuality, q-5)
	}
	return min(maxQuality, q+1)
}
