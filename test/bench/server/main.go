// Command server measures what one signaling server process costs: thousands
// of idle hosts and their consoles, each from an address of its own on
// loopback, so that the limits per address stay on. It prints how fast sessions
// are created and activated, memory and CPU while nothing happens, and how long
// it takes until all are back after a restart and after a kill. It must not
// know how the server does it: it is a client, and reads /proc.
package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"daypass/backend/grant"
	"daypass/backend/rendezvous"
	"daypass/backend/rendezvous/protocol"
	"daypass/signaling/server"
)

var (
	program  = flag.String("server", "bin/daypass-signaling", "the server's program")
	hosts    = flag.Int("hosts", 5000, "idle hosts, each with an active session")
	consoles = flag.Int("consoles", 200, "signed-in consoles, each of a company of its own")
	idle     = flag.Duration("idle", time.Minute, "how long memory and CPU are watched while nothing happens")
)

func main() {
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench-server:", err)
		os.Exit(1)
	}
}

// client is a console or a host, as far as coming back goes.
type client struct {
	online atomic.Bool
	since  atomic.Int64 // unix nano, of online
}

func (c *client) set(on bool) {
	if c.online.Swap(on) != on && on {
		c.since.Store(time.Now().UnixNano())
	}
}

type bench struct {
	dir, listen string
	url         *url.URL
	proc        *exec.Cmd
	wg          sync.WaitGroup

	mu  sync.Mutex
	all []*client
}

func run(ctx context.Context) (err error) {
	per := (*hosts + *consoles - 1) / *consoles
	if *hosts < 1 || *consoles < 1 || per > protocol.MaxPlaces {
		return fmt.Errorf("a console has 1 to %d hosts", protocol.MaxPlaces)
	}
	dir, err := os.MkdirTemp("", "daypass-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ctx, cancel := context.WithCancel(ctx)
	b := &bench{dir: filepath.Join(dir, "data")}
	defer func() {
		cancel()
		b.wg.Wait()
		err = errors.Join(err, b.down(os.Kill))
	}()

	fmt.Printf("%d companies with an admin each\n", *consoles)
	accounts := make([]server.Account, *consoles)
	for i := range accounts {
		if accounts[i], err = server.CreateAdmin(ctx, b.dir, fmt.Sprintf("p%d@example.org", i), "Person", fmt.Sprintf("Company %d", i)); err != nil {
			return err
		}
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	b.listen = l.Addr().String()
	b.url = &url.URL{Scheme: "http", Host: b.listen}
	if err := l.Close(); err != nil {
		return err
	}
	if err := b.up(ctx); err != nil {
		return err
	}
	began := time.Now()
	cs := make([]*console, *consoles)
	if err := each(len(cs), 4, func(i int) (err error) { cs[i], err = b.console(ctx, i, accounts[i]); return err }); err != nil {
		return err
	}
	fmt.Printf("sign-ins            %8.1f /s\n", float64(len(cs))/time.Since(began).Seconds())

	began = time.Now()
	sessions := make([]rendezvous.Session, *hosts)
	if err := each(*hosts, 32, func(i int) (err error) {
		sessions[i], err = cs[i%len(cs)].c.CreateSession(ctx, rendezvous.NewSession{Subject: "bench", Language: "en"})
		return err
	}); err != nil {
		return err
	}
	fmt.Printf("sessions created    %8.1f /s\n", float64(*hosts)/time.Since(began).Seconds())

	began = time.Now()
	if err := each(*hosts, 64, func(i int) error { return b.host(ctx, i, cs[i%len(cs)], sessions[i].ID) }); err != nil {
		return err
	}
	if _, err := b.back(ctx, time.Time{}, 2*time.Minute); err != nil {
		return err
	}
	fmt.Printf("sessions activated  %8.1f /s, hosts connected with them\n", float64(*hosts)/time.Since(began).Seconds())

	if err := b.rest(ctx); err != nil {
		return err
	}
	for _, how := range []os.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if err := b.down(how); err != nil {
			return err
		}
		at := time.Now()
		if err := b.up(ctx); err != nil {
			return err
		}
		took, err := b.back(ctx, at, 3*time.Minute)
		if err != nil {
			return err
		}
		fmt.Printf("back after %-8v %8.1f s p50, %.1f s p99, %.1f s the last of %d\n", how,
			took[len(took)/2].Seconds(), took[len(took)*99/100].Seconds(), took[len(took)-1].Seconds(), len(took))
	}
	return b.rest(ctx)
}

// each calls f for 0 to n-1, so many at a time, and returns the first failure.
func each(n, at int, f func(int) error) error {
	var next atomic.Int64
	var wg sync.WaitGroup
	var once sync.Once
	var first error
	for range at {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := f(i); err != nil {
					once.Do(func() { first = err })
					next.Store(int64(n))
					return
				}
			}
		})
	}
	wg.Wait()
	return first
}

