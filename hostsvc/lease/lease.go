// Package lease decides whether an activated session may still be used. It
// knows three imperfect clocks: the wall clock, which may jump; the monotonic
// clock, sleep included, which starts again at boot; and the server's time,
// which is there only when the server is. It never serves more than 24 hours
// and one checkpoint whatever the clocks do, and never calls a session over
// before its time while the server answers. It must not know what a session
// is, who uses it or how it ends.
package lease

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"daypass/backend/fault"
	"daypass/backend/faultpoint"
	"daypass/backend/grant"
)

// Limit is the longest a lease lasts.
const Limit = grant.Limit

// Checkpoint is how often Tick is to be called and its result to be stored.
const Checkpoint = 30 * time.Second

// maxFile bounds a stored record in bytes.
const maxFile = 4 << 10

// Patience is how long a computer that was switched off past the end by its own
// clock waits for the server to say otherwise. Without an answer it believes
// the clock.
const Patience = 90 * time.Second

// State is what a Tick found.
type State string

// The states of a lease.
const (
	Active    State = "active"
	Suspended State = "suspended" // the wall clock alone says that it is over: refuse connections, keep everything, ask the server
	Expired   State = "expired"   // over: stop and remove
)

// Reading is one look at the clocks of this computer.
type Reading struct {
	Wall time.Time
	Mono time.Duration // since boot, sleep included
	Boot string        // another one after each boot
}

// Record is a lease. It is stored after every Tick. The zero value is not
// useful; Begin makes one.
type Record struct {
	Expires  time.Time     `json:"expires"`   // the server's end, at most Limit after activation
	Used     time.Duration `json:"used"`      // known to have passed: monotonic, and believable gaps of the wall clock
	LastWall time.Time     `json:"last_wall"` // of the latest Tick
	LastMono time.Duration `json:"last_mono"`
	Boot     string        `json:"boot"`
	High     time.Time     `json:"high"` // latest server time seen; a floor of the true time
	HighUsed time.Duration `json:"high_used"`
	Ended    bool          `json:"ended"` // final

	// Off: between two boots the wall clock went past the end. It is a cold start
	// after a long time, or a clock that was set wrong while nobody counted.
	Off bool `json:"off,omitempty"`

	// Warned is the latest of the warnings that Warn gave, in minutes; 0: none.
	Warned int `json:"warned,omitempty"`
}

// Warnings are the minutes before the end at which the customer is told, from
// the last to the first.
var Warnings = []int{10, 60}

// Warn returns which of Warnings is due, and 0 otherwise: each once, and the
// last one only where both are (this computer was off). It is called after
// Tick; the caller stores the record.
func (r *Record) Warn() int {
	left := r.Left()
	for _, m := range Warnings {
		if left > 0 && left <= time.Duration(m)*time.Minute {
			if r.Warned != 0 && r.Warned <= m {
				return 0
			}
			r.Warned = m
			return m
		}
	}
	return 0
}

// Begin starts a lease at activation. expires is the end in the server's
// signed grant, server the server's time now.
func Begin(expires, server time.Time, now Reading) Record {
	if latest := server.Add(Limit); expires.After(latest) {
		expires = latest
	}
	return Record{Expires: expires.UTC(), LastWall: now.Wall.Round(0).UTC(), LastMono: now.Mono, Boot: now.Boot, High: server.UTC()}
}

