package account

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"daypass/backend/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ring is a keyring in memory. It may be absent, forgetful, or slow.
type ring struct {
	mu     sync.Mutex
	keys   map[string]string
	err    error
	forget bool
	hang   chan struct{}
}

func newRing() *ring { return &ring{keys: map[string]string{}} }

func (r *ring) Get(u string) (string, error) {
	if r.hang != nil {
		<-r.hang
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return "", r.err
	}
	if s, ok := r.keys[u]; ok {
		return s, nil
	}
	return "", ErrNoKey
}

func (r *ring) Set(u, s string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return r.err
	}
	if !r.forget {
		r.keys[u] = s
	}
	return nil
}

func (r *ring) Delete(u string) error { delete(r.keys, u); return nil }

func TestSecretsComeBackWithTheKeyring(t *testing.T) {
	dir, r := t.TempDir(), newRing()
	v := New(dir, r)
	if _, ok := v.Get("a"); ok || v.Kind() != Locked {
		t.Fatal("not locked at first")
	}
	if err := v.Put("a", []byte("x")); fault.KindOf(err) != fault.Conflict {
		t.Fatal("took a secret while locked", err)
	}
	if err := v.OpenKeyring(t.Context()); err != nil {
		t.Fatal(err)
	}
	secret := []byte("a very secret secret")
	for _, n := range []string{"a", "b", "link:1", "link:2"} {
		if err := v.Put(n, secret); err != nil {
			t.Fatal(err)
		}
	}
	if err := v.Delete("b", "not there"); err != nil {
		t.Fatal(err)
	}
	v.Close()
	raw, err := os.ReadFile(filepath.Join(dir, "vault.bin"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(raw, secret) || bytes.Contains(raw, []byte("link")) || bytes.Contains(raw, []byte("YSB2ZXJ5")) {
		t.Fatal("plain text on the disk")
	}
	if st, _ := os.Stat(filepath.Join(dir, "vault.bin")); st.Mode().Perm() != 0o600 {
		t.Fatal(st.Mode())
	}
	again := New(dir, r)
	if err := again.OpenKeyring(t.Context()); err != nil {
		t.Fatal(err)
	}
	if b, ok := again.Get("a"); !ok || !bytes.Equal(b, secret) {
		t.Fatal("lost")
	}
	if _, ok := again.Get("b"); ok {
		t.Fatal("deleted, and there again")
	}
	if n := again.Names("link:"); len(n) != 2 || n[0] != "link:1" {
		t.Fatal(n)
	}
}

func TestNoKeyringIsSaidAndOffersAWayOn(t *testing.T) {
	r := newRing()
	r.err = errors.New("dbus: no session bus")
	v := New(t.TempDir(), r)
	err := v.OpenKeyring(t.Context())
	e := fault.Of(err)
	if e == nil || e.Kind != fault.Unsupported || !strings.Contains(e.Hint, "passphrase") {
		t.Fatalf("%v", err)
	}
	v.UseMemory()
	if err := v.Put("a", []byte("x")); err != nil || v.Kind() != Memory || v.Exists() {
		t.Fatal("memory only must write nothing", err)
	}
}

func TestAKeyringThatForgetsIsNotTrusted(t *testing.T) {
	r := newRing()
	r.forget = true
	v := New(t.TempDir(), r)
	if err := v.OpenKeyring(t.Context()); fault.KindOf(err) != fault.Unsupported || v.Kind() != Locked {
		t.Fatal(err)
	}
}

func TestASilentKeyringIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRing()
		r.hang = make(chan struct{})
		v := New(t.TempDir(), r)
		ctx, cancel := context.WithTimeout(t.Context(), Probe)
		defer cancel()
		start := time.Now()
		err := v.OpenKeyring(ctx)
		if fault.KindOf(err) != fault.Unsupported || time.Since(start) != Probe {
			t.Fatalf("%v after %v", err, time.Since(start))
		}
		close(r.hang)
		synctest.Wait()
	})
}

func TestALostKeyDoesNotOverwriteTheSecrets(t *testing.T) {
	dir, r := t.TempDir(), newRing()
	v := New(dir, r)
	if err := v.OpenKeyring(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := v.Put("a", []byte("x")); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(dir, "vault.bin"))
	if err != nil {
		t.Fatal(err)
	}
	if err := New(dir, newRing()).OpenKeyring(t.Context()); fault.KindOf(err) != fault.Corrupt {
		t.Fatal(err)
	}
	if err := New(dir, newRing()).OpenPassphrase("a long passphrase"); fault.KindOf(err) != fault.Conflict {
		t.Fatal(err)
	}
	after, err := os.ReadFile(filepath.Join(dir, "vault.bin"))
	if err != nil || !bytes.Equal(before, after) {
		t.Fatal("changed", err)
	}
}

