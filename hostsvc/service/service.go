// Package service keeps the host program going while a session lasts: it puts
// an entry for the system's own service manager on the computer, so that the
// program comes back after a crash, a sign-out and a restart, and it supervises
// the program in the desktop of whoever is signed in. It must not know what a
// session is, who takes part, or how it ends: it is told whether there is still
// one, and takes itself away when there is none.
//
// # Structure
//
// Two processes, of one executable. The service lives as long as the session:
// it starts with the system or at sign-in, finds the person's desktop, and runs
// the agent in it with that person's rights and environment; where nobody is
// signed in it runs the agent without a desktop, so that keys, signaling, the
// 24 hours and the removal go on. The agent is the host: everything else.
//
// With administrator rights one more process stands above the service: it
// belongs to root, is started at boot, runs the service as the person, restarts
// it, and knows two verbs of it over a pipe: restart the computer, and take
// yourself away. It never opens a file that the person could have put there.
package service

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"daypass/backend/fault"
)

// After is what brings the program back after a restart of the computer.
// Values are sent to the console.
type After string

// What brings the program back.
const (
	Never After = ""      // nothing: this system has no place for it
	Login After = "login" // the person signs in
	Boot  After = "boot"  // the computer starts
)

// Valid reports whether a is one of these.
func (a After) Valid() bool { return a == Never || a == Login || a == Boot }

// Spec is what a manager is to keep going.
type Spec struct {
	Name    string   // neutral, [a-z0-9-], at most 60 bytes, begins with "daypass-host-"
	Program string   // absolute path of the program's own copy
	Args    []string // without secrets: everybody on the computer can read them
}

// Prefix is how every entry begins.
const Prefix = "daypass-host-"

func (s Spec) check() error {
	ok := strings.HasPrefix(s.Name, Prefix) && len(s.Name) > len(Prefix) && len(s.Name) <= 60 && filepath.IsAbs(s.Program)
	for _, c := range s.Name {
		ok = ok && (c == '-' || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
	}
	for _, a := range append([]string{s.Program}, s.Args...) {
		for _, c := range a {
			ok = ok && c >= ' ' && c != 0x7f
		}
	}
	if !ok {
		return fault.New(fault.Internal, "service.spec", "The program cannot be kept ready on this computer.", "")
	}
	return nil
}

// Item is one thing that Install puts on the computer.
type Item struct {
	Path   string
	Folder bool   // made only where it is missing, removed only when empty
	Unit   bool   // a unit of systemd, with the link that switches it on
	What   string // a plain phrase for the customer
}

// Status is what a manager knows of an entry.
type Status struct {
	Installed bool
	Running   bool
}

// Manager is a system's own way of keeping programs. Each method may be
// repeated.
type Manager interface {
	// After is what brings back what this manager keeps.
	After() After
	// Items lists all that Install would put on the computer and that is not
	// there, folders before what lies in them. Write the list down before Install.
	Items(Spec) []Item
	// Install writes the entry, so that the next start of the computer or
	// sign-in finds it. It does not start anything.
	Install(context.Context, Spec) error
	// Start runs the program now, under the manager.
	Start(context.Context, Spec) error
	// Stop ends it. The entry stays.
	Stop(context.Context, Spec) error
	// Remove takes the entry away. What runs goes on.
	Remove(context.Context, Spec) error
	// Status looks.
	Status(context.Context, Spec) (Status, error)
}

// callLimit bounds each call of a system's tools.
const callLimit = 20 * time.Second

// failed is the fault of a system's tool.
func failed(op string, err error, out []byte) error {
	text := strings.TrimSpace(string(out))
	if len(text) > 400 {
		text = text[:400]
	}
	if text != "" {
		err = fmt.Errorf("%w: %s", err, text)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fault.Wrap(err, fault.Offline, op, "This computer's service manager does not answer.", "The session goes on. After a restart start the program again.")
	}
	return fault.Wrap(err, fault.Unsupported, op, "This computer's service manager does not take the program.", "The session goes on. After a restart start the program again.")
}
