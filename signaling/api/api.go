// Package api is the signaling server's HTTP face for consoles and hosts:
// bounds, proof of possession, strict JSON, and sockets. It must not know the
// rules (package directory) nor how messages are carried (package broker); it
// makes requests into calls and errors into answers.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/rendezvous/protocol"
	"daypass/backend/version"
	"daypass/signaling/broker"
	"daypass/signaling/directory"
	"daypass/signaling/store"
)

// MaxOpenSockets is how many sockets one address may have before any of them
// belongs to an activated session.
const MaxOpenSockets = 20

// Config configures New.
type Config struct {
	Directory *directory.Directory
	Broker    *broker.Broker
	ICE       func(id grant.ID, side string, end time.Time, host string) []protocol.ICEServer // nil: none. host is the name the client used
	Post      Post                                                                            // sends invitations where a company's policy says so; nil: none
	Public    string                                                                          // what links begin with, without a slash at the end
	LAN       bool
	Insecure  bool                             // plain HTTP
	HostOK    func(r *http.Request) bool       // is this name one of ours
	ClientIP  func(r *http.Request) netip.Addr // address of the client
	Draining  func() bool
	Log       *slog.Logger
}

// API is the handler under protocol.Base and of /healthz.
type API struct {
	cfg     Config
	mux     *http.ServeMux
	start   time.Time
	replays *nonces
	rates   *rates
	open    *counter
}

// New returns the handler.
func New(cfg Config) *API {
	a := &API{cfg: cfg, mux: http.NewServeMux(), start: time.Now().Truncate(time.Millisecond), replays: &nonces{}, rates: &rates{m: map[netip.Addr]*rateOf{}}, open: &counter{m: map[netip.Addr]int{}}}
	b := protocol.Base
	a.mux.HandleFunc("GET /healthz", a.health)
	a.mux.HandleFunc("GET "+b+"/health", a.health)
	a.mux.HandleFunc("GET "+b+"/invitations/{id}", a.invitation)
	a.mux.Handle("POST "+b+"/signin", a.proved(a.signIn))
	a.mux.Handle("POST "+b+"/refresh", a.proved(a.refresh))
	a.mux.Handle("POST "+b+"/signout", a.signedIn(a.signOut))
	a.mux.Handle("GET "+b+"/profile", a.signedIn(a.profile))
	a.mux.Handle("GET "+b+"/sessions", a.console(a.list))
	a.mux.Handle("POST "+b+"/sessions", a.console(a.create))
	a.mux.Handle("GET "+b+"/sessions/{id}", a.console(a.session))
	a.mux.Handle("POST "+b+"/sessions/{id}/state", a.console(a.setState))
	a.mux.Handle("POST "+b+"/sessions/{id}/claim", a.console(a.claim))
	a.mux.Handle("POST "+b+"/sessions/{id}/activate", a.console(a.activateConsole))
	a.mux.Handle("POST "+b+"/sessions/{id}/end", a.console(a.endConsole))
	a.mux.Handle("POST "+b+"/sessions/{id}/mail", a.console(a.mail))
	a.mux.Handle("GET "+b+"/sessions/{id}/ice", a.console(a.iceConsole))
	a.mux.Handle("GET "+b+"/console/socket", a.console(a.consoleSocket))
	a.mux.Handle("GET "+b+"/host/{id}/socket", a.proved(a.hostSocket))
	a.mux.Handle("POST "+b+"/host/{id}/activate", a.proved(a.activateHost))
	a.mux.Handle("POST "+b+"/host/{id}/end", a.proved(a.endHost))
	a.mux.Handle("POST "+b+"/host/{id}/removed", a.proved(a.removed))
	a.mux.Handle("GET "+b+"/host/{id}/ice", a.proved(a.iceHost))
	a.people()
	a.history()
	a.mux.HandleFunc(b+"/", func(w http.ResponseWriter, _ *http.Request) {
		a.fail(w, fault.New(fault.NotFound, "api", "The server does not know this request.", "Console and server may have different versions."))
	})
	return a
}

