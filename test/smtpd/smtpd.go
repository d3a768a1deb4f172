// Package smtpd is a mail server for tests: it takes mail over SMTP as a
// company's server does, with STARTTLS, TLS or neither, several ways to sign in
// and a certificate of its own, keeps what arrived, and fails in the ways that
// real ones do when the recipient's name asks for it. It must not be part of
// the product and knows nothing of it.
//
// What a recipient's local part asks for:
//
//	unknown  refused for ever (550)      full   refused: mailbox full (552)
//	later    refused once (451), as servers with greylisting do
//	postfix  refused: relaying, as Postfix says it (454)
//	relay    refused: relaying (554)     spam   refused after the mail (554)
//	cut      connection closed within the mail
//	lost     connection closed after the mail, without an answer
//
// The sender nobody@… is refused (553).
package smtpd

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// Security says how the connection is protected.
type Security int

// The protections.
const (
	StartTLS Security = iota
	TLS
	Plain
)

// Mail is one that arrived.
type Mail struct {
	From string
	To   []string
	User string // who had signed in, "" nobody
	How  string // mechanism of the sign-in
	TLS  bool
	Data []byte
}

// Config configures Start. User "" takes mail from everybody.
type Config struct {
	Listen     string // default 127.0.0.1:0
	Security   Security
	Names      []string        // of the certificate; default localhost
	NotAfter   time.Time       // of the certificate; default in an hour
	Mechanisms []string        // default PLAIN, LOGIN
	User       string          // with Password: needed to send
	Password   string          //
	Refuse     *smtp.SMTPError // of the sign-in, instead of 535
	OldTLS     bool            // nothing newer than TLS 1.1
	MaxBytes   int64           // of a mail; 0: no limit
	Took       func(Mail)      // called for each mail, from the connection's goroutine
}

// Server is a running one.
type Server struct {
	Port int
	CA   *x509.Certificate // the certificate's issuer: itself

	cfg  Config
	s    *smtp.Server
	l    net.Listener
	done chan struct{}

	mu    sync.Mutex
	mails []Mail
	tried map[string]int
}

// Start starts a server; Close it.
func Start(cfg Config) (*Server, error) {
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	if len(cfg.Names) == 0 {
		cfg.Names = []string{"localhost"}
	}
	if cfg.NotAfter.IsZero() {
		cfg.NotAfter = time.Now().Add(time.Hour)
	}
	if len(cfg.Mechanisms) == 0 {
		cfg.Mechanisms = []string{sasl.Plain, sasl.Login}
	}
	conf, ca, err := certificate(cfg.Names, cfg.NotAfter)
	if err != nil {
		return nil, err
	}
	if cfg.OldTLS {
		conf.MinVersion, conf.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	}
	x := &Server{cfg: cfg, CA: ca, tried: map[string]int{}, done: make(chan struct{})}
	x.s = smtp.NewServer(x)
	x.s.Domain = "localhost"
	x.s.EnableSMTPUTF8 = true
	x.s.MaxMessageBytes = cfg.MaxBytes
	x.s.ErrorLog = log.New(io.Discard, "", 0)
	if cfg.Security == StartTLS {
		x.s.TLSConfig = conf
	}
	x.s.AllowInsecureAuth = cfg.Security == Plain
	if x.l, err = new(net.ListenConfig).Listen(context.Background(), "tcp", cfg.Listen); err != nil {
		return nil, err
	}
	x.Port = x.l.Addr().(*net.TCPAddr).Port
	if cfg.Security == TLS {
		x.l = tls.NewListener(x.l, conf)
	}
	go func() {
		defer close(x.done)
		_ = x.s.Serve(x.l) // ends with Close
	}()
	return x, nil
}

// Pool returns the roots that know the server's certificate.
func (x *Server) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(x.CA)
	return p
}

// Mails returns what arrived.
func (x *Server) Mails() []Mail {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Clone(x.mails)
}

// Close ends it.
func (x *Server) Close() {
	_ = x.s.Close()
	x.l.Close()
	<-x.done
}

func certificate(names []string, until time.Time) (*tls.Config, *x509.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: names[0]}, NotBefore: until.Add(-24 * time.Hour), NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			tmpl.IPAddresses = append(tmpl.IPAddresses, ip)
		} else {
			tmpl.DNSNames = append(tmpl.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}, cert, nil
}

// NewSession implements smtp.Backend.
func (x *Server) NewSession(c *smtp.Conn) (smtp.Session, error) {
	return &session{x: x, c: c}, nil
}

type session struct {
	x    *Server
	c    *smtp.Conn
	mail Mail
	user string
	how  string
}

func (s *session) AuthMechanisms() []string {
	if s.x.cfg.User == "" {
		return nil
	}
	return s.x.cfg.Mechanisms
}

func (s *session) signedIn(how string, ok bool) error {
	if s.x.cfg.Refuse != nil {
		return s.x.cfg.Refuse
	}
	if !ok {
		return smtp.ErrAuthFailed
	}
	s.user, s.how = s.x.cfg.User, how
	return nil
}

