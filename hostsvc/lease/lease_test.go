package lease

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
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
	if s, err := os.Stat(p); err != nil || s.Mode().Perm() != 0o600 {
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