// ServeHTTP applies the bounds that hold for every request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set(protocol.HeaderTime, strconv.FormatInt(time.Now().UnixMilli(), 10))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'")
	switch {
	case !a.cfg.HostOK(r):
		h.Set("Connection", "close")
		a.failStatus(w, http.StatusMisdirectedRequest, protocol.Fault{Kind: fault.Denied, Message: "This server does not go by that name.", Hint: "Use its public address; its operator sets it with --public-url."})
		return
	case r.Header.Get("Origin") != "":
		// Only our own programs speak this; a page in a browser never does.
		a.failStatus(w, http.StatusForbidden, protocol.Fault{Kind: fault.Denied, Message: "Browsers may not use this."})
		return
	case !a.rates.allow(a.cfg.ClientIP(r)):
		h.Set("Retry-After", "2")
		a.failStatus(w, http.StatusTooManyRequests, protocol.Fault{Kind: fault.Limit, Message: "The server asks for a pause.", Hint: "Wait a moment and try again.", RetryMS: 2000})
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, protocol.MaxRequest)
	a.mux.ServeHTTP(w, r)
}

// request is a request whose sender has proved to hold Key.
type request struct {
	*http.Request
	proof protocol.Proof
	body  []byte
	auth  store.Auth // console only
}

func (a *API) proved(next func(http.ResponseWriter, *request)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			var big *http.MaxBytesError
			if errors.As(err, &big) {
				a.failStatus(w, http.StatusRequestEntityTooLarge, protocol.Fault{Kind: fault.Invalid, Message: "The request is too large."})
			}
			return // else the client is gone
		}
		p, err := protocol.OpenProof(r.Header, r.Method, r.Host, r.RequestURI, body)
		if err != nil {
			a.failStatus(w, http.StatusUnauthorized, protocol.Fault{Kind: fault.Denied, Message: "The request does not prove who sends it.", Hint: "Update Daypass."})
			return
		}
		now := time.Now()
		if p.At.Before(a.start) || p.At.Before(now.Add(-protocol.Window)) || p.At.After(now.Add(protocol.Window)) {
			a.failStatus(w, http.StatusUnauthorized, protocol.Fault{Kind: fault.Denied, Code: protocol.CodeClock, Message: "The clocks of server and computer differ.", Hint: "Set the clock of this computer."})
			return
		}
		if !a.replays.fresh(p, now) {
			a.failStatus(w, http.StatusUnauthorized, protocol.Fault{Kind: fault.Denied, Message: "This request was sent before.", Hint: "Try again."})
			return
		}
		next(w, &request{Request: r, proof: p, body: body})
	})
}

// console is signedIn for everything that needs the second factor to be set up.
func (a *API) console(next func(http.ResponseWriter, *request)) http.Handler {
	return a.signedIn(func(w http.ResponseWriter, r *request) {
		if err := a.cfg.Directory.Enrolled(r.auth); err != nil {
			a.fail(w, err)
			return
		}
		next(w, r)
	})
}

func (a *API) signedIn(next func(http.ResponseWriter, *request)) http.Handler {
	return a.proved(func(w http.ResponseWriter, r *request) {
		var err error
		if r.auth, err = a.cfg.Directory.Authenticate(r.Context(), r.proof.Token, r.proof.Key); err != nil {
			a.fail(w, err)
			return
		}
		next(w, r)
	})
}

// read decodes the body strictly; false if it answered.
func (a *API) read(w http.ResponseWriter, r *request, v any) bool {
	if ct, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); ct != "application/json" {
		a.failStatus(w, http.StatusUnsupportedMediaType, protocol.Fault{Kind: fault.Invalid, Message: "The request is not JSON."})
		return false
	}
	if err := grant.Strict(r.body, v); err != nil {
		a.fail(w, fault.Wrap(err, fault.Invalid, "api.read", "The server cannot read the request.", "Console and server may have different versions."))
		return false
	}
	return true
}

