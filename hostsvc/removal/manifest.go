package removal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"daypass/backend/grant"
	"daypass/hostsvc/lease"
)

// manifestName is the manifest's file in the state folder.
const manifestName = "before.json"

const (
	maxPlaces   = 64      // folders and marks
	maxEntries  = 4096    // of one folder; a larger one is not compared
	maxManifest = 8 << 20 // bytes of the file
)

// Marks lists what cannot be seen in the file system: for each kind, by a plain
// name ("properties of the desktop's root window"), the names of what is there.
// A kind that cannot be looked at is left out.
type Marks func() map[string][]string

// listing is what one folder held: by name, what tells a change.
type listing struct {
	Entries map[string]string `json:"entries"`
	Cut     bool              `json:"cut,omitempty"`    // too large, or not readable
	Absent  bool              `json:"absent,omitempty"` // the folder was not there
}

// manifest is the state of the places we touch before we came to each.
type manifest struct {
	Places map[string]listing  `json:"places"`
	Marks  map[string][]string `json:"marks,omitempty"`
}

func list(dir string) listing {
	f, err := os.Open(dir)
	if err != nil {
		return listing{Absent: errors.Is(err, fs.ErrNotExist), Cut: !errors.Is(err, fs.ErrNotExist)}
	}
	defer f.Close()
	entries, err := f.ReadDir(maxEntries + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return listing{Cut: true}
	}
	if len(entries) > maxEntries {
		return listing{Cut: true}
	}
	l := listing{Entries: make(map[string]string, len(entries))}
	for _, e := range entries {
		mark := e.Type().String()
		if st, err := e.Info(); err == nil && st.Mode().IsRegular() {
			mark = fmt.Sprintf("%s %d %d", st.Mode(), st.Size(), st.ModTime().UnixNano())
		}
		l.Entries[e.Name()] = mark
	}
	return l
}

// touch notes the folder that path is to be put into, if that was not done.
// Folders of ours are not places: they go with everything in them.
func (m *manifest) touch(state, path string, items []Item) error {
	dir := filepath.Dir(path)
	if dir == state || slices.ContainsFunc(items, func(it Item) bool {
		return it.Kind == Folder && (dir == it.Path || strings.HasPrefix(dir, it.Path+string(filepath.Separator)))
	}) {
		return nil
	}
	if _, known := m.Places[dir]; known || len(m.Places) >= maxPlaces {
		return nil
	}
	l := list(dir)
	delete(l.Entries, filepath.Base(path)) // what is about to be ours, and the state folder that was made just now
	delete(l.Entries, filepath.Base(state))
	if m.Places == nil {
		m.Places = map[string]listing{}
	}
	m.Places[dir] = l
	return m.save(state)
}

func (m *manifest) save(state string) error {
	b, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("removal: %w", err)
	}
	return lease.WriteFile(filepath.Join(state, manifestName), b)
}

// loadManifest reads the manifest of a state folder. One that cannot be read
// is empty: then the comparison says so, and the listed things are checked
// all the same.
func loadManifest(state string) *manifest {
	f, err := os.Open(filepath.Join(state, manifestName))
	if err != nil {
		return &manifest{}
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err != nil {
		return &manifest{}
	}
	m, err := parseManifest(b)
	if err != nil {
		return &manifest{}
	}
	return m
}

// parseManifest reads what save wrote.
func parseManifest(b []byte) (*manifest, error) {
	var m manifest
	if len(b) > maxManifest {
		return nil, errors.New("removal: manifest too large")
	}
	if err := grant.Strict(b, &m); err != nil {
		return nil, err
	}
	if len(m.Places) > maxPlaces || len(m.Marks) > maxPlaces {
		return nil, errors.New("removal: too many places")
	}
	for dir := range m.Places {
		if !filepath.IsAbs(dir) || filepath.Clean(dir) != dir {
			return nil, fmt.Errorf("removal: place %.80q", dir)
		}
	}
	return &m, nil
}

// ours reports whether something is called like a thing of session's, the
// text of a grant.ID: it bears that, or our product's name and no other
// session's. What other sessions put there is theirs to remove.
func ours(name, session string) bool {
	other := false
	for _, part := range strings.FieldsFunc(name, func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
	}) {
		if id, err := grant.ParseID(part); err == nil {
			if id.String() == session {
				return true
			}
			other = true
		}
	}
	return !other && strings.Contains(strings.ToLower(name), "daypass")
}

// session is the ID that a state folder's name ends with, "" when it has none.
func session(state string) string {
	name := filepath.Base(state)
	id, err := grant.ParseID(name[strings.LastIndexByte(name, '-')+1:])
	if err != nil {
		return ""
	}
	return id.String()
}

// compare looks at every place again. left is what bears our name, came since,
// and is no item: nobody listed it, so nobody will remove it.
func (m *manifest) compare(state string, items []Item, marks Marks) (places []Place, left []string) {
	id := session(state)
	listed := map[string]bool{}
	for _, it := range items {
		listed[it.Path] = true
		listed[filepath.Dir(it.Path)] = true // the folder we work in may itself stand in a place
	}
	for _, dir := range sorted(m.Places) {
		before, after := m.Places[dir], list(dir)
		p := Place{Name: dir, Before: len(before.Entries), Unknown: before.Cut || after.Cut}
		for _, it := range items {
			if filepath.Dir(it.Path) != dir {
				continue
			}
			p.Put++
			if _, err := os.Lstat(it.Path); errors.Is(err, fs.ErrNotExist) {
				p.Gone++
			}
		}
		for name, mark := range after.Entries {
			path := filepath.Join(dir, name)
			old, was := before.Entries[name]
			switch {
			case listed[path]:
			case !was && ours(name, id):
				left = append(left, "something of this program that nobody listed ("+path+")")
			case !was || old != mark:
				p.Others++
			}
		}
		for name := range before.Entries {
			if listed[filepath.Join(dir, name)] {
				p.Before-- // ours, from before the list was begun: the program, the lock
			} else if _, is := after.Entries[name]; !is {
				p.Others++
			}
		}
		p.After = len(after.Entries)
		places = append(places, p)
	}
	p, l := m.compareMarks(id, marks)
	places, left = append(places, p...), append(left, l...)
	slices.Sort(left)
	return places, left
}

func (m *manifest) compareMarks(id string, marks Marks) (places []Place, left []string) {
	if len(m.Marks) == 0 {
		return nil, nil
	}
	now := map[string][]string{}
	if marks != nil {
		now = marks()
	}
	for _, kind := range sorted(m.Marks) {
		before, after := m.Marks[kind], now[kind]
		p := Place{Name: kind, Before: len(before), After: len(after)}
		if _, there := now[kind]; !there {
			p.Unknown = true
		}
		for _, name := range after {
			switch {
			case slices.Contains(before, name):
			case ours(name, id):
				left = append(left, kind+": "+name)
			default:
				p.Others++
			}
		}
		places = append(places, p)
	}
	return places, left
}

func sorted[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// Mark notes what marks says now, once; and is asked again by the check. It is
// called before the first thing is put on the desktop.
func (j *Journal) Mark(marks Marks) error {
	j.marks = marks
	if marks == nil || j.before.Marks != nil {
		return nil
	}
	j.before.Marks = marks()
	return j.before.save(j.dir)
}

// Watch lists the folders dirs as they are, though nothing of ours is put
// there: a check of places where things of ours could come to lie unlisted.
func (j *Journal) Watch(dirs ...string) error {
	for _, dir := range dirs {
		if err := j.before.touch(j.dir, filepath.Join(filepath.Clean(dir), "-"), j.items); err != nil {
			return err
		}
	}
	return nil
}