// from is the address of client i: 127.x.y.z with x from 10.
func from(i int) *net.Dialer {
	ip := net.IPv4(127, byte(10+i>>16), byte(i>>8), byte(i)|1)
	return &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second, LocalAddr: &net.TCPAddr{IP: ip}}
}

// up starts the server and waits until it listens.
func (b *bench) up(ctx context.Context) error {
	b.proc = exec.CommandContext(ctx, *program, "serve", "--data", b.dir, "--listen", b.listen, "--turn-listen", "127.0.0.1:0")
	log, err := os.OpenFile(filepath.Join(filepath.Dir(b.dir), "server.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	b.proc.Stderr = log
	b.proc.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := b.proc.Start(); err != nil {
		return err
	}
	for end := time.Now().Add(30 * time.Second); ; {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", b.listen)
		if err == nil {
			return c.Close()
		}
		if time.Now().After(end) || ctx.Err() != nil {
			return errors.Join(err, errors.New("the server does not listen"))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// down ends the server.
func (b *bench) down(how os.Signal) error {
	if b.proc == nil {
		return nil
	}
	p := b.proc
	b.proc = nil
	if err := p.Process.Signal(how); err != nil {
		return err
	}
	var exit *exec.ExitError
	if err := p.Wait(); err != nil && !errors.As(err, &exit) {
		return err
	}
	return nil
}

type memory struct {
	mu sync.Mutex
	t  rendezvous.Tokens
}

func (m *memory) Load() (rendezvous.Tokens, error) { m.mu.Lock(); defer m.mu.Unlock(); return m.t, nil }

func (m *memory) Save(t rendezvous.Tokens) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.t = t
	return nil
}

type console struct {
	c   *rendezvous.Client
	key ed25519.PrivateKey
}

// console signs in, lets its company have the sessions, and stays connected.
func (b *bench) console(ctx context.Context, i int, a server.Account) (*console, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	c := rendezvous.NewClient(rendezvous.ConsoleConfig{Server: b.url, Key: key, Tokens: &memory{}, Dialer: from(1<<16 + i*2)})
	seed, err := protocol.ParseSeed(a.TOTPSeed)
	if err != nil {
		return nil, err
	}
	if _, err := c.SignIn(ctx, rendezvous.SignIn{Email: a.Email, Password: a.Password, TOTP: protocol.TOTPCode(seed, protocol.TOTPStep(time.Now())), ConsoleName: "bench"}); err != nil {
		return nil, err
	}
	most := protocol.MaxPlaces
	if _, err := c.SetCompany(ctx, rendezvous.SetCompany{MaxSessions: &most, MaxPerProfile: &most}); err != nil {
		return nil, err
	}
	box, me := c.Open(ctx), b.add()
	b.wg.Go(func() {
		for range box.Receive() {
		}
	})
	b.wg.Go(func() {
		for e := range box.Events() {
			me.set(e.Online)
		}
	})
	b.wg.Go(func() {
		<-ctx.Done()
		if err := box.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		c.Close()
	})
	return &console{c, key}, nil
}

func (b *bench) add() *client {
	c := &client{}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append(b.all, c)
	return c
}

// host activates a session with its console, and stays connected.
func (b *bench) host(ctx context.Context, i int, k *console, id grant.ID) error {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	m := rendezvous.DialHost(rendezvous.HostConfig{Server: b.url, Session: id, Instance: rendezvous.NewInstance(), Key: key, Dialer: from(i * 2)})
	me := b.add()
	b.wg.Go(func() {
		for e := range m.Events() {
			me.set(e.Online)
		}
	})
	b.wg.Go(func() {
		<-ctx.Done()
		if err := m.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	})
	act := grant.Activated{Session: id, TechnicianKey: grant.KeyOf(k.key), HostKey: grant.KeyOf(key), Transcript: make([]byte, 32)}
	mine, err := grant.Sign(k.key, grant.ContextActivated, act)
	if err != nil {
		return err
	}
	theirs, err := grant.Sign(key, grant.ContextActivated, act)
	if err != nil {
		return err
	}
	if _, err := m.Activate(ctx, theirs); !errors.Is(err, rendezvous.ErrNotYet) {
		return fmt.Errorf("the host's word alone: %w", err)
	}
	_, err = k.c.Activate(ctx, id, mine)
	return err
}

// back waits until everybody is online and has come since at, and returns when
// each did, counted from there, shortest first.
func (b *bench) back(ctx context.Context, at time.Time, most time.Duration) ([]time.Duration, error) {
	for end := time.Now().Add(most); ; time.Sleep(100 * time.Millisecond) {
		var took []time.Duration
		b.mu.Lock()
		for _, c := range b.all {
			if since := time.Unix(0, c.since.Load()); c.online.Load() && since.After(at) {
				took = append(took, since.Sub(at))
			}
		}
		n := len(b.all)
		b.mu.Unlock()
		if len(took) == n {
			slices.Sort(took)
			return took, nil
		}
		if time.Now().After(end) || ctx.Err() != nil {
			return nil, fmt.Errorf("%d of %d are online", len(took), n)
		}
	}
}

// rest watches the server while nothing happens.
func (b *bench) rest(ctx context.Context) error {
	select {
	case <-time.After(15 * time.Second):
	case <-ctx.Done():
		return ctx.Err()
	}
	began, before, err := b.cpu()
	if err != nil {
		return err
	}
	most := 0
	for end := time.Now().Add(*idle); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(time.Second) {
		kb, err := b.status("VmRSS:")
		if err != nil {
			return err
		}
		most = max(most, kb)
	}
	ended, after, err := b.cpu()
	if err != nil {
		return err
	}
	now, err := b.status("VmRSS:")
	if err != nil {
		return err
	}
	fmt.Printf("idle                %8.1f %% of a core over %v; memory %d MiB at most, %d MiB now\n",
		100*(after-before).Seconds()/ended.Sub(began).Seconds(), idle.Round(time.Second), most>>10, now>>10)
	return ctx.Err()
}

// status reads a number of /proc/PID/status.
func (b *bench) status(name string) (int, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.proc.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(raw)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == name {
			return strconv.Atoi(f[1])
		}
	}
	return 0, fmt.Errorf("no %s in /proc", name)
}

// cpu reads what the server has used until now.
func (b *bench) cpu() (at time.Time, used time.Duration, err error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", b.proc.Process.Pid))
	if err != nil {
		return at, 0, err
	}
	f := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
	if len(f) < 13 {
		return at, 0, errors.New("/proc/PID/stat")
	}
	for _, s := range f[11:13] {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return at, 0, err
		}
		used += time.Duration(n) * time.Second / 100 // USER_HZ
	}
	return time.Now(), used, nil
}