func (s *session) Auth(mech string) (sasl.Server, error) {
	cfg := s.x.cfg
	switch mech {
	case sasl.Plain:
		return sasl.NewPlainServer(func(_, user, password string) error {
			return s.signedIn(mech, user == cfg.User && password == cfg.Password)
		}), nil
	case sasl.Login:
		return &login{check: func(user, password string) error {
			return s.signedIn(mech, user == cfg.User && password == cfg.Password)
		}}, nil
	case "CRAM-MD5":
		return &cram{check: func(challenge, answer string) error {
			m := hmac.New(md5.New, []byte(cfg.Password))
			m.Write([]byte(challenge))
			return s.signedIn(mech, answer == cfg.User+" "+hex.EncodeToString(m.Sum(nil)))
		}}, nil
	case "SCRAM-SHA-256":
		return &scram{user: cfg.User, password: cfg.Password, done: func(ok bool) error { return s.signedIn(mech, ok) }}, nil
	}
	return nil, smtp.ErrAuthUnknownMechanism
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if s.x.cfg.User != "" && s.user == "" {
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "Authentication required"}
	}
	if strings.HasPrefix(from, "nobody@") {
		return &smtp.SMTPError{Code: 553, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "Sender address rejected: not owned by user"}
	}
	_, secure := s.c.TLSConnectionState()
	s.mail = Mail{From: from, User: s.user, How: s.how, TLS: secure}
	return nil
}

func (s *session) asked() string {
	if len(s.mail.To) == 0 {
		return ""
	}
	local, _, _ := strings.Cut(s.mail.To[0], "@")
	return local
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.mail.To = append(s.mail.To, to)
	no := func(code int, e smtp.EnhancedCode, m string) error {
		return &smtp.SMTPError{Code: code, EnhancedCode: e, Message: m}
	}
	switch s.asked() {
	case "unknown":
		return no(550, smtp.EnhancedCode{5, 1, 1}, "User unknown")
	case "full":
		return no(552, smtp.EnhancedCode{5, 2, 2}, "Mailbox full")
	case "postfix":
		return no(454, smtp.EnhancedCode{4, 7, 1}, "Relay access denied")
	case "relay":
		return no(554, smtp.EnhancedCode{5, 7, 1}, "<"+to+">: Relay access denied") // as Postfix says it
	case "later":
		s.x.mu.Lock()
		defer s.x.mu.Unlock()
		if s.x.tried[to]++; s.x.tried[to] == 1 {
			return no(451, smtp.EnhancedCode{4, 7, 1}, "Greylisted, please try again later")
		}
	}
	return nil
}

func (s *session) Data(r io.Reader) error {
	if s.asked() == "cut" {
		if _, err := io.CopyN(io.Discard, r, 64); err != nil {
			return err
		}
		return s.hangUp()
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	switch s.asked() {
	case "lost":
		return s.hangUp()
	case "spam":
		return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "Rejected as spam"}
	}
	s.mail.Data = b
	s.x.mu.Lock()
	s.x.mails = append(s.x.mails, s.mail)
	s.x.mu.Unlock()
	if s.x.cfg.Took != nil {
		s.x.cfg.Took(s.mail)
	}
	return nil
}

func (s *session) hangUp() error {
	s.c.Conn().Close()
	return errors.New("hung up")
}

func (s *session) Reset()        { s.mail = Mail{} }
func (s *session) Logout() error { return nil }

type login struct {
	step  int
	user  string
	check func(user, password string) error
}

func (l *login) Next(in []byte) ([]byte, bool, error) {
	l.step++
	switch {
	case l.step == 1 && in == nil:
		return []byte("Username:"), false, nil
	case l.user == "":
		l.user = string(in)
		return []byte("Password:"), false, nil
	}
	return nil, true, l.check(l.user, string(in))
}

type cram struct {
	challenge string
	check     func(challenge, answer string) error
}

func (c *cram) Next(in []byte) ([]byte, bool, error) {
	if c.challenge == "" {
		c.challenge = "<" + rand.Text() + "@localhost>"
		return []byte(c.challenge), false, nil
	}
	return nil, true, c.check(c.challenge, string(in))
}

// scram is the server of RFC 7677 without channel binding.
type scram struct {
	user, password string
	done           func(ok bool) error
	first, served  string
	salt           []byte
	proved         bool
}

const rounds = 4096

func (c *scram) Next(in []byte) ([]byte, bool, error) {
	switch {
	case in == nil:
		return nil, false, nil
	case c.proved: // the client's empty answer to our signature
		return nil, true, c.done(true)
	case c.first == "":
		_, bare, ok := strings.Cut(string(in), ",,")
		user, nonce, ok2 := strings.Cut(bare, ",r=")
		if !ok || !ok2 || user != "n="+c.user {
			return nil, true, c.done(false)
		}
		c.first, c.salt = bare, []byte(rand.Text())
		c.served = "r=" + nonce + rand.Text() + ",s=" + base64.StdEncoding.EncodeToString(c.salt) + ",i=" + strconv.Itoa(rounds)
		return []byte(c.served), false, nil
	}
	without, proof, ok := strings.Cut(string(in), ",p=")
	got, err := base64.StdEncoding.DecodeString(proof)
	if !ok || err != nil {
		return nil, true, c.done(false)
	}
	salted, err := pbkdf2.Key(sha256.New, c.password, c.salt, rounds, sha256.Size)
	if err != nil {
		return nil, true, err
	}
	mac := func(key []byte, text string) []byte {
		m := hmac.New(sha256.New, key)
		m.Write([]byte(text))
		return m.Sum(nil)
	}
	all := c.first + "," + c.served + "," + without
	client := mac(salted, "Client Key")
	stored := sha256.Sum256(client)
	want := mac(stored[:], all)
	for i := range want {
		want[i] ^= client[i]
	}
	if !hmac.Equal(want, got) {
		return nil, true, c.done(false)
	}
	c.proved = true
	return fmt.Appendf(nil, "v=%s", base64.StdEncoding.EncodeToString(mac(mac(salted, "Server Key"), all))), false, nil
}
