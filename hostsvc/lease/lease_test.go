package lease

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"daypass/backend/fault"
)

type world struct {
	real, bootAt time.Time
	skew         time.Duration
	boot         int
	on           bool
}

func (w *world) read() Reading {
	return Reading{Wall: w.real.Add(w.skew), Mono: w.real.Sub(w.bootAt), Boot: fmt.Sprint(w.boot)}
}

// Four days of a computer that is switched on and off, with and without network, with a true clock and with one that an
// adversary sets as it likes, stored and read again at every step.
func simulate(t *testing.T, seed uint64, adversary bool) {
	r := rand.New(rand.NewPCG(seed, 7))
	t0 := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	w := &world{real: t0, bootAt: t0.Add(-time.Hour), on: true}
	rec := Begin(t0.Add(Limit), t0, w.read())
	var served time.Duration
	const step = 5 * time.Minute
	online := true
	for w.real.Before(t0.Add(96 * time.Hour)) {
		switch r.IntN(60) {
		case 0:
			online = !online
		case 1:
			if w.on = !w.on; w.on {
				w.boot++
				w.bootAt = w.real
			}
		case 2:
			if adversary {
				w.skew = time.Duration(r.Int64N(int64(200*time.Hour))) - 100*time.Hour
			}
		}
		w.real = w.real.Add(step)
		if !w.on {
			continue
		}
		var srv time.Time
		if online {
			srv = w.real
		}
		s := rec.Tick(w.read(), srv)
		b, err := json.Marshal(rec)
		if err != nil {
			t.Fatal(err)
		}
		if rec, err = ParseRecord(b); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if s == Active {
			served += step
			if online && w.real.After(t0.Add(Limit)) {
				t.Fatalf("seed %d: active and online after the end", seed)
			}
			if !adversary && w.real.After(t0.Add(Limit+step)) {
				t.Fatalf("seed %d: active after the end with a good clock", seed)
			}
		}
		if s == Expired && w.real.Before(t0.Add(Limit-2*step)) && !adversary {
			t.Fatalf("seed %d: expired early at %v", seed, w.real.Sub(t0))
		}
		if s == Expired && rec.Left() != 0 {
			t.Fatalf("seed %d: expired with %v left", seed, rec.Left())
		}
	}
	if served > Limit+step {
		t.Fatalf("seed %d: served %v", seed, served)
	}
}

func TestNeverLongerAndNeverEarly(t *testing.T) {
	for i := range uint64(100) {
		simulate(t, i, false)
		simulate(t, i, true)
	}
}

func TestFaultyClocks(t *testing.T) {
	t0 := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	m := time.Hour
	at := func(d, mono time.Duration, boot string) Reading {
		return Reading{Wall: t0.Add(d), Mono: mono, Boot: boot}
	}
	for name, c := range map[string]struct {
		expires time.Duration
		read    Reading
		server  time.Duration // after t0; 0: not reachable
		want    State
	}{
		"set back 10 days while running offline":     {Limit, at(-240*time.Hour, m+25*time.Hour, "a"), 0, Expired},
		"set forward 10 days, offline":               {Limit, at(240*time.Hour, m+time.Minute, "a"), 0, Suspended},
		"set forward 10 days, online":                {Limit, at(240*time.Hour, m+time.Minute, "a"), time.Minute, Active},
		"dead battery: boots in 2019, offline":       {Limit, Reading{time.Date(2019, 1, 1, 0, 0, 0, 0, time.UTC), time.Minute, "b"}, 0, Active},
		"off for 30 h, boots offline":                {Limit, at(30*time.Hour, time.Minute, "b"), 0, Suspended},
		"off for 30 h, boots online":                 {Limit, at(30*time.Hour, time.Minute, "b"), 30 * time.Hour, Expired},
		"off for 3 h, boots offline":                 {Limit, at(3*time.Hour, time.Minute, "b"), 0, Active},
		"asleep for 25 h (monotonic counts sleep)":   {Limit, at(25*time.Hour, m+25*time.Hour, "a"), 0, Expired},
		"server grants 10 years":                     {87600 * time.Hour, at(25*time.Hour, m+25*time.Hour, "a"), 25 * time.Hour, Expired},
		"server grants one hour":                     {time.Hour, at(2*time.Hour, m+2*time.Hour, "a"), 0, Expired},
		"monotonic clock went back under one name":   {Limit, at(3*time.Hour, time.Minute, "a"), 0, Active},
		"server's clock runs two days fast, is told": {Limit, at(time.Minute, m+time.Minute, "a"), 48 * time.Hour, Expired},
	} {
		r := Begin(t0.Add(c.expires), t0, at(0, m, "a"))
		var server time.Time
		if c.server != 0 {
			server = t0.Add(c.server)
		}
		if got := r.Tick(c.read, server); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		if c.want == Expired {
			if got := r.Tick(at(0, m, "a"), t0); got != Expired {
				t.Errorf("%s: came back to life as %s", name, got)
			}
		}
	}
}

