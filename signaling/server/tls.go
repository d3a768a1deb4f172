package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"daypass/backend/fault"
)

// ACMEConfig has the certificate fetched and renewed by the ACME protocol (RFC
// 8555, TLS-ALPN-01: the certificate authority comes to port 443 of Host, which
// must lead to this server). It is off while Host is empty.
type ACMEConfig struct {
	Host      string // the name that links begin with
	Directory string // of the authority; empty: Let's Encrypt
	Email     string // for the authority's warnings; may be empty
}

const (
	acmeFolder  = "acme"           // in the data directory: account key and certificates, mode 0600
	lookAgain   = 10 * time.Second // how often certificate files are looked at
	expiresSoon = 14 * 24 * time.Hour
)

// certificates makes the TLS configuration; nil for plain HTTP. fetch, where not
// nil, gets the first certificate; it is to run until its context is done.
func certificates(cfg Config, log *slog.Logger) (c *tls.Config, fetch func(context.Context), err error) {
	files := cfg.TLSCert != "" || cfg.TLSKey != ""
	base := func() *tls.Config { return &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"}} }
	switch {
	case files && cfg.ACME.Host != "":
		return nil, nil, fault.New(fault.Invalid, "server.start", "A certificate comes from files or by ACME, not both.", "Give --cert and --key, or --acme.")
	case files:
		f := &certFiles{cert: cfg.TLSCert, key: cfg.TLSKey, log: log}
		if err := f.load(); err != nil {
			return nil, nil, words(err, fault.Invalid, "The TLS certificate or its key cannot be used.", "Give both as PEM files that belong together.")
		}
		c = base()
		c.GetCertificate = f.get
		return c, nil, nil
	case cfg.ACME.Host != "":
		host := strings.ToLower(cfg.ACME.Host)
		if strings.ContainsAny(host, ":/ ") || !strings.Contains(host, ".") {
			return nil, nil, fault.New(fault.Invalid, "server.start", "This is not a name that a certificate can be made for: "+cfg.ACME.Host+".", "Give the server's full name, as support.example.org.")
		}
		m := &autocert.Manager{
			Prompt: autocert.AcceptTOS, Email: cfg.ACME.Email, HostPolicy: autocert.HostWhitelist(host),
			Cache: autocert.DirCache(filepath.Join(cfg.DataDir, acmeFolder)),
		}
		if cfg.ACME.Directory != "" {
			m.Client = &acme.Client{DirectoryURL: cfg.ACME.Directory}
		}
		c = base()
		c.GetCertificate = m.GetCertificate
		c.NextProtos = append(c.NextProtos, acme.ALPNProto)
		return c, func(ctx context.Context) { first(ctx, m, host, log) }, nil
	}
	return nil, nil, nil
}

// first gets the certificate before somebody waits for it, and keeps trying.
func first(ctx context.Context, m *autocert.Manager, host string, log *slog.Logger) {
	hello := &tls.ClientHelloInfo{
		ServerName: host, SupportedVersions: []uint16{tls.VersionTLS13},
		CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}, SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256}, SupportedCurves: []tls.CurveID{tls.CurveP256},
	}
	wait := 10 * time.Second
	for {
		got := make(chan error, 1)
		go func() { // the library takes no context
			_, err := m.GetCertificate(hello)
			got <- err
		}()
		var err error
		select {
		case err = <-got:
		case <-ctx.Done():
			return
		}
		if err == nil {
			log.Info("certificate is there", "host", host)
			return
		}
		log.Error("no certificate from the authority yet; does port 443 of the name lead here?", "host", host, "again_in", wait.String(), "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = min(2*wait, time.Hour) // authorities count failures
	}
}

// certFiles is a certificate in files that may be replaced while the server
// runs. New ones count once both belong together; until then the old ones do.
type certFiles struct {
	cert, key string
	log       *slog.Logger

	mu     sync.Mutex
	now    *tls.Certificate
	stamp  [2]fileStamp
	looked time.Time
}

type fileStamp struct {
	at   time.Time
	size int64
}

func (f *certFiles) stamps() (s [2]fileStamp, err error) {
	for i, name := range []string{f.cert, f.key} {
		st, err := os.Stat(name)
		if err != nil {
			return s, err
		}
		s[i] = fileStamp{st.ModTime(), st.Size()}
	}
	return s, nil
}

// load reads the files. mu is held, but at the start.
func (f *certFiles) load() error {
	s, err := f.stamps()
	if err != nil {
		return err
	}
	c, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return err
	}
	if c.Leaf == nil {
		if c.Leaf, err = x509.ParseCertificate(c.Certificate[0]); err != nil {
			return err
		}
	}
	f.now, f.stamp, f.looked = &c, s, time.Now()
	say := f.log.Info
	if time.Until(c.Leaf.NotAfter) < expiresSoon {
		say = f.log.Warn
	}
	say("certificate read", "names", c.Leaf.DNSNames, "good_until", c.Leaf.NotAfter)
	return nil
}

func (f *certFiles) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.looked) >= lookAgain {
		f.look()
	}
	return f.now, nil
}

// look reads the files again if they changed. mu is held.
func (f *certFiles) look() {
	f.looked = time.Now()
	s, err := f.stamps()
	if err == nil && s != f.stamp {
		err = f.load()
	}
	if err != nil {
		f.log.Error("the new certificate cannot be used; the old one stays", "error", err)
	}
}

// secured says, where the server is reached by https, that it always is (RFC
// 6797).
func secured(u *url.URL, next http.Handler) http.Handler {
	if u.Scheme != "https" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Strict-Transport-Security", "max-age=31536000")
		next.ServeHTTP(w, r)
	})
}
