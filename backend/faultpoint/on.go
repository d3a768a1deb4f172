//go:build fault

package faultpoint

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
)

// Armed is whether this build can be killed at its steps.
const Armed = true

// Env names the step at which this process kills itself, as NAME:N: the N-th
// time, from 1 on, that a step of this name is reached. A name that ends in *
// stands for all that begin so. With 0 nothing is killed, and each of them is
// told on standard error: "point N: NAME".
const Env = "DAYPASS_FAULT"

var point struct {
	once   sync.Once
	name   string
	prefix bool
	at     int
	mu     sync.Mutex // guards hits
	hits   int
}

// Hit is a step of the protocol; what, which may be empty, says which one of
// several.
func Hit(step, what string) {
	point.once.Do(func() {
		v := os.Getenv(Env)
		i := strings.LastIndexByte(v, ':')
		if i < 0 {
			return
		}
		n, err := strconv.Atoi(v[i+1:])
		if err != nil || n < 0 {
			fmt.Fprintf(os.Stderr, "faultpoint: %s=%q\n", Env, v)
			os.Exit(2)
		}
		point.name, point.prefix = strings.CutSuffix(v[:i], "*")
		point.at = n
	})
	if point.name == "" && !point.prefix {
		return
	}
	name := step
	if what != "" {
		name += " " + what
	}
	if name != point.name && (!point.prefix || !strings.HasPrefix(name, point.name)) {
		return
	}
	point.mu.Lock()
	defer point.mu.Unlock()
	point.hits++
	if point.at == 0 || point.hits == point.at {
		fmt.Fprintf(os.Stderr, "point %d: %s\n", point.hits, name)
	}
	if point.hits != point.at {
		return
	}
	p, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = p.Kill() // the signal that nobody can catch
	}
	if err != nil {
		panic(err)
	}
	select {} // the lock is kept: no other step is reached
}

// types of the activation's messages (backend/pairing).
var types = []string{1: "host hello", "console hello", "host share", "console share", "host confirm", "console confirm", "done", "status", "ready", "reject", "waiting"}

// Message is Hit for a mailbox message, told apart by its type.
func Message(step string, b []byte) {
	switch {
	case len(b) > 2 && b[0] == 'A' && int(b[2]) < len(types):
		Hit(step, types[b[2]])
	case len(b) > 0 && b[0] == 'C':
		Hit(step, "connection")
	}
}