// steps is what a computer goes through after activation.
type step struct {
	wall, mono time.Duration // wall: by its own clock, after activation
	boot       string
	server     time.Duration // the server's time after activation; 0: not reachable
	want       State
}

func TestLivesOfFaultyComputers(t *testing.T) {
	t0 := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	const h = time.Hour
	epoch := -t0.Sub(time.Unix(0, 0)) // a clock that lost its battery
	for name, life := range map[string][]step{
		"off for 30 h, no network: waits a while for the server, then it is over": {
			{2 * h, 3 * h, "a", 2 * h, Active}, {32 * h, 5 * time.Second, "b", 0, Suspended}, {32*h + 95*time.Second, 100 * time.Second, "b", 0, Expired},
		},
		"off for 30 h, no network, started when that is over": {
			{2 * h, 3 * h, "a", 2 * h, Active}, {32 * h, 2 * time.Minute, "b", 0, Expired},
		},
		"off for 30 h, the server is there": {{32 * h, 5 * time.Second, "b", 32 * h, Expired}},
		"off for one hour with a clock set forward two days, the server is there": {
			{2 * h, 3 * h, "a", 2 * h, Active}, {51 * h, 5 * time.Second, "b", 3 * h, Active}, {52 * h, h, "b", 0, Suspended}, {5 * h, 2 * h, "b", 0, Active},
		},
		"the same, the server comes within that time": {
			{51 * h, 5 * time.Second, "b", 0, Suspended}, {51*h + 30*time.Second, 35 * time.Second, "b", 3 * h, Active}, {52 * h, h, "b", 0, Suspended},
		},
		"forward two days and back while running, no network": {
			{h, 2 * h, "a", 0, Active}, {49 * h, 2*h + time.Minute, "a", 0, Suspended}, {2 * h, 3 * h, "a", 0, Active}, {24 * h, 25 * h, "a", 0, Expired},
		},
		"forward two days while running, then a restart, no network: the boot adds nothing": {
			{49 * h, 2 * h, "a", 0, Suspended}, {49*h + 10*time.Minute, 9 * time.Minute, "b", 0, Suspended}, {50 * h, h, "b", 0, Suspended}, {2 * h, 2 * h, "b", 0, Active},
		},
		"the battery is dead: 1970 at each boot, never longer than the day of use": {
			{epoch, time.Minute, "b", 0, Active},
			{epoch + 10*h, 10 * h, "b", 0, Active},
			{epoch, time.Minute, "c", 0, Active},
			{epoch + 15*h, 15 * h, "c", 0, Expired},
		},
		"1970, and the network sets it right": {
			{epoch, time.Minute, "b", 0, Active}, {3 * h, 2 * time.Minute, "b", 0, Active}, {3*h + time.Minute, 3 * time.Minute, "b", 3 * h, Active},
		},
		"1970, a restart before it was set right, then right": {
			{epoch, time.Minute, "b", 0, Active}, {3 * h, time.Minute, "c", 0, Active}, {26 * h, 23*h + 10*time.Minute, "c", 0, Suspended}, {27 * h, 23*h + 20*time.Minute, "c", 26 * h, Expired},
		},
		"asleep for ten hours": {{10 * h, 11 * h, "a", 0, Active}, {24 * h, 25 * h, "a", 0, Expired}},
		"network away for ten hours, with the clock set back each hour": {
			{-h, 2 * h, "a", 0, Active}, {-2 * h, 8 * h, "a", 0, Active}, {-20 * h, 25 * h, "a", 0, Expired},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := Begin(t0.Add(Limit), t0, Reading{Wall: t0, Mono: h, Boot: "a"})
			for i, s := range life {
				var server time.Time
				if s.server != 0 {
					server = t0.Add(s.server)
				}
				if got := r.Tick(Reading{Wall: t0.Add(s.wall), Mono: s.mono, Boot: s.boot}, server); got != s.want {
					t.Fatalf("step %d: %s, want %s (%+v)", i+1, got, s.want, r)
				}
				b, err := json.Marshal(r)
				if err != nil {
					t.Fatal(err)
				}
				if r, err = ParseRecord(b); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestSaveReplacesDurablyAndLoadRefusesDamage(t *testing.T) {
	p := filepath.Join(t.TempDir(), "lease.json")
	r := Begin(time.Now().Add(Limit), time.Now(), Now())
	for range 3 {
		r.Tick(Now(), time.Time{})
		if err := r.Save(p); err != nil {
			t.Fatal(err)
		}
		if got, err := Load(p); err != nil || got != r {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	if e, err := os.ReadDir(filepath.Dir(p)); err != nil || len(e) != 1 {
		t.Errorf("temporary files are left: %v, %v", e, err)
	}
	if s, err := os.Stat(p); err != nil || s.Mode().Perm() != 0o600 && runtime.GOOS != "windows" { // which has no modes
		t.Errorf("mode %v, %v", s.Mode(), err)
	}
	for _, bad := range [][]byte{nil, []byte("{"), []byte(`{"used":-1,"expires":"2026-11-22T12:00:00Z"}`), bytes.Repeat([]byte(" "), 9000)} {
		if err := os.WriteFile(p, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(p); fault.KindOf(err) != fault.Corrupt {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
}

func TestThisComputersClocks(t *testing.T) {
	a := Now()
	b := Now()
	if a.Boot == "" || a.Boot != b.Boot || b.Mono < a.Mono || a.Mono <= 0 {
		t.Errorf("%+v then %+v", a, b)
	}
}

func FuzzParseRecord(f *testing.F) {
	b, err := json.Marshal(Begin(time.Unix(1e9, 0), time.Unix(1e9, 0), Reading{}))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRecord(b)
		if err != nil {
			return
		}
		if l := r.Left(); l < 0 || l > Limit {
			t.Fatalf("%s: %v left", b, l)
		}
		r.Tick(Reading{Wall: time.Unix(2e9, 0), Mono: time.Hour, Boot: "x"}, time.Time{})
	})
}

// Each warning comes once by the time that counts, also after the record was
// stored and read again, and whatever the wall clock says.
func TestWarnings(t *testing.T) {
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	at := func(passed time.Duration) Reading {
		return Reading{Wall: now.Add(100*24*time.Hour - passed), Mono: passed, Boot: "a"} // a wall clock that runs backwards, far ahead
	}
	r := Begin(now.Add(Limit), now, at(0))
	var told []int
	for _, left := range []time.Duration{Limit - time.Second, 61 * time.Minute, 59 * time.Minute, 58 * time.Minute, 11 * time.Minute, 10 * time.Minute, time.Second} {
		r.Tick(at(Limit-left), now.Add(Limit-left))
		if m := r.Warn(); m != 0 {
			told = append(told, m)
		}
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if r, err = ParseRecord(b); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(told, []int{60, 10}) {
		t.Fatal(told)
	}
	if r.Tick(at(Limit), now.Add(Limit)) != Expired || r.Warn() != 0 {
		t.Fatal("warned at the end")
	}
	// Off until nine minutes before the end: only the last one is given.
	r = Begin(now.Add(Limit), now, at(0))
	r.Tick(Reading{Wall: now, Mono: time.Second, Boot: "b"}, now.Add(Limit-9*time.Minute))
	if r.Warn() != 10 || r.Warn() != 0 {
		t.Fatal(r.Warned)
	}
}
