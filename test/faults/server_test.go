// Package faults kills real processes (kill -9) at random and checks that
// nothing acknowledged is lost, that no limit is ever exceeded, and that
// everything comes back. It must not know how a program does its work: it
// starts programs, talks to them as their clients do, and kills them. Every run
// prints its seed; DAYPASS_FAULTS_SEED plays it again.
package faults

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

// seed returns the seed of this run, and prints it.
func seed(t *testing.T) uint64 {
	t.Helper()
	s := rand.Uint64()
	if v := os.Getenv("DAYPASS_FAULTS_SEED"); v != "" {
		var err error
		if s, err = strconv.ParseUint(v, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("DAYPASS_FAULTS_SEED=%d", s)
	return s
}

// number reads a bound of the environment.
func number(t *testing.T, name string, usual int) int {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		return usual
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q", name, v)
	}
	return n
}

// programs are compiled once for all tests, with their fault points.
var programs struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	rc := m.Run()
	if programs.dir != "" {
		if err := os.RemoveAll(programs.dir); err != nil {
			rc = 1
		}
	}
	os.Exit(rc)
}

// program returns the path of a program: signaling, host or console.
func program(t *testing.T, name string) string {
	t.Helper()
	programs.once.Do(func() {
		if programs.dir, programs.err = os.MkdirTemp("", "daypass-faults-"); programs.err != nil {
			return
		}
		for _, p := range [][]string{
			{"-tags", "fault", "-o", filepath.Join(programs.dir, "signaling"), "daypass/signaling"},
			{"-tags", "fault", "-o", filepath.Join(programs.dir, "console"), "daypass/test/faults/console"},
			{"-tags", "fault,lab", "-o", filepath.Join(programs.dir, "host"), "daypass/hostsvc"},
		} {
			if out, err := exec.Command("go", append([]string{"build"}, p...)...).CombinedOutput(); err != nil {
				programs.err = errors.Join(err, errors.New(string(out)))
				return
			}
		}
	})
	if programs.err != nil {
		t.Fatal(programs.err)
	}
	return filepath.Join(programs.dir, name)
}

// process is a server that can be killed and started again on its data.
type process struct {
	t       *testing.T
	program string
	data    string
	listen  string
	url     *url.URL

	mu  sync.Mutex // guards all following
	cmd *exec.Cmd
	log bytes.Buffer
}

func newProcess(t *testing.T) *process {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, program: program(t, "signaling"), data: filepath.Join(t.TempDir(), "data"), listen: l.Addr().String()}
	p.url = &url.URL{Scheme: "http", Host: p.listen}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("server: %s", p.log.String()[max(0, p.log.Len()-4000):])
		}
	})
	return p
}

// up starts the server and waits until it listens.
func (p *process) up() error {
	p.mu.Lock()
	c := exec.Command(p.program, "serve", "--data", p.data, "--listen", p.listen, "--no-turn")
	c.Stderr = &p.log // one process at a time, and Wait ends its writing
	err := c.Start()
	if err == nil {
		p.cmd = c
	}
	p.mu.Unlock()
	if err != nil {
		return err
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		conn, err := net.Dial("tcp", p.listen)
		if err == nil {
			return conn.Close()
		}
		if time.Now().After(end) {
			return errors.Join(errors.New("the server does not listen"), err)
		}
	}
}

// kill ends the server with the signal that nobody can catch, and waits until
// it is gone.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return
	}
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Error(err)
	}
	var exit *exec.ExitError
	if err := p.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		p.t.Error(err)
	}
	p.cmd = nil
}

// verify runs the server's own check of database and audit.
func (p *process) verify() {
	p.t.Helper()
	if out, err := exec.Command(p.program, "verify", "--data", p.data).CombinedOutput(); err != nil {
		p.t.Fatalf("%v: %s", err, out)
	}
}
