package server_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"daypass/signaling/server"
	"daypass/signaling/signalingtest"
)

// authority is a certificate authority that speaks as much of RFC 8555 as a
// client needs for one name, and really comes to see (RFC 8737, TLS-ALPN-01).
type authority struct {
	*testing.T
	at   string // where the name's port 443 is, for us
	url  string
	key  *ecdsa.PrivateKey
	cert *x509.Certificate

	mu      sync.Mutex
	nonce   int
	thumb   string // of the account's key
	valid   bool
	visits  int
	refused error
	issued  []byte
}

const acmeHost = "support.daypass.test"

func newAuthority(t *testing.T) *authority {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{T: t, key: k}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(a)
	t.Cleanup(s.Close)
	a.url = s.URL
	return a
}

func (a *authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.nonce++
	w.Header().Set("Replay-Nonce", fmt.Sprint("nonce", a.nonce))
	if r.URL.Path == "/dir" {
		a.json(w, 200, map[string]string{"newNonce": a.url + "/nonce", "newAccount": a.url + "/account", "newOrder": a.url + "/order", "revokeCert": a.url + "/revoke", "keyChange": a.url + "/change"})
		return
	}
	if r.URL.Path == "/nonce" {
		return
	}
	payload, err := a.open(r)
	if err != nil {
		a.Error(err)
		a.json(w, 400, map[string]string{"type": "urn:ietf:params:acme:error:malformed", "detail": err.Error()})
		return
	}
	state := "pending"
	if a.valid {
		state = "ready"
	}
	if a.issued != nil {
		state = "valid"
	}
	order := map[string]any{
		"status": state, "identifiers": []map[string]string{{"type": "dns", "value": acmeHost}},
		"authorizations": []string{a.url + "/authz"}, "finalize": a.url + "/finalize", "certificate": a.url + "/cert",
	}
	switch r.URL.Path {
	case "/account":
		w.Header().Set("Location", a.url+"/account/1")
		a.json(w, 201, map[string]string{"status": "valid"})
	case "/order":
		w.Header().Set("Location", a.url+"/order/1")
		a.json(w, 201, order)
	case "/order/1":
		a.json(w, 200, order)
	case "/authz", "/challenge":
		if r.URL.Path == "/challenge" && !a.valid {
			a.visits++
			a.refused = a.visit()
			a.valid = a.refused == nil
		}
		status := "pending"
		if a.valid {
			status = "valid"
		}
		ch := map[string]string{"type": "tls-alpn-01", "url": a.url + "/challenge", "token": "token", "status": status}
		if r.URL.Path == "/challenge" {
			a.json(w, 200, ch)
			return
		}
		a.json(w, 200, map[string]any{"status": status, "identifier": map[string]string{"type": "dns", "value": acmeHost}, "challenges": []any{ch}})
	case "/finalize":
		var in struct{ CSR string }
		err := json.Unmarshal(payload, &in)
		if err == nil {
			err = a.issue(in.CSR)
		}
		if err != nil {
			a.Error(err)
		}
		order["status"] = "valid"
		w.Header().Set("Location", a.url+"/order/1")
		a.json(w, 200, order)
	case "/cert":
		w.Header().Set("Content-Type", "application/pem-certificate-chain")
		for _, der := range [][]byte{a.issued, a.cert.Raw} {
			if err := pem.Encode(w, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
				a.Error(err)
			}
		}
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (a *authority) json(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		a.Error(err)
	}
}

// open reads a request (JWS) and remembers the account's key.
func (a *authority) open(r *http.Request) ([]byte, error) {
	var in struct{ Protected, Payload, Signature string }
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return nil, err
	}
	head, err := base64.RawURLEncoding.DecodeString(in.Protected)
	if err != nil {
		return nil, err
	}
	var h struct {
		JWK struct{ Crv, Kty, X, Y string }
	}
	if err := json.Unmarshal(head, &h); err != nil {
		return nil, err
	}
	if h.JWK.Kty != "" { // RFC 7638
		sum := sha256.Sum256(fmt.Appendf(nil, `{"crv":%q,"kty":%q,"x":%q,"y":%q}`, h.JWK.Crv, h.JWK.Kty, h.JWK.X, h.JWK.Y))
		a.thumb = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	return base64.RawURLEncoding.DecodeString(in.Payload)
}

// visit comes to the name's port 443 and looks for what only the owner of the
// account can have put there.
func (a *authority) visit() error {
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", a.at, &tls.Config{ServerName: acmeHost, NextProtos: []string{"acme-tls/1"}, InsecureSkipVerify: true})
	if err != nil {
		return err
	}
	defer c.Close()
	st := c.ConnectionState()
	if st.NegotiatedProtocol != "acme-tls/1" {
		return errors.New("not acme-tls/1: " + st.NegotiatedProtocol)
	}
	leaf := st.PeerCertificates[0]
	want := sha256.Sum256([]byte("token." + a.thumb))
	for _, e := range leaf.Extensions {
		if e.Id.Equal(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 31}) {
			var got []byte
			if _, err := asn1.Unmarshal(e.Value, &got); err != nil {
				return err
			}
			if string(got) == string(want[:]) && len(leaf.DNSNames) == 1 && leaf.DNSNames[0] == acmeHost {
				return nil
			}
		}
	}
	return errors.New("the proof is not there")
}

func (a *authority) issue(csr string) error {
	der, err := base64.RawURLEncoding.DecodeString(csr)
	if err != nil {
		return err
	}
	req, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return err
	}
	if err := req.CheckSignature(); err != nil || len(req.DNSNames) != 1 || req.DNSNames[0] != acmeHost {
		return fmt.Errorf("request for %v: %w", req.DNSNames, err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: acmeHost}, DNSNames: req.DNSNames, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	a.issued, err = x509.CreateCertificate(rand.Reader, c, a.cert, req.PublicKey.(crypto.PublicKey), a.key)
	return err
}

func TestACertificateByACME(t *testing.T) {
	a := newAuthority(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a.at = l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(a.at)
	if err != nil {
		t.Fatal(err)
	}
	srv := signalingtest.Start(t, func(c *server.Config) {
		c.Listen, c.ACME = a.at, server.ACMEConfig{Host: "Support.Daypass.test", Directory: a.url + "/dir", Email: "ops@daypass.test"}
	})
	if srv.URL() != "https://"+acmeHost+":"+port {
		t.Errorf("links begin with %s", srv.URL())
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	tr := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: acmeHost}}
	within(t, "a certificate of the authority", func() bool {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+a.at+"/healthz", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = acmeHost
		resp, err := (&http.Client{Transport: tr}).Do(req)
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK && strings.HasPrefix(resp.Header.Get("Strict-Transport-Security"), "max-age=")
	})
	a.mu.Lock()
	visits := a.visits
	if a.refused != nil || visits == 0 {
		t.Errorf("%d visits, %v", visits, a.refused)
	}
	a.mu.Unlock()
	if _, err := tls.Dial("tcp", a.at, &tls.Config{RootCAs: pool, ServerName: "else.daypass.test"}); err == nil {
		t.Error("a certificate for another name")
	}
	// It is kept: another start needs no authority.
	srv.Down(t)
	srv.Up(t)
	conn, err := tls.Dial("tcp", a.at, &tls.Config{RootCAs: pool, ServerName: acmeHost})
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.visits != visits {
		t.Error("asked the authority again")
	}
	if st, err := os.Stat(filepath.Join(srv.Config.DataDir, "acme")); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("%v %v", st, err)
	}
	if _, err := url.Parse(srv.URL()); err != nil {
		t.Error(err)
	}
}
