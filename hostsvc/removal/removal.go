// Package removal takes back everything that the host program put on a
// computer, and shows that it did. It must not know sessions, servers or
// windows, and it removes only what its journal names.
//
// # How it survives a crash
//
// Each thing is written into the journal before it is put there (Add), so that
// a crash at any moment leaves nothing unknown. Removal is an ordered list of
// steps, one a thing. Each step is idempotent; before it begins and when it is
// done a line goes durably into the log of steps. Whoever opens the journal next
// goes on where the log ends: a step that was done is not done again, because
// what stands at its path by then is somebody else's. There are two phases: Run
// removes everything but the things marked Last, Finish removes those when the
// server has been told. Until then the program, its unit and its note are there
// to be started again.
//
// # How it shows that nothing is left
//
// Before the first thing is put into a folder, the folder is listed (the
// manifest). The check at the end asks the file system, not the log: every
// listed thing must be gone, and nothing else that bears our name may have
// come into the folders we touched. What other programs changed there is
// counted, never named.
package removal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/hostsvc/lease"
)

// Kind is what sort of thing an Item is.
type Kind string

// The kinds of things. Values are stored.
const (
	File    Kind = "file"    // a file of ours
	Secret  Kind = "secret"  // a file of ours that holds keys: overwritten first
	Program Kind = "program" // the downloaded program itself
	Folder  Kind = "folder"  // a folder of ours with everything in it
	Parent  Kind = "parent"  // a folder that was made for something of ours: goes when nobody else uses it
	System  Kind = "system"  // a thing that belongs to root, whose own service takes it away; it is waited for
	Unit    Kind = "unit"    // a systemd unit file of ours: disabled, then removed with its links, then the manager reloads
)

// journalName is the journal's file in the state folder.
const journalName = "journal.json"

// folderPrefix is how a folder must be called to be removed with what is in it,
// unitPrefix how a unit must be called to be touched at all.
const (
	folderPrefix = "daypass-host-"
	unitPrefix   = "daypass-host"
)

const (
	maxItems   = 4096
	maxJournal = 1 << 20 // bytes
	maxLines   = 60      // of a report
)

// Item is one thing that was put on the computer.
type Item struct {
	Kind Kind   `json:"kind"`
	Path string `json:"path"` // absolute
	What string `json:"what"` // a plain phrase for the customer
	// Last things are what brings an interrupted removal back after a crash or a
	// start of the computer (the installed program, its unit, its autostart entry)
	// and the note that tells the server. They stay through Run and go in Finish,
	// when there is nothing more to be brought back for.
	Last bool `json:"last,omitempty"`
	// User: of a Unit, that it belongs to the user's manager, not to the system's.
	User bool `json:"user,omitempty"`
}

// Journal is the list of things. It is stored in the state folder and is its
// first file. It is not safe for concurrent use.
type Journal struct {
	dir    string
	items  []Item
	before *manifest
	steps  *stepLog
	marks  Marks
}

// Start makes the state folder dir (mode 0700, its name beginning with
// "daypass-host-", its parent existing) and an empty journal in it. The folder
// itself is the first item. A folder that exists is a fault of kind Conflict.
func Start(dir string) (*Journal, error) {
	if !filepath.IsAbs(dir) || !strings.HasPrefix(filepath.Base(dir), folderPrefix) {
		return nil, fault.New(fault.Internal, "removal.start", "The program's folder has a wrong name.", "")
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil, fault.Wrap(err, fault.Conflict, "removal.start", "This session was begun on this computer before.", "Close the other window of this program first.")
		}
		return nil, fault.Wrap(err, fault.Of(err).Kind, "removal.start", "The program cannot store what it needs.", "Make some room on the disk, then try again.")
	}
	j := &Journal{dir: dir, before: &manifest{}, steps: openSteps(dir)}
	if err := j.Add(Item{Kind: Folder, Path: dir, What: "the session's folder with its keys", Last: true}); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return j, nil
}

