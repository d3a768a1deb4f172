package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// writePair writes a certificate with this number, or only its key.
func writePair(t *testing.T, cert, key string, number int64, both bool) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(number), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	kder, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	put := func(file, kind string, b []byte) {
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(time.Duration(number) * time.Minute) // another time, whatever the file system's clock
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
	put(key, "PRIVATE KEY", kder)
	if both {
		put(cert, "CERTIFICATE", der)
	}
}

func TestCertificateFilesThatChangeAreReadAgain(t *testing.T) {
	dir := t.TempDir()
	f := &certFiles{cert: filepath.Join(dir, "c"), key: filepath.Join(dir, "k"), log: slog.New(slog.DiscardHandler)}
	if err := f.load(); err == nil {
		t.Fatal("no files, no complaint")
	}
	writePair(t, f.cert, f.key, 1, true)
	if err := f.load(); err != nil {
		t.Fatal(err)
	}
	serial := func(again bool) int64 {
		t.Helper()
		if again {
			f.looked = time.Time{}
		}
		c, err := f.get(nil)
		if err != nil {
			t.Fatal(err)
		}
		return c.Leaf.SerialNumber.Int64()
	}
	writePair(t, f.cert, f.key, 2, true)
	if n := serial(false); n != 1 {
		t.Errorf("looked at the files at every connection: %d", n)
	}
	if n := serial(true); n != 2 {
		t.Errorf("after a change: %d", n)
	}
	// Half replaced: the old pair serves on.
	writePair(t, f.cert, f.key, 3, false)
	if n := serial(true); n != 2 {
		t.Errorf("half a change: %d", n)
	}
	writePair(t, f.cert, f.key, 4, true)
	if n := serial(true); n != 4 {
		t.Errorf("after the other half: %d", n)
	}
	if err := os.Remove(f.cert); err != nil {
		t.Fatal(err)
	}
	if n := serial(true); n != 4 {
		t.Errorf("without file: %d", n)
	}
}