// id reads the session of the path; false if it answered.
func (a *API) id(w http.ResponseWriter, r *http.Request) (grant.ID, bool) {
	id, err := grant.ParseID(r.PathValue("id"))
	if err != nil {
		a.fail(w, fault.New(fault.NotFound, "session.get", "There is no such session.", "Check the link."))
		return id, false
	}
	return id, true
}

func (a *API) host(w http.ResponseWriter, r *request) (grant.ID, protocol.Instance, bool) {
	id, ok := a.id(w, r.Request)
	if !ok {
		return id, protocol.Instance{}, false
	}
	i, err := protocol.ParseInstance(r.URL.Query().Get("instance"))
	if err != nil {
		a.fail(w, fault.New(fault.Invalid, "host", "The request does not say which program sends it.", "Update Daypass."))
		return id, i, false
	}
	return id, i, true
}

func (a *API) answer(w http.ResponseWriter, v any, err error) {
	if err != nil {
		a.fail(w, err)
		return
	}
	b, err := json.Marshal(v)
	if err != nil {
		a.fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if _, err := w.Write(b); err != nil {
		a.cfg.Log.Debug("answer not delivered", "error", err)
	}
}

var statusOf = map[fault.Kind]int{
	fault.Offline: http.StatusServiceUnavailable, fault.Denied: http.StatusForbidden, fault.SignedOut: http.StatusUnauthorized, fault.Limit: http.StatusTooManyRequests,
	fault.Expired: http.StatusGone, fault.NotFound: http.StatusNotFound, fault.Conflict: http.StatusConflict, fault.Invalid: http.StatusUnprocessableEntity,
	fault.Unsupported: http.StatusNotImplemented, fault.Full: http.StatusInsufficientStorage, fault.Cancelled: http.StatusRequestTimeout,
}

func (a *API) fail(w http.ResponseWriter, err error) {
	var no *store.NoPlace
	if errors.As(err, &no) {
		a.failStatus(w, http.StatusConflict, noPlace(no))
		return
	}
	f := fault.Of(err)
	out := protocol.Fault{Kind: f.Kind, Message: f.Message, Hint: f.Hint}
	var more *directory.Error
	if errors.As(err, &more) {
		out.Code, out.RetryMS = more.Code, more.Retry.Milliseconds()
		if more.Retry > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(more.Retry/time.Second)+1))
		}
	}
	status, ok := statusOf[f.Kind]
	if !ok {
		status = http.StatusInternalServerError
		a.cfg.Log.Error("request failed", "error", err)
	}
	if f.Kind == fault.Full {
		a.cfg.Log.Error("no disk space left", "error", err)
	}
	a.failStatus(w, status, out)
}

func noPlace(no *store.NoPlace) protocol.Fault {
	f := protocol.Fault{
		Kind: fault.Limit, Scope: no.Scope, Message: "All places of your company are taken.", Hint: "One of these sessions must end first.",
	}
	if no.Scope == "profile" {
		f.Message, f.Hint = "You have a session already.", "End it, or continue with it."
	}
	return f
}

