package host

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"daypass/backend/fault"
	"daypass/backend/faultpoint"
	"daypass/backend/grant"
	"daypass/backend/pairing"
	"daypass/backend/rendezvous"
	"daypass/hostsvc/lease"
	"daypass/hostsvc/removal"
	"daypass/hostsvc/rights"
)

// Files in the state folder. All are in the journal, the folder with all of
// them.
const (
	stateName = "state.json"
	leaseName = "lease.json"
	epochName = "epoch"
	maxState  = 64 << 10 // bytes
)

// stored is what lets a new process take up the session: all that is secret of
// it, so the file is 0600 in a 0700 folder.
type stored struct {
	Version    int           `json:"version"`
	Server     string        `json:"server"`
	Session    grant.ID      `json:"session"`
	Instance   string        `json:"instance"`
	Device     []byte        `json:"device"`
	Pin        []byte        `json:"pin"`
	Transcript []byte        `json:"transcript"`
	Company    string        `json:"company"`
	Technician string        `json:"technician"`
	Rights     grant.Rights  `json:"rights"`           // granted at activation
	Allowed    grant.Rights  `json:"allowed"`          // by the customer now
	Leases     *rights.Set   `json:"leases,omitempty"` // the same with its limits; nil: none has any
	LAN        bool          `json:"lan"`
	Program    string        `json:"program"`
	Grant      *grant.Signed `json:"grant,omitempty"` // nil until the server has both sides
	Since      time.Time     `json:"since"`
	EndedBy    grant.EndedBy `json:"ended_by"` // "" while it goes on
	Ended      *grant.Signed `json:"ended,omitempty"`
	Secret     string        `json:"secret,omitempty"` // the link's password, for a re-activation only
	Tries      int           `json:"tries,omitempty"`  // wrong codes, over the whole session
	Next       *renewed      `json:"next,omitempty"`   // confirmed again, not yet granted
}

// state is a session that was activated on this computer.
type state struct {
	stored
	server  *url.URL
	dev     *pairing.Device
	pin     *pairing.Pin
	grant   grant.Grant
	rec     lease.Record
	journal *removal.Journal
}

func (s *state) path(name string) string { return filepath.Join(s.journal.Dir(), name) }

// save stores everything but lease and epoch, which have files of their own.
func (s *state) save() error {
	b, err := json.Marshal(s.stored)
	if err != nil {
		return fmt.Errorf("host: %w", err)
	}
	if err := lease.WriteFile(s.path(stateName), b); err != nil {
		return fault.Wrap(err, fault.Full, "host.store", "The program cannot store what it needs.", "Make some room on the disk, then try again.")
	}
	faultpoint.Hit("host/state stored", "")
	return nil
}

// instance returns the mailbox instance the session was activated from.
func (s *state) instance() (rendezvous.Instance, error) {
	return rendezvous.ParseInstance(s.stored.Instance)
}

// epochs is the pairing.EpochStore of a session.
type epochs struct {
	mu   sync.Mutex
	path string
	last uint64
}

// Advance implements pairing.EpochStore: fsync before it returns.
func (e *epochs) Advance(epoch uint64) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if epoch <= e.last {
		return pairing.ErrReplay
	}
	if err := lease.WriteFile(e.path, []byte(fmt.Sprintf("%016x", epoch))); err != nil {
		return err
	}
	faultpoint.Hit("host/epoch stored", "")
	e.last = epoch
	return nil
}

func (e *epochs) now() uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.last
}

// parseEpoch reads what Advance wrote.
func parseEpoch(b []byte) (uint64, error) {
	d, err := hex.DecodeString(string(b))
	if err != nil || len(d) != 8 {
		return 0, errors.New("host: epoch file")
	}
	var v uint64
	for _, c := range d {
		v = v<<8 | uint64(c)
	}
	return v, nil
}

func (s *state) epochs() *epochs { return &epochs{path: s.path(epochName), last: s.pin.Epoch} }

