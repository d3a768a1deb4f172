package server

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	maxConns  = 16384           // open at once, all kinds
	acceptsPS = 300             // new connections a second, so that a restart does not melt
	sniffFor  = 5 * time.Second // until the first byte, TLS included
)

// mux tells TURN (RFC 8656: the first two bits are 0, or 01 for channel data)
// from HTTP by the first byte of a connection, behind TLS where there is any,
// so that both live on one port.
type mux struct {
	l    net.Listener
	tls  *tls.Config
	http *branch
	turn *branch

	slots chan struct{}
	done  chan struct{}
	once  sync.Once
	wg    sync.WaitGroup
}

func newMux(l net.Listener, c *tls.Config) *mux {
	m := &mux{l: l, tls: c, slots: make(chan struct{}, maxConns), done: make(chan struct{})}
	m.http, m.turn = &branch{m: m, c: make(chan net.Conn)}, &branch{m: m, c: make(chan net.Conn)}
	m.http.done, m.turn.done = make(chan struct{}), make(chan struct{})
	return m
}

// Close stops listening and waits for connections that were being looked at.
func (m *mux) Close() {
	m.once.Do(func() { close(m.done); m.l.Close() })
	m.wg.Wait()
}

func (m *mux) run() {
	limit := rate.NewLimiter(acceptsPS, acceptsPS)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for {
		select {
		case m.slots <- struct{}{}:
		case <-m.done:
			return
		}
		c, err := m.l.Accept()
		if err != nil {
			<-m.slots
			select {
			case <-m.done:
				return
			case <-time.After(50 * time.Millisecond): // out of files, or a client that left: others still come
			}
			continue
		}
		if err := limit.Wait(ctx); err != nil {
			c.Close()
			<-m.slots
			return
		}
		m.wg.Add(1)
		go func() {
			defer m.wg.Done()
			m.sort(&slotConn{Conn: c, free: sync.OnceFunc(func() { <-m.slots })})
		}()
	}
}

func (m *mux) sort(c net.Conn) {
	stop := context.AfterFunc(doneContext{m.done}, func() { c.Close() })
	defer stop()
	if err := c.SetDeadline(time.Now().Add(sniffFor)); err != nil {
		c.Close()
		return
	}
	if m.tls != nil {
		c = tls.Server(c, m.tls)
	}
	var first [1]byte
	if _, err := c.Read(first[:]); err != nil {
		c.Close()
		return
	}
	if err := c.SetDeadline(time.Time{}); err != nil {
		c.Close()
		return
	}
	b := m.http
	if first[0] < 0x80 && first[0]>>6 == 0 && first[0] < 0x20 {
		b = m.turn
	}
	select {
	case b.c <- &peeked{Conn: c, first: first[0], has: true}:
	case <-b.done:
		c.Close()
	case <-m.done:
		c.Close()
	case <-time.After(sniffFor): // nobody takes this kind
		c.Close()
	}
}

// doneContext makes a context of a channel.
type doneContext struct{ done <-chan struct{} }

func (doneContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (d doneContext) Done() <-chan struct{}     { return d.done }
func (doneContext) Value(any) any               { return nil }
func (d doneContext) Err() error {
	select {
	case <-d.done:
		return context.Canceled
	default:
		return nil
	}
}

// branch is the listener of one kind.
type branch struct {
	m    *mux
	c    chan net.Conn
	once sync.Once
	done chan struct{}
}

func (b *branch) Accept() (net.Conn, error) {
	select {
	case c := <-b.c:
		return c, nil
	case <-b.done:
		return nil, net.ErrClosed
	case <-b.m.done:
		return nil, net.ErrClosed
	}
}

func (b *branch) Close() error {
	b.once.Do(func() { close(b.done) })
	return nil
}

func (b *branch) Addr() net.Addr { return b.m.l.Addr() }

// peeked gives back the first byte.
type peeked struct {
	net.Conn
	first byte
	has   bool
}

func (p *peeked) Read(b []byte) (int, error) {
	if p.has && len(b) > 0 {
		p.has = false
		b[0] = p.first
		return 1, nil
	}
	return p.Conn.Read(b)
}

// slotConn gives its place back when it is closed.
type slotConn struct {
	net.Conn
	free func()
}

func (s *slotConn) Close() error {
	defer s.free()
	return s.Conn.Close()
}
