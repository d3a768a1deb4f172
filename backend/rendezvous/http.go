package rendezvous

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"daypass/backend/fault"
	"daypass/backend/rendezvous/protocol"
)

const requestTimeout = 20 * time.Second

// caller sends signed requests to one server and keeps the server's time.
type caller struct {
	server *url.URL
	key    ed25519.PrivateKey
	http   *http.Client
	log    *slog.Logger

	mu    sync.Mutex
	their time.Time // server's time at ours; zero before the first answer
	ours  time.Time
}

func newCaller(server *url.URL, key ed25519.PrivateKey, from *net.Dialer, log *slog.Logger) *caller {
	if from == nil {
		from = &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &caller{
		server: server, key: key, log: log,
		http: &http.Client{
			Transport: &http.Transport{
				Proxy:                 http.ProxyFromEnvironment,
				DialContext:           from.DialContext,
				ForceAttemptHTTP2:     true,
				MaxIdleConns:          4,
				IdleConnTimeout:       60 * time.Second,
				TLSHandshakeTimeout:   10 * time.Second,
				ResponseHeaderTimeout: requestTimeout,
			},
			// A redirect would carry the signature to another place.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

func (c *caller) close() { c.http.CloseIdleConnections() }

// now returns the server's time as far as known, else ours.
func (c *caller) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.their.IsZero() {
		return time.Now()
	}
	return c.their.Add(time.Since(c.ours))
}

func (c *caller) learn(h http.Header) {
	ms, err := strconv.ParseInt(h.Get(protocol.HeaderTime), 10, 64)
	if err != nil {
		return
	}
	c.setTime(time.UnixMilli(ms))
}

func (c *caller) setTime(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.their, c.ours = t, time.Now()
}

func (c *caller) url(path string) *url.URL {
	u := *c.server
	u.Fragment, u.RawQuery = "", ""
	p, q, _ := strings.Cut(path, "?")
	u.Path, u.RawPath, u.RawQuery = strings.TrimSuffix(u.Path, "/")+p, "", q
	return &u
}

// call sends one request and decodes its answer into out (nil: ignored). A
// request refused for its time is signed again once with the server's.
func (c *caller) call(ctx context.Context, op, method, path, token string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return fault.Wrap(err, fault.Internal, op, "The request could not be written.", "")
		}
		if len(body) > protocol.MaxRequest {
			return fault.New(fault.Invalid, op, "The request is too large.", "Use shorter texts.")
		}
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	for again := false; ; again = true {
		u := c.url(path)
		req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
		if err != nil {
			return fault.Wrap(err, fault.Invalid, op, "The address of the server cannot be used.", "Check the address.")
		}
		if in != nil {
			req.Header.Set("Content-Type", "application/json")
		}
		protocol.SignRequest(req.Header, c.key, method, u.Host, u.RequestURI(), token, body, c.now())
		resp, err := c.http.Do(req)
		if err != nil {
			return c.offline(ctx, op, err)
		}
		b, err := io.ReadAll(io.LimitReader(resp.Body, protocol.MaxResponse+1))
		resp.Body.Close()
		c.learn(resp.Header)
		if err != nil {
			return c.offline(ctx, op, err)
		}
		if len(b) > protocol.MaxResponse {
			return fault.New(fault.Hostile, op, "The server's answer is too large.", "Check the address of the server.")
		}
		if resp.StatusCode/100 != 2 {
			f := readFault(resp.StatusCode, b)
			if f.Code == protocol.CodeClock && !again {
				continue
			}
			return toError(op, f)
		}
		if out != nil {
			if err := json.Unmarshal(b, out); err != nil {
				return fault.Wrap(err, fault.Hostile, op, "The server's answer cannot be read.", "Check the address of the server, and whether console and server have the same version.")
			}
		}
		return nil
	}
}

func (c *caller) offline(ctx context.Context, op string, err error) error {
	if e := ctx.Err(); errors.Is(e, context.Canceled) {
		return fault.Wrap(err, fault.Cancelled, op, "This was cancelled.", "")
	}
	var cert *tls.CertificateVerificationError
	if errors.As(err, &cert) {
		return fault.Wrap(err, fault.Hostile, op, "The server could not prove who it is.", "Check the address and the clock of this computer; somebody may be in between.")
	}
	return fault.Wrap(err, fault.Offline, op, "The server cannot be reached.", "Check the network connection. Daypass keeps trying.")
}

// readFault reads an error answer. What is not in our form is classified by
// its status alone, and never shown.
func readFault(status int, b []byte) protocol.Fault {
	var w struct {
		Error protocol.Fault `json:"error"`
	}
	if err := json.Unmarshal(b, &w); err == nil && w.Error.Kind != "" {
		return w.Error
	}
	switch status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return protocol.Fault{Kind: fault.Offline, Message: "The server is not available at the moment.", Hint: "Daypass keeps trying."}
	case http.StatusTooManyRequests:
		return protocol.Fault{Kind: fault.Limit, Message: "The server asks for a pause.", Hint: "Wait a minute and try again."}
	}
	return protocol.Fault{Kind: fault.Hostile, Message: fmt.Sprintf("What answers at this address is not a Daypass server (status %d).", status), Hint: "Check the address of the server."}
}

var kinds = map[fault.Kind]bool{
	fault.Offline: true, fault.Denied: true, fault.SignedOut: true, fault.Limit: true, fault.Expired: true, fault.NotFound: true, fault.Conflict: true,
	fault.Invalid: true, fault.Unsupported: true, fault.Hostile: true, fault.Corrupt: true, fault.Full: true, fault.Cancelled: true, fault.Internal: true,
}

// toError makes a typed error of a fault on the wire. Text is cut to a sane
// length: the server is not trusted with our windows.
func toError(op string, f protocol.Fault) error {
	if !kinds[f.Kind] {
		f.Kind = fault.Internal
	}
	cut := func(s string) string {
		if r := []rune(s); len(r) > 400 {
			return string(r[:400]) + "…"
		}
		return s
	}
	e := fault.New(f.Kind, op, cut(f.Message), cut(f.Hint))
	switch f.Code {
	case protocol.CodeNotYet:
		e.Err = ErrNotYet
	case protocol.CodeTOTP:
		e.Err = ErrTOTP
	case protocol.CodeEnrol:
		e.Err = ErrEnrol
	case protocol.CodeMail:
		e.Err = ErrMail
	case protocol.CodeUnsure:
		e.Err = ErrMailUnsure
	case protocol.CodeToken:
		e.Err = errToken
	}
	if f.Kind == fault.Limit && len(f.Holders) > 0 {
		return &LimitError{Holders: f.Holders, Scope: f.Scope, fault: e}
	}
	return e
}

var errToken = errors.New("rendezvous: access token is over")

// dial opens a WebSocket. On refusal the server's fault is returned.
func (c *caller) dial(ctx context.Context, op, path, token string) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	for again := false; ; again = true {
		u := c.url(path)
		h := http.Header{}
		protocol.SignRequest(h, c.key, http.MethodGet, u.Host, u.RequestURI(), token, nil, c.now())
		conn, resp, err := websocket.Dial(ctx, u.String(), &websocket.DialOptions{HTTPClient: c.http, HTTPHeader: h, Subprotocols: []string{protocol.Subprotocol}})
		if err != nil {
			if resp == nil {
				return nil, c.offline(ctx, op, err)
			}
			c.learn(resp.Header)
			var b []byte
			if resp.Body != nil {
				// The library keeps the first kilobyte of a refusal's body.
				if b, err = io.ReadAll(io.LimitReader(resp.Body, protocol.MaxRequest)); err != nil {
					return nil, c.offline(ctx, op, err)
				}
				resp.Body.Close()
			}
			f := readFault(resp.StatusCode, b)
			if f.Code == protocol.CodeClock && !again {
				continue
			}
			return nil, toError(op, f)
		}
		if conn.Subprotocol() != protocol.Subprotocol {
			conn.CloseNow()
			return nil, fault.New(fault.Unsupported, op, "Console and server speak different versions.", "Update the older of the two.")
		}
		conn.SetReadLimit(protocol.MaxMessage)
		return conn, nil
	}
}