func TestPassphrase(t *testing.T) {
	dir := t.TempDir()
	v := New(dir, newRing())
	if err := v.OpenPassphrase("short"); fault.KindOf(err) != fault.Invalid {
		t.Fatal(err)
	}
	if err := v.OpenPassphrase("korrekt pferd batterie"); err != nil || v.Kind() != Passphrase {
		t.Fatal(err)
	}
	if err := v.Put("a", []byte("secret")); err != nil {
		t.Fatal(err)
	}
	again := New(dir, newRing())
	if !again.NeedsPassphrase() {
		t.Fatal("does not know that a passphrase is needed")
	}
	if err := again.OpenKeyring(t.Context()); fault.KindOf(err) != fault.Conflict {
		t.Fatal(err)
	}
	if err := again.OpenPassphrase("korrekt pferd batterei"); fault.KindOf(err) != fault.Denied || again.Kind() != Locked {
		t.Fatal(err)
	}
	if err := again.OpenPassphrase("korrekt pferd batterie"); err != nil {
		t.Fatal(err)
	}
	if b, _ := again.Get("a"); string(b) != "secret" {
		t.Fatal("lost")
	}
}

func TestEveryByteOfTheFileIsProtected(t *testing.T) {
	dir, r := t.TempDir(), newRing()
	v := New(dir, r)
	if err := v.OpenKeyring(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := v.Put("a", []byte("x")); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "vault.bin")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		if err := os.WriteFile(file, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := New(dir, r).OpenKeyring(t.Context()); err == nil {
			t.Fatalf("byte %d may be changed", i)
		}
	}
	for _, n := range []int{0, 10, headLen, len(good) - 1} {
		if err := os.WriteFile(file, good[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if err := New(dir, r).OpenKeyring(t.Context()); fault.KindOf(err) != fault.Corrupt {
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
}

func TestAChangedHeadCannotMakeUsTakeAllMemory(t *testing.T) {
	dir := t.TempDir()
	b := make([]byte, headLen+100)
	copy(b, magic)
	b[8], b[9], b[10] = 2, 3, 2
	b[12], b[13], b[14], b[15] = 0xff, 0xff, 0xff, 0xff // 4 TiB
	if err := os.WriteFile(filepath.Join(dir, "vault.bin"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := New(dir, newRing()).OpenPassphrase("korrekt pferd batterie"); fault.KindOf(err) != fault.Corrupt {
		t.Fatal(err)
	}
}

func TestAWriteThatFailsChangesNothing(t *testing.T) {
	dir, r := t.TempDir(), newRing()
	v := New(dir, r)
	if err := v.OpenKeyring(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := v.Put("a", []byte("old")); err != nil {
		t.Fatal(err)
	}
	moved := dir + "-away"
	if err := os.Rename(dir, moved); err != nil { // root may write anywhere, but not where nothing is
		t.Fatal(err)
	}
	if err := v.Put("a", []byte("new")); err == nil {
		t.Fatal("stored nowhere")
	}
	if b, _ := v.Get("a"); string(b) != "old" {
		t.Fatalf("%q", b)
	}
	if err := os.Rename(moved, dir); err != nil {
		t.Fatal(err)
	}
	if err := v.Put("a", []byte("new")); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".vault-*")); len(left) != 0 {
		t.Fatal("left over", left)
	}
}

func TestBounds(t *testing.T) {
	v := New(t.TempDir(), nil)
	v.UseMemory()
	for _, b := range [][]byte{nil, make([]byte, maxSecret+1)} {
		if err := v.Put("a", b); err == nil {
			t.Errorf("took %d bytes", len(b))
		}
	}
	b := []byte("mine")
	if err := v.Put("a", b); err != nil {
		t.Fatal(err)
	}
	b[0] = 'X'
	if got, _ := v.Get("a"); string(got) != "mine" {
		t.Error("the vault keeps the caller's bytes")
	}
	v.Close()
	if _, ok := v.Get("a"); ok {
		t.Error("open after Close")
	}
}

func FuzzVaultFile(f *testing.F) {
	key := make([]byte, 32)
	dir := f.TempDir()
	v := New(dir, newRing())
	v.kind, v.key = Keyring, key
	if err := v.save(); err != nil {
		f.Fatal(err)
	}
	b, err := os.ReadFile(v.file)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := open(b, key); err == nil && m == nil {
			t.Fatal("no secrets and no error")
		}
	})
}
