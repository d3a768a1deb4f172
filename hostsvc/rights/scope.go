package rights

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"daypass/backend/fault"
)

// Scope is a folder that a lease is for, held open: every name is looked up
// below it by the system (openat), so that neither "..", an absolute name nor a
// symbolic link leads out of it, also when the folder is changed meanwhile. It
// may be used from several goroutines.
type Scope struct {
	root *os.Root
}

// OpenScope opens folder dir. It must be a folder itself, not a link to one.
func OpenScope(dir string) (*Scope, error) {
	st, err := os.Lstat(dir)
	if err == nil && !st.IsDir() {
		err = errors.New("not a folder")
	}
	if err != nil {
		return nil, fault.Wrap(err, fault.NotFound, "rights.scope", "The folder that the customer allowed is not there any more.", "Ask the customer to choose another one.")
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fault.Wrap(err, fault.Denied, "rights.scope", "The folder that the customer allowed cannot be opened.", "Ask the customer to choose another one.")
	}
	return &Scope{root}, nil
}

// Root is the folder, for everything that is to be done in it.
func (s *Scope) Root() *os.Root { return s.root }

// Check reports whether name, relative to the folder or absolute, is inside it,
// and returns it relative to the folder. It follows no link that leads out. A
// name that does not exist yet is inside when its folder is.
func (s *Scope) Check(name string) (string, error) {
	out := func(err error) (string, error) {
		return "", fault.Wrap(err, fault.Denied, "rights.scope", "The customer allowed only one folder, and this is outside of it.", "Ask the customer to allow it.")
	}
	if filepath.IsAbs(name) {
		rel, err := filepath.Rel(s.root.Name(), name)
		if err != nil {
			return out(err)
		}
		name = rel
	}
	name = filepath.Clean(name)
	if !filepath.IsLocal(name) {
		return out(errors.New("not below the folder"))
	}
	_, err := s.root.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		if _, lerr := s.root.Lstat(name); lerr == nil {
			return out(errors.New("a link to nowhere"))
		}
		_, err = s.root.Stat(filepath.Dir(name))
	}
	if err != nil {
		return out(err)
	}
	return name, nil
}

// Close gives the folder back.
func (s *Scope) Close() error { return s.root.Close() }
