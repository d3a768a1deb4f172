package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"daypass/backend/fault"
	"daypass/backend/rendezvous"
	"daypass/signaling/server"
	"daypass/signaling/signalingtest"
)

func certificate(t *testing.T) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.ParseIP("127.0.0.1")}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	kder, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	cp := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for f, b := range map[string][]byte{cert: cp, key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: kder})} {
		if err := os.WriteFile(f, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(cp)
	return cert, key, pool
}

func TestHTTPSAndTURNOverTLSShareAPort(t *testing.T) {
	cert, key, pool := certificate(t)
	srv := signalingtest.Start(t, func(c *server.Config) { c.TLSCert, c.TLSKey = cert, key })
	if srv.Address.Scheme != "https" {
		t.Fatal(srv.URL())
	}
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL()+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: tr}).Do(req)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%v %v", resp, err)
	}
	resp.Body.Close()
	conn, err := tls.Dial("tcp", srv.Address.Host, &tls.Config{RootCAs: pool})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if conn.ConnectionState().Version != tls.VersionTLS13 {
		t.Error("not TLS 1.3")
	}
	if _, err := conn.Write(append([]byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42}, []byte("transaction!")...)); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 20)
	if _, err := io.ReadFull(conn, got); err != nil || got[0] != 1 || string(got[8:]) != "transaction!" {
		t.Errorf("%x %v", got, err)
	}

	// Our client does not trust a certificate that nobody vouches for, and says so.
	u, err := url.Parse(srv.URL())
	if err != nil {
		t.Fatal(err)
	}
	c := rendezvous.NewClient(rendezvous.ConsoleConfig{Server: u, Key: signalingtest.Key(t), Tokens: &signalingtest.Memory{}})
	defer c.Close()
	if _, err := c.Health(t.Context()); fault.KindOf(err) != fault.Hostile {
		t.Errorf("%v", err)
	}
	// Plain HTTP on a TLS port goes nowhere.
	plain, err := net.Dial("tcp", srv.Address.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if _, err := plain.Write([]byte("GET /healthz HTTP/1.0\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(plain); err == nil && len(b) > 100 {
		t.Errorf("%q", b)
	}
}
