// Package removal takes back everything that the host program put on a
// computer, and shows that it did. Each thing is written into a journal before
// it is put there, so that a crash at any moment leaves nothing unknown; each
// step may be repeated; the end is a check that every thing is gone. It must
// not know sessions, servers or windows, and it removes only what its journal
// names.
package removal

import (
	"bytes"
	"context"
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
)

// journalName is the journal's file in the state folder.
const journalName = "journal.json"

// folderPrefix is how a folder must be called to be removed with what is in it.
const folderPrefix = "daypass-host-"

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
}

// Journal is the list of things. It is stored in the state folder and is its
// first file. It is not safe for concurrent use.
type Journal struct {
	dir   string
	items []Item
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
	j := &Journal{dir: dir}
	if err := j.Add(Item{Kind: Folder, Path: dir, What: "the session's folder with its keys"}); err != nil {
		return nil, errors.Join(err, os.Remove(dir))
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
	return &Journal{dir: dir, items: items}, nil
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
	switch it.Kind {
	case File, Secret, Program:
		return nil
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

// Report is what a removal did: what was there before, and what still is.
type Report struct {
	Removed []string `json:"removed"` // phrases of what is gone
	Left    []string `json:"left"`    // phrases of what is not, with its path
	Clean   bool     `json:"clean"`   // nothing is left
}

// Lines returns the report for people, at most 60 lines.
func (r Report) Lines() []string {
	var out []string
	for _, s := range r.Removed {
		out = append(out, "removed: "+s)
	}
	for _, s := range r.Left {
		out = append(out, "left: "+s)
	}
	if len(out) > maxLines {
		out = append(out[:maxLines-1], fmt.Sprintf("and %d more", len(out)-maxLines+1))
	}
	return out
}

// Hash is SHA-256 over the report's lines, each ended by a newline, as signed
// in grant.Removed.
func (r Report) Hash() [32]byte { return HashLines(r.Lines()) }

// HashLines is the hash of lines as Report.Hash makes it.
func HashLines(lines []string) [32]byte {
	return grant.HashReport(lines)
}

// Run removes everything listed, the newest first and the state folder with
// the journal last, and then looks whether each thing is gone. It may be
// repeated after a crash or by another process. step, which may be nil, is
// told the number of steps done and of all. A cancelled ctx stops between
// steps; what was not reached is reported as left, and the folder with the
// journal stays so that it can be finished.
func (j *Journal) Run(ctx context.Context, step func(done, all int)) Report {
	if step == nil {
		step = func(int, int) {}
	}
	var r Report
	order := slices.Clone(j.items)
	slices.Reverse(order)
	slices.SortStableFunc(order, func(a, b Item) int { // folders last, the state folder last of all
		return rank(a, j.dir) - rank(b, j.dir)
	})
	failed := map[string]error{}
	for i, it := range order {
		step(i, len(order))
		if ctx.Err() != nil {
			failed[it.Path] = ctx.Err()
			continue
		}
		if it.Path == j.dir && len(failed) > 0 {
			continue // keep the list of what is to be finished; the secrets go now
		}
		if err := remove(it); err != nil {
			failed[it.Path] = err
		}
	}
	if len(failed) > 0 {
		for _, it := range order {
			if it.Kind == Secret {
				wipe(it.Path)
			}
		}
	}
	step(len(order), len(order))
	for _, it := range order { // the check does not ask what we did, only what is there
		if _, err := os.Lstat(it.Path); errors.Is(err, fs.ErrNotExist) {
			r.Removed = append(r.Removed, it.What)
		} else {
			r.Left = append(r.Left, it.What+" ("+it.Path+")")
		}
	}
	r.Clean = len(r.Left) == 0
	return r
}

func rank(it Item, state string) int {
	switch {
	case it.Path == state:
		return 2
	case it.Kind == Folder:
		return 1
	}
	return 0
}

func remove(it Item) error {
	st, err := os.Lstat(it.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if it.Kind == Folder {
		if !st.IsDir() {
			return os.Remove(it.Path) // somebody put a link there: only the link goes
		}
		if entries, err := os.ReadDir(it.Path); err == nil {
			for _, e := range entries {
				if e.Type().IsRegular() {
					wipe(filepath.Join(it.Path, e.Name()))
				}
			}
		}
		return os.RemoveAll(it.Path)
	}
	if st.IsDir() {
		return fmt.Errorf("removal: %s is a folder", it.Path)
	}
	if it.Kind == Secret && st.Mode().IsRegular() {
		wipe(it.Path)
	}
	return os.Remove(it.Path)
}

// wipe overwrites a small file, as well as a file system lets one.
func wipe(path string) {
	st, err := os.Lstat(path)
	if err != nil || !st.Mode().IsRegular() || st.Size() > maxJournal || filepath.Base(path) == journalName {
		return
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer f.Close()
	if _, err := f.Write(make([]byte, st.Size())); err == nil {
		_ = f.Sync() // best effort: the file is unlinked next
	}
}