// Open reads the journal in dir.
func Open(dir string) (*Journal, error) {
	f, err := os.Open(filepath.Join(dir, journalName))
	if err != nil {
		return nil, fmt.Errorf("removal: %w", err)
	}
	defer f.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(&limited{f, maxJournal + 1}); err != nil {
		return nil, fmt.Errorf("removal: %w", err)
	}
	items, err := ParseItems(b.Bytes())
	if err != nil {
		return nil, err
	}
	return &Journal{dir: dir, items: items, before: loadManifest(dir), steps: openSteps(dir)}, nil
}

type limited struct {
	f *os.File
	n int
}

func (l *limited) Read(p []byte) (int, error) {
	if l.n <= 0 {
		return 0, fault.New(fault.Corrupt, "removal.open", "The list of what was put on this computer is damaged.", "")
	}
	n, err := l.f.Read(p[:min(len(p), l.n)])
	l.n -= n
	return n, err
}

// ParseItems reads a journal's content. What this program would not have
// written is a fault of kind Corrupt: nothing is removed by a damaged list.
func ParseItems(b []byte) ([]Item, error) {
	corrupt := func(err error) ([]Item, error) {
		return nil, fault.Wrap(err, fault.Corrupt, "removal.open", "The list of what was put on this computer is damaged.", "")
	}
	if len(b) > maxJournal {
		return corrupt(errors.New("too large"))
	}
	var items []Item
	if err := grant.Strict(b, &items); err != nil {
		return corrupt(err)
	}
	if len(items) > maxItems {
		return corrupt(errors.New("too many items"))
	}
	for _, it := range items {
		if err := it.check(); err != nil {
			return corrupt(err)
		}
	}
	return items, nil
}

func (it Item) check() error {
	if !filepath.IsAbs(it.Path) || filepath.Clean(it.Path) != it.Path || strings.ContainsRune(it.Path, 0) || filepath.Dir(it.Path) == it.Path {
		return fmt.Errorf("path %.80q", it.Path)
	}
	if it.User && it.Kind != Unit {
		return fmt.Errorf("%.20q of a user", string(it.Kind))
	}
	switch it.Kind {
	case File, Secret, Program, Parent, System:
		return nil
	case Unit:
		if name := filepath.Base(it.Path); strings.HasPrefix(name, unitPrefix) && len(name) <= 255 {
			return nil
		}
	case Folder:
		if strings.HasPrefix(filepath.Base(it.Path), folderPrefix) {
			return nil
		}
	}
	return fmt.Errorf("%.20q of name %.80q", string(it.Kind), filepath.Base(it.Path))
}

// Dir returns the state folder.
func (j *Journal) Dir() string { return j.dir }

// Add lists one thing, durably. Call it BEFORE the thing is put there. A thing
// that is listed already is not listed twice.
func (j *Journal) Add(it Item) error {
	it.Path = filepath.Clean(it.Path)
	if err := it.check(); err != nil {
		return fault.Wrap(err, fault.Internal, "removal.add", "The program cannot store what it needs.", "")
	}
	if slices.ContainsFunc(j.items, func(o Item) bool { return o.Path == it.Path }) {
		return nil
	}
	if err := j.before.touch(j.dir, it.Path, j.items); err != nil {
		return fault.Wrap(err, fault.Full, "removal.add", "The program cannot store what it needs.", "Make some room on the disk, then try again.")
	}
	items := append(slices.Clone(j.items), it)
	b, err := json.Marshal(items)
	if err != nil {
		return fmt.Errorf("removal: %w", err)
	}
	if err := lease.WriteFile(filepath.Join(j.dir, journalName), b); err != nil {
		return fault.Wrap(err, fault.Full, "removal.add", "The program cannot store what it needs.", "Make some room on the disk, then try again.")
	}
	j.items = items
	return nil
}

// Discard removes the state folder alone, for a pairing that came to nothing.
func (j *Journal) Discard() error {
	if err := remove(Item{Kind: Folder, Path: j.dir}); err != nil {
		return fmt.Errorf("removal: %w", err)
	}
	return nil
}