func (a *API) failStatus(w http.ResponseWriter, status int, f protocol.Fault) {
	b, err := json.Marshal(map[string]any{"error": f})
	if err != nil {
		a.cfg.Log.Error("fault not written", "error", err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if _, err := w.Write(b); err != nil {
		a.cfg.Log.Debug("answer not delivered", "error", err)
	}
}

func (a *API) health(w http.ResponseWriter, _ *http.Request) {
	h := protocol.Health{OK: true, Version: version.Version, Time: a.cfg.Directory.Now(), Draining: a.cfg.Draining(), LAN: a.cfg.LAN, Insecure: a.cfg.Insecure, Key: a.cfg.Directory.Key()}
	if h.Draining {
		h.OK = false
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	a.answer(w, h, nil)
}

func (a *API) invitation(w http.ResponseWriter, r *http.Request) {
	id, ok := a.id(w, r)
	if !ok {
		return
	}
	in, err := a.cfg.Directory.Invitation(r.Context(), id)
	a.answer(w, in, err)
}

func (a *API) signIn(w http.ResponseWriter, r *request) {
	var in protocol.SignIn
	if !a.read(w, r, &in) {
		return
	}
	out, err := a.cfg.Directory.SignIn(r.Context(), r.proof.Key, a.cfg.ClientIP(r.Request), in)
	a.answer(w, out, err)
}

func (a *API) refresh(w http.ResponseWriter, r *request) {
	var in protocol.Refresh
	if !a.read(w, r, &in) {
		return
	}
	t, err := a.cfg.Directory.Refresh(r.Context(), r.proof.Key, in.Refresh)
	a.answer(w, t, err)
}

type nothing struct{}

func (a *API) signOut(w http.ResponseWriter, r *request) {
	a.answer(w, nothing{}, a.cfg.Directory.SignOut(r.Context(), r.auth))
}

func (a *API) profile(w http.ResponseWriter, r *request) {
	p, err := a.cfg.Directory.ProfileOf(r.Context(), r.auth.Profile)
	a.answer(w, p, err)
}

func (a *API) list(w http.ResponseWriter, r *request) {
	l, limits, err := a.cfg.Directory.List(r.Context(), r.auth)
	out := protocol.SessionList{Sessions: []protocol.Session{}, Mine: limits.Mine, Company: limits.Company}
	for _, s := range l {
		if len(out.Sessions) < 100 { // keeps the answer under protocol.MaxResponse
			out.Sessions = append(out.Sessions, a.cfg.Broker.View(s))
		}
	}
	a.answer(w, out, err)
}

func (a *API) create(w http.ResponseWriter, r *request) {
	var in protocol.NewSession
	if !a.read(w, r, &in) {
		return
	}
	s, err := a.cfg.Directory.Create(r.Context(), r.auth, in)
	var no *store.NoPlace
	if errors.As(err, &no) {
		f := noPlace(no)
		for _, h := range no.Holders {
			f.Holders = append(f.Holders, protocol.Holder{ID: h.ID, Label: h.Label, Technician: h.Technician, State: h.State, Since: h.Created, Mine: h.Profile == r.auth.Profile.ID})
		}
		a.failStatus(w, http.StatusConflict, f)
		return
	}
	a.answer(w, a.cfg.Broker.View(s), err)
}

func (a *API) session(w http.ResponseWriter, r *request) {
	id, ok := a.id(w, r.Request)
	if !ok {
		return
	}
	s, err := a.cfg.Directory.Session(r.Context(), r.auth, id)
	a.answer(w, a.cfg.Broker.View(s), err)
}

func (a *API) setState(w http.ResponseWriter, r *request) {
	id, ok := a.id(w, r.Request)
	var in protocol.SetState
	if !ok || !a.read(w, r, &in) {
		return
	}
	a.answer(w, nothing{}, a.cfg.Directory.SetState(r.Context(), r.auth, id, in.From, in.To))
}

func (a *API) claim(w http.ResponseWriter, r *request) {
	id, ok := a.id(w, r.Request)
	var in nothing
	if !ok || !a.read(w, r, &in) {
		return
	}
	s, err := a.cfg.Directory.Claim(r.Context(), r.auth, id)
	if err != nil {
		a.fail(w, err)
		return
	}
	a.answer(w, a.cfg.Broker.View(s), nil)
}

func (a *API) activateConsole(w http.ResponseWriter, r *request) {
	id, ok := a.id(w, r.Request)
	var in protocol.Fact
	if !ok || !a.read(w, r, &in) {
		return
	}
	g, err := a.cfg.Directory.ActivateConsole(r.Context(), r.auth, id, in.Fact)
	a.answer(w, protocol.Fact{Fact: g}, err)
}

func (a *API) endConsole(w http.ResponseWriter, r *request) {
	id, ok := a.id(w, r.Request)
	var in protocol.Fact
	if !ok || !a.read(w, r, &in) {
		return
	}
	a.answer(w, nothing{}, a.cfg.Directory.EndConsole(r.Context(), r.auth, id, in.Fact))
}

func (a *API) ice(r *request, s store.Session, side string) protocol.ICE {
	out := protocol.ICE{Servers: []protocol.ICEServer{}}
	if a.cfg.ICE != nil {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		out.Servers = append(out.Servers, a.cfg.ICE(s.ID, side, s.Expires, strings.Trim(host, "[]"))...)
	}
	return out
}

func (a *API) iceConsole(w http.ResponseWriter, r *request) {
	id, ok := a.id(w, r.Request)
	if !ok {
		return
	}
	s, err := a.cfg.Directory.ActiveConsole(r.Context(), r.auth, id)
	if err != nil {
		a.fail(w, err)
		return
	}
	a.answer(w, a.ice(r, s, "console"), nil)
}

func (a *API) iceHost(w http.ResponseWriter, r *request) {
	id, _, ok := a.host(w, r)
	if !ok {
		return
	}
	s, err := a.cfg.Directory.ActiveHost(r.Context(), id, r.proof.Key)
	if err != nil {
		a.fail(w, err)
		return
	}
	a.answer(w, a.ice(r, s, "host"), nil)
}

func (a *API) activateHost(w http.ResponseWriter, r *request) {
	id, i, ok := a.host(w, r)
	var in protocol.Fact
	if !ok || !a.read(w, r, &in) {
		return
	}
	g, err := a.cfg.Directory.ActivateHost(r.Context(), id, i, r.proof.Key, in.Fact)
	a.answer(w, protocol.Fact{Fact: g}, err)
}

func (a *API) endHost(w http.ResponseWriter, r *request) {
	id, i, ok := a.host(w, r)
	var in protocol.Fact
	if !ok || !a.read(w, r, &in) {
		return
	}
	a.answer(w, nothing{}, a.cfg.Directory.EndHost(r.Context(), id, i, r.proof.Key, in.Fact))
}

func (a *API) removed(w http.ResponseWriter, r *request) {
	id, i, ok := a.host(w, r)
	var in protocol.Fact
	if !ok || !a.read(w, r, &in) {
		return
	}
	a.answer(w, nothing{}, a.cfg.Directory.Removed(r.Context(), id, i, r.proof.Key, in.Fact))
}

// client reads the run of the client program; false if it answered.
func (a *API) client(w http.ResponseWriter, r *request) (string, bool) {
	c := r.URL.Query().Get("client")
	if len(c) != 16 || strings.Trim(c, "0123456789abcdef") != "" {
		a.fail(w, fault.New(fault.Invalid, "socket", "The request does not say which program sends it.", "Update Daypass."))
		return "", false
	}
	return c, true
}

func (a *API) accept(w http.ResponseWriter, r *request) broker.Accept {
	return func(ping func()) (*websocket.Conn, error) {
		conn, err := websocket.Accept(w, r.Request, &websocket.AcceptOptions{
			Subprotocols:   []string{protocol.Subprotocol},
			OnPingReceived: func(context.Context, []byte) bool { ping(); return true },
		})
		if err != nil {
			return nil, errAnswered{err}
		}
		if conn.Subprotocol() != protocol.Subprotocol {
			conn.Close(protocol.CloseProtocol, "unknown version")
			return nil, errAnswered{errors.New("api: unknown subprotocol")}
		}
		return conn, nil
	}
}

// errAnswered is a failure that the client has been told of.
type errAnswered struct{ error }

func (a *API) served(w http.ResponseWriter, err error) {
	if errors.Is(err, broker.ErrDraining) {
		a.fail(w, fault.New(fault.Offline, "socket", "The server restarts.", "Daypass comes back by itself."))
		return
	}
	a.cfg.Log.Debug("socket ended", "error", err)
}

func (a *API) consoleSocket(w http.ResponseWriter, r *request) {
	client, ok := a.client(w, r)
	if !ok {
		return
	}
	mine, err := a.cfg.Directory.Mine(r.Context(), r.auth)
	if err != nil {
		a.fail(w, err)
		return
	}
	a.served(w, a.cfg.Broker.ServeConsole(r.Context(), a.accept(w, r), r.proof.Key, client, mine))
}

func (a *API) hostSocket(w http.ResponseWriter, r *request) {
	id, i, ok := a.host(w, r)
	if !ok {
		return
	}
	client, ok := a.client(w, r)
	if !ok {
		return
	}
	s, err := a.cfg.Directory.Host(r.Context(), id, i, r.proof.Key, a.cfg.Broker.Online(id))
	if err != nil {
		if directory.Stranger(err) {
			a.cfg.Broker.Knocked(r.Context(), id, i, a.cfg.Directory.Now())
		}
		a.fail(w, err)
		return
	}
	if s.HostKey.IsZero() {
		if !protocol.Live(s.State) { // it is told the end, and the technician that somebody came
			a.cfg.Broker.Knocked(r.Context(), id, i, a.cfg.Directory.Now())
		}
		// Anybody can come this far with a link.
		ip := a.cfg.ClientIP(r.Request)
		if !a.open.add(ip, MaxOpenSockets) {
			a.fail(w, fault.New(fault.Limit, "host.connect", "Too many computers connect from this network.", "Close Daypass on the others."))
			return
		}
		defer a.open.sub(ip)
	}
	a.served(w, a.cfg.Broker.ServeHost(r.Context(), a.accept(w, r), s, i, r.proof.Key, client))
}

// nonces remembers what was used within the window, in two generations.
type nonces struct {
	mu   sync.Mutex
	now  map[nonce]struct{}
	old  map[nonce]struct{}
	turn time.Time
}

type nonce struct {
	key grant.Key
	n   [16]byte
}

const maxNonces = 200000

func (n *nonces) fresh(p protocol.Proof, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.now == nil || now.Sub(n.turn) > 2*protocol.Window {
		n.old, n.now, n.turn = n.now, map[nonce]struct{}{}, now
	}
	k := nonce{p.Key, p.Nonce}
	_, a := n.now[k]
	_, b := n.old[k]
	if a || b || len(n.now) >= maxNonces {
		return false
	}
	n.now[k] = struct{}{}
	return true
}

// rates bounds requests: 50 a second an address, 300 at once.
type rates struct {
	mu sync.Mutex
	m  map[netip.Addr]*rateOf
}

type rateOf struct {
	l  *rate.Limiter
	at time.Time
}

func (r *rates) allow(ip netip.Addr) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	e := r.m[ip]
	if e == nil {
		if len(r.m) >= 10000 {
			for k, o := range r.m {
				if now.Sub(o.at) > time.Minute {
					delete(r.m, k)
				}
			}
			if len(r.m) >= 10000 {
				return false
			}
		}
		e = &rateOf{l: rate.NewLimiter(50, 300)}
		r.m[ip] = e
	}
	e.at = now
	return e.l.AllowN(now, 1)
}

// counter counts what an address has open.
type counter struct {
	mu sync.Mutex
	m  map[netip.Addr]int
}

func (c *counter) add(ip netip.Addr, most int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m[ip] >= most {
		return false
	}
	c.m[ip]++
	return true
}

func (c *counter) sub(ip netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m[ip]--; c.m[ip] <= 0 {
		delete(c.m, ip)
	}
}