// Tick advances the lease. It is called at start, every Checkpoint, after a
// resume, and before each accepted connection. server is the server's time
// now, zero when it cannot be reached.
func (r *Record) Tick(now Reading, server time.Time) State {
	wall := now.Wall.Round(0) // without Go's own monotonic reading, which stops in sleep
	if now.Boot == r.Boot && now.Mono >= r.LastMono {
		r.Used += now.Mono - r.LastMono
	} else {
		r.Used += now.Mono
		// Switched off in between. A gap beyond Limit is not believed here; the
		// comparison of the wall clock below deals with it.
		gap := wall.Sub(r.LastWall) - now.Mono
		if gap > 0 && gap <= Limit {
			r.Used += gap
		}
		r.Off = r.LastWall.Before(r.Expires) && !wall.Before(r.Expires) && gap > 0
	}
	r.LastWall, r.LastMono, r.Boot = wall.UTC(), now.Mono, now.Boot
	if !server.IsZero() {
		if server.After(r.High) {
			r.High, r.HighUsed = server.UTC(), r.Used
		}
		if !server.Before(r.Expires) {
			r.Ended = true
		}
		r.Off = false
	}
	floor := r.High.Add(r.Used - r.HighUsed)
	switch {
	case r.Ended, r.Used >= Limit, !floor.Before(r.Expires), r.Off && !wall.Before(r.Expires) && now.Mono >= Patience:
		r.Ended = true
		return Expired
	case server.IsZero() && !wall.Before(r.Expires):
		return Suspended
	}
	return Active
}

// Left is how long the lease lasts by what is known without the server.
func (r *Record) Left() time.Duration {
	left := min(Limit-r.Used, r.Expires.Sub(r.High.Add(r.Used-r.HighUsed)))
	if r.Ended {
		return 0
	}
	return max(0, left)
}

// ParseRecord reads what Save wrote. Anything else is a fault of kind Corrupt.
func ParseRecord(b []byte) (Record, error) {
	var r Record
	bad := func(err error) (Record, error) {
		return Record{}, fault.Wrap(err, fault.Corrupt, "lease.parse", "What this program stored about the session is damaged.", "The session ends now.")
	}
	if len(b) > maxFile {
		return bad(errors.New("too large"))
	}
	if err := grant.Strict(b, &r); err != nil {
		return bad(err)
	}
	if r.Used < 0 || r.Warned < 0 || r.HighUsed < 0 || r.HighUsed > r.Used || r.LastMono < 0 || r.Expires.IsZero() || r.Used > 100*365*24*time.Hour {
		return bad(fmt.Errorf("used %v, high %v", r.Used, r.HighUsed))
	}
	return r, nil
}

// Load reads the record at path.
func Load(path string) (Record, error) {
	f, err := os.Open(path)
	if err != nil {
		return Record{}, fmt.Errorf("lease: %w", err)
	}
	defer f.Close()
	b := make([]byte, maxFile+1)
	n := 0
	for n < len(b) {
		k, err := f.Read(b[n:])
		n += k
		if err != nil {
			break
		}
	}
	return ParseRecord(b[:n])
}

// Save stores the record at path so that a crash leaves the old or the new one.
func (r Record) Save(path string) error {
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("lease: %w", err)
	}
	return WriteFile(path, b)
}

// SweepFile removes what WriteFile, killed in the middle, left beside path.
func SweepFile(path string) error {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("lease: %w", err)
	}
	for _, e := range entries {
		rest, ours := strings.CutPrefix(e.Name(), filepath.Base(path)+".")
		name, ours2 := strings.CutSuffix(rest, ".tmp")
		if !ours || !ours2 || len(name) != len(rand.Text()) || strings.ContainsRune(name, '.') || !e.Type().IsRegular() {
			continue
		}
		if err := os.Remove(filepath.Join(filepath.Dir(path), e.Name())); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("lease: %w", err)
		}
	}
	return nil
}

// WriteFile replaces path by content durably: a temporary file beside it (mode
// 0600), fsync, rename, fsync of the folder. A crash leaves the old or the new
// content.
func WriteFile(path string, content []byte) (err error) {
	tmp := path + "." + rand.Text() + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("lease: %w", err)
	}
	defer func() {
		if err != nil {
			os.Remove(tmp)
		}
	}()
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	faultpoint.Hit("host/file unnamed", filepath.Base(path))
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("lease: %w", err)
	}
	return nil
}