// newState lays a just confirmed pairing down. The journal comes first.
func newState(base string, p *pair, pin *pairing.Pin, transcript [32]byte, program, lock string) (*state, error) {
	dev, err := p.dev.MarshalBinary()
	if err != nil {
		return nil, err
	}
	b, err := pin.MarshalBinary()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(base, folderPrefix+fileName(p.run.cfg.Display)+"-"+p.link.Session.String())
	j, err := removal.Start(dir)
	fresh := err == nil
	if fault.KindOf(err) == fault.Conflict { // an earlier confirm of this session, replaced by this one
		if j, err = removal.Open(dir); err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	faultpoint.Hit("host/journal begun", "")
	s := &state{
		stored: stored{
			Version: 1, Server: p.link.Server.String(), Session: p.link.Session, Instance: p.instance.String(), Device: dev, Pin: b,
			Transcript: transcript[:], Company: p.offer.Company, Technician: p.offer.Technician, Rights: pin.Rights, Allowed: pin.Rights,
			LAN: p.told.LAN, Program: program, Since: time.Now().UTC(), Secret: p.link.Secret.Text(),
		},
		server: p.link.Server, dev: p.dev, pin: pin, journal: j,
	}
	if p.act != nil {
		s.Tries = p.act.Tried()
	}
	if k := p.run.cfg.Keep; k != nil {
		for _, it := range k.Items(dir) {
			if err := j.Add(it); err != nil {
				return nil, errors.Join(err, j.Discard())
			}
		}
	}
	if err := s.laydown(program, lock); err != nil {
		if fresh { // half of it is of no use
			err = errors.Join(err, j.Discard())
		}
		return nil, err
	}
	return s, nil
}

// laydown lists what the session puts on this computer, and stores the session.
func (s *state) laydown(program, lock string) error {
	for _, it := range []removal.Item{
		{Kind: removal.Secret, Path: s.path(stateName), What: "the keys of the session"},
		{Kind: removal.File, Path: s.path(leaseName), What: "the record of the 24 hours"},
		{Kind: removal.File, Path: s.path(epochName), What: "the count of connections"},
		{Kind: removal.Secret, Path: s.path(noteName), What: "the note that tells the server", Last: true},
		{Kind: removal.File, Path: s.path(recordName), What: "the record of what was done", Last: true},
		{Kind: removal.File, Path: lock, What: "the mark that the program runs"},
	} {
		if err := s.journal.Add(it); err != nil {
			return err
		}
	}
	if program != "" {
		if err := s.journal.Add(removal.Item{Kind: removal.Program, Path: program, What: "the downloaded program"}); err != nil {
			return err
		}
	}
	return s.save()
}

// parseState reads a state file strictly. What this program would not have
// written is a fault of kind Corrupt.
func parseState(b []byte) (*state, error) {
	corrupt := func(err error) (*state, error) {
		return nil, fault.Wrap(err, fault.Corrupt, "host.state", "What this program stored about the session is damaged.", "The session ends now.")
	}
	s := &state{}
	if len(b) > maxState {
		return corrupt(errors.New("too large"))
	}
	if err := grant.Strict(b, &s.stored); err != nil {
		return corrupt(err)
	}
	var err error
	if s.Version != 1 || len(s.Transcript) != 32 {
		return corrupt(fmt.Errorf("version %d", s.Version))
	}
	if s.dev, err = pairing.ParseDevice(s.Device); err != nil {
		return corrupt(err)
	}
	if s.pin, err = pairing.ParsePin(s.stored.Pin); err != nil {
		return corrupt(err)
	}
	l, err := pairing.ParseLink(s.Server + "/s/" + s.Session.String() + "#" + pairing.Secret{}.Text())
	if err != nil || s.pin.Session != s.Session || s.pin.Role != pairing.RoleHost {
		return corrupt(errors.New("does not fit together"))
	}
	s.server = l.Server
	if _, err := s.instance(); err != nil {
		return corrupt(err)
	}
	if s.Leases != nil {
		if err := s.Leases.Check(); err != nil {
			return corrupt(err)
		}
	}
	if s.Next != nil {
		if err := s.Next.check(s.Session); err != nil {
			return corrupt(err)
		}
	}
	if s.Secret != "" {
		if _, err := pairing.ParseSecret(s.Secret); err != nil {
			return corrupt(err)
		}
	}
	if s.Grant != nil {
		if s.grant, err = openGrant(*s.Grant, s.pin, s.dev); err != nil {
			return corrupt(err)
		}
	}
	return s, nil
}

// openGrant checks the server's grant against the pairing.
func openGrant(signed grant.Signed, pin *pairing.Pin, dev *pairing.Device) (grant.Grant, error) {
	var g grant.Grant
	if err := grant.Open(pin.ServerKey, grant.ContextGrant, signed, &g); err != nil {
		return g, err
	}
	if g.Session != pin.Session || g.TechnicianKey != pin.PeerEd || g.HostKey != grant.KeyOf(dev.Ed) || !g.Expires.After(g.Issued) {
		return g, errors.New("host: the grant is for something else")
	}
	return g, nil
}

// loadState reads the session in folder dir.
func loadState(dir string) (*state, error) {
	j, err := removal.Open(dir)
	if err != nil {
		return nil, err
	}
	b, err := readSmall(filepath.Join(dir, stateName), maxState)
	if err != nil {
		return nil, err
	}
	s, err := parseState(b)
	if err != nil {
		return nil, err
	}
	s.journal = j
	if s.Grant != nil {
		if s.rec, err = lease.Load(s.path(leaseName)); err != nil {
			return nil, err
		}
	}
	if b, err := readSmall(s.path(epochName), 64); err == nil {
		if s.pin.Epoch, err = parseEpoch(b); err != nil {
			return nil, fault.Wrap(err, fault.Corrupt, "host.state", "What this program stored about the session is damaged.", "The session ends now.")
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return s, nil
}

func readSmall(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit+1))
}

// folderPrefix begins the name of a state folder; the display and the session
// follow, so that a program knows whose it is before it reads it.
const folderPrefix = "daypass-host-"

// displayOf is the display of a state folder, as fileName wrote it; "" when the
// name tells none.
func displayOf(dir string) string {
	name := strings.TrimPrefix(filepath.Base(dir), folderPrefix)
	i := strings.LastIndexByte(name, '-')
	return name[:max(i, 0)]
}

// folders lists the state folders in base.
func folders(base string) []string {
	entries, err := os.ReadDir(base)
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), folderPrefix) {
			out = append(out, filepath.Join(base, e.Name()))
		}
	}
	return out
}
