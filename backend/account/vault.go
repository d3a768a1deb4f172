// Package account keeps a console's secrets: keys, tokens, pins, link secrets
// and the mail password. One 32-byte wrapping key lies in the system's keyring;
// the secrets lie in one file of the profile, sealed with XChaCha20-Poly1305.
// Where no keyring answers, the key comes from a passphrase (argon2id), or
// nothing is kept at all. Nothing is ever written in plain text. It must not
// know what the secrets are for.
//
// The file: magic "DPVAULT1", u8 mode (1 keyring, 2 passphrase), u8 argon time,
// u8 argon lanes, u8 zero, u32 argon memory in KiB (little endian), 16 bytes
// salt, 24 bytes nonce, then the sealed JSON object. Everything before the
// sealed part is its additional data.
package account

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/zalando/go-keyring"
	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20poly1305"

	"daypass/backend/fault"
	"daypass/backend/faultpoint"
)

// Kind says where the wrapping key is.
type Kind string

// The kinds of a vault.
const (
	Locked     Kind = ""           // no key yet: see the fault of Open
	Keyring    Kind = "keyring"    // in the system's keyring
	Passphrase Kind = "passphrase" // made from what the person types at each start
	Memory     Kind = "memory"     // nothing is kept after the program ends
)

// Ring is the system's keyring. Get of what is not there returns an error that
// is ErrNoKey; any other error means that the keyring does not answer. Methods
// may block for as long as the system asks the person.
type Ring interface {
	Get(user string) (string, error)
	Set(user, secret string) error
	Delete(user string) error
}

// ErrNoKey says that the keyring answers but does not hold the key.
var ErrNoKey = errors.New("account: no such key in the keyring")

type system struct{}

const service = "daypass"

func (system) Get(user string) (string, error) {
	s, err := keyring.Get(service, user)
	if errors.Is(err, keyring.ErrNotFound) {
		return "", ErrNoKey
	}
	return s, err
}
func (system) Set(user, secret string) error { return keyring.Set(service, user, secret) }
func (system) Delete(user string) error      { return keyring.Delete(service, user) }

// System is the keyring of the operating system.
func System() Ring { return system{} }

const (
	magic      = "DPVAULT1"
	headLen    = len(magic) + 4 + 4 + 16 + chacha20poly1305.NonceSizeX
	maxFile    = 4 << 20 // bytes of the whole file
	maxSecret  = 64 << 10
	argonTime  = 3
	argonLanes = 2
	argonKiB   = 64 << 10

	// MinPassphrase is the shortest passphrase, in characters.
	MinPassphrase = 8
	// MaxPassphrase bounds what is hashed, in bytes.
	MaxPassphrase = 1024
)

// Vault holds the secrets of one profile. Its methods are safe for concurrent
// use. While it is locked, reads find nothing and writes are a fault of kind
// Conflict.
type Vault struct {
	file string
	ring Ring

	mu      sync.Mutex // guards all following
	kind    Kind
	key     []byte // 32 bytes, nil while locked or in memory
	salt    [16]byte
	kiB     uint32
	time    uint8
	lanes   uint8
	secrets map[string][]byte
}

// New returns a locked vault in dir, which must exist. ring nil is the
// system's.
func New(dir string, ring Ring) *Vault {
	if ring == nil {
		ring = System()
	}
	return &Vault{file: filepath.Join(dir, "vault.bin"), ring: ring, secrets: map[string][]byte{}}
}

// Kind says where the key is; Locked while there is none.
func (v *Vault) Kind() Kind {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.kind
}

// NeedsPassphrase reports whether the profile's file was sealed with a
// passphrase. An unreadable or absent file needs none.
func (v *Vault) NeedsPassphrase() bool {
	b, err := readBounded(v.file)
	return err == nil && len(b) >= headLen && string(b[:len(magic)]) == magic && b[len(magic)] == 2
}

// Exists reports whether the profile has a file of secrets.
func (v *Vault) Exists() bool {
	_, err := os.Stat(v.file)
	return err == nil
}

// OpenKeyring opens the vault with the key in the system's keyring, or makes
// one. It waits for the keyring until ctx is done; the answer of a keyring
// that comes later is used by the next call. Faults: Unsupported where no
// keyring answers, Corrupt when the file does not fit the key, Conflict when
// the file needs a passphrase.
func (v *Vault) OpenKeyring(ctx context.Context) error {
	if v.NeedsPassphrase() {
		return fault.New(fault.Conflict, "vault.open", "Your secrets on this computer are sealed with a passphrase.", "Type the passphrase to go on.")
	}
	type answer struct {
		key []byte
		err error
	}
	ch := make(chan answer, 1)
	exists := v.Exists()
	user := v.user()
	go func() { // ends when the keyring answers; it cannot be interrupted
		key, err := ringKey(v.ring, user, exists)
		ch <- answer{key, err}
	}()
	var a answer
	select {
	case a = <-ch:
	case <-ctx.Done():
		a.err = ctx.Err()
	}
	switch {
	case errors.Is(a.err, ErrNoKey):
		return fault.Wrap(a.err, fault.Corrupt, "vault.open", "The key to your secrets is no longer in the keyring of this computer.",
			"Unlock the keyring it was kept in and try again, or go on without keeping anything.")
	case errors.Is(a.err, context.DeadlineExceeded):
		return fault.Wrap(a.err, fault.Unsupported, "vault.open", "The keyring of this computer does not answer.",
			"Unlock it and try again, choose a passphrase instead, or keep nothing this time.")
	case a.err != nil:
		return fault.Wrap(a.err, fault.Unsupported, "vault.open", "This computer has no keyring to keep your secrets in.",
			"Choose a passphrase, or keep nothing and sign in anew each time.")
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	secrets, err := v.load(a.key)
	if err != nil {
		return err
	}
	v.kind, v.key, v.secrets = Keyring, a.key, secrets
	return nil
}

func ringKey(ring Ring, user string, exists bool) ([]byte, error) {
	s, err := ring.Get(user)
	if errors.Is(err, ErrNoKey) && !exists {
		key := make([]byte, chacha20poly1305.KeySize)
		rand.Read(key)
		if err := ring.Set(user, base64.StdEncoding.EncodeToString(key)); err != nil {
			return nil, err
		}
		// Read it back: some keyrings take a secret and keep it nowhere.
		// That it is not there is no lost key (ErrNoKey), so that is not passed on.
		if s, err = ring.Get(user); errors.Is(err, ErrNoKey) {
			return nil, errors.New("account: the keyring did not keep the key")
		} else if err != nil {
			return nil, fmt.Errorf("account: the keyring did not keep the key: %w", err)
		}
	} else if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(key) != chacha20poly1305.KeySize {
		return nil, errors.New("account: what the keyring holds is not our key")
	}
	return key, nil
}

// user names the key in the keyring: one a profile folder, so that two
// profiles of one person do not share a key.
func (v *Vault) user() string {
	abs, err := filepath.Abs(v.file)
	if err != nil {
		abs = v.file
	}
	sum := argon2.IDKey([]byte(filepath.Dir(abs)), []byte("daypass profile"), 1, 8, 1, 8)
	return "profile-" + hex.EncodeToString(sum)
}

// OpenPassphrase opens the vault with a passphrase, or makes one sealed with it
// if there is none yet. Faults: Invalid for one that is too short, Denied for
// a wrong one, Corrupt for a damaged file, Conflict when the file belongs to
// the keyring. It takes about a tenth of a second and 64 MiB.
func (v *Vault) OpenPassphrase(pass string) error {
	if utf8.RuneCountInString(pass) < MinPassphrase || len(pass) > MaxPassphrase {
		return fault.New(fault.Invalid, "vault.passphrase", fmt.Sprintf("A passphrase has %d characters at least.", MinPassphrase), "Use a few words that only you would put together.")
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	b, err := readBounded(v.file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		rand.Read(v.salt[:])
		v.time, v.lanes, v.kiB = argonTime, argonLanes, argonKiB
		v.kind, v.key = Passphrase, v.derive(pass)
		return v.save()
	case err != nil:
		return translate(err)
	}
	h, err := parseHead(b)
	if err != nil {
		return err
	}
	if h.mode != 2 {
		return fault.New(fault.Conflict, "vault.passphrase", "Your secrets on this computer are sealed with the keyring's key, not with a passphrase.",
			"Unlock the keyring and try again, or go on without keeping anything.")
	}
	v.salt, v.time, v.lanes, v.kiB = h.salt, h.time, h.lanes, h.kiB
	key := v.derive(pass)
	secrets, err := open(b, key)
	if err != nil {
		if errors.Is(err, errSeal) {
			return fault.Wrap(err, fault.Denied, "vault.passphrase", "That is not the passphrase.", "Try again. If it is lost, go on without keeping anything and sign in anew.")
		}
		return err
	}
	v.kind, v.key, v.secrets = Passphrase, key, secrets
	return nil
}

func (v *Vault) derive(pass string) []byte {
	return argon2.IDKey([]byte(pass), v.salt[:], uint32(v.time), v.kiB, v.lanes, chacha20poly1305.KeySize)
}

// UseMemory opens an empty vault that keeps nothing. A file that is there is
// left as it is.
func (v *Vault) UseMemory() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.kind, v.key, v.secrets = Memory, nil, map[string][]byte{}
}

// Get returns a copy of the secret and whether it is there.
func (v *Vault) Get(name string) ([]byte, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	b, ok := v.secrets[name]
	return bytes.Clone(b), ok
}

// Names returns the names that begin with prefix, sorted.
func (v *Vault) Names(prefix string) []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var out []string
	for n := range v.secrets {
		if strings.HasPrefix(n, prefix) {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}

// Put stores a copy of the secret, 1 byte to 64 KiB, and returns when it is on
// the disk. If that fails the vault is as before.
func (v *Vault) Put(name string, secret []byte) error {
	if len(secret) == 0 || len(secret) > maxSecret || len(name) > 256 {
		return fault.New(fault.Internal, "vault.put", "A secret is empty or too large to be kept.", "")
	}
	return v.change(func(m map[string][]byte) { m[name] = bytes.Clone(secret) }, name)
}

// Delete wipes the secrets of these names and returns when the disk knows.
// What is not there is no error.
func (v *Vault) Delete(names ...string) error {
	v.mu.Lock()
	have := slices.ContainsFunc(names, func(n string) bool { _, ok := v.secrets[n]; return ok })
	v.mu.Unlock()
	if !have {
		return nil
	}
	return v.change(func(m map[string][]byte) {
		for _, n := range names {
			delete(m, n)
		}
	}, names...)
}

// change applies f, which touches only names, and stores the result.
func (v *Vault) change(f func(map[string][]byte), names ...string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.kind == Locked {
		return fault.New(fault.Conflict, "vault.put", "Your secrets are not unlocked yet.", "Unlock them first.")
	}
	before := v.secrets
	v.secrets = maps.Clone(before)
	f(v.secrets)
	if v.kind != Memory {
		if err := v.save(); err != nil {
			v.secrets = before
			return err
		}
	}
	for _, n := range names {
		clear(before[n]) // replaced or gone
	}
	return nil
}

// Close wipes key and secrets from memory; the vault is locked afterwards.
func (v *Vault) Close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	clear(v.key)
	for _, b := range v.secrets {
		clear(b)
	}
	v.kind, v.key, v.secrets = Locked, nil, map[string][]byte{}
}

type head struct {
	mode, time, lanes uint8
	kiB               uint32
	salt              [16]byte
	nonce             []byte
}

var errSeal = errors.New("account: the seal does not open")

func parseHead(b []byte) (head, error) {
	var h head
	bad := func() (head, error) {
		return h, fault.New(fault.Corrupt, "vault.open", "The file with your secrets is damaged.", "Put back a copy of it, or go on without keeping anything and sign in anew.")
	}
	if len(b) < headLen+chacha20poly1305.Overhead || string(b[:len(magic)]) != magic {
		return bad()
	}
	p := b[len(magic):]
	h.mode, h.time, h.lanes = p[0], p[1], p[2]
	h.kiB = binary.LittleEndian.Uint32(p[4:])
	copy(h.salt[:], p[8:])
	h.nonce = p[24 : 24+chacha20poly1305.NonceSizeX]
	if h.mode != 1 && h.mode != 2 || p[3] != 0 {
		return bad()
	}
	// A changed head must not make us take all memory or time.
	if h.mode == 2 && (h.time < 1 || h.time > 16 || h.lanes < 1 || h.lanes > 16 || h.kiB < 8<<10 || h.kiB > 1<<20) {
		return bad()
	}
	return h, nil
}

func open(b, key []byte) (map[string][]byte, error) {
	h, err := parseHead(b)
	if err != nil {
		return nil, err
	}
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, h.nonce, b[headLen:], b[:headLen])
	if err != nil {
		return nil, errSeal
	}
	defer clear(plain)
	m := map[string][]byte{}
	if err := json.Unmarshal(plain, &m); err != nil {
		return nil, fault.Wrap(err, fault.Corrupt, "vault.open", "The file with your secrets is damaged.", "Go on without keeping anything and sign in anew.")
	}
	for n, s := range m {
		if len(s) == 0 {
			delete(m, n)
		}
	}
	return m, nil
}

func (v *Vault) load(key []byte) (map[string][]byte, error) {
	b, err := readBounded(v.file)
	if errors.Is(err, fs.ErrNotExist) {
		return map[string][]byte{}, nil
	}
	if err != nil {
		return nil, translate(err)
	}
	m, err := open(b, key)
	if errors.Is(err, errSeal) {
		return nil, fault.Wrap(err, fault.Corrupt, "vault.open", "The file with your secrets does not open with the keyring's key.",
			"Put back the copy that belongs to it, or go on without keeping anything and sign in anew.")
	}
	return m, err
}

// save writes the file anew beside the old one and puts it in its place, so
// that a full disk or a crash leaves the old one whole.
func (v *Vault) save() error {
	b := make([]byte, 0, 4096)
	b = append(b, magic...)
	mode := byte(1)
	if v.kind == Passphrase {
		mode = 2
	}
	b = append(b, mode, v.time, v.lanes, 0)
	b = binary.LittleEndian.AppendUint32(b, v.kiB)
	b = append(b, v.salt[:]...)
	nonce := make([]byte, chacha20poly1305.NonceSizeX)
	rand.Read(nonce)
	b = append(b, nonce...)
	plain, err := json.Marshal(v.secrets)
	if err != nil {
		return translate(err)
	}
	defer clear(plain)
	if len(plain) > maxFile-headLen-chacha20poly1305.Overhead {
		return fault.New(fault.Full, "vault.put", "There are too many secrets to be kept.", "End and put away old sessions.")
	}
	aead, err := chacha20poly1305.NewX(v.key)
	if err != nil {
		return translate(err)
	}
	b = aead.Seal(b, nonce, plain, b)
	return translate(writeFile(v.file, b))
}

func readBounded(file string) ([]byte, error) {
	st, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if st.Size() > maxFile {
		return nil, fault.New(fault.Corrupt, "vault.open", "The file with your secrets is damaged.", "Put back a copy of it.")
	}
	return os.ReadFile(file)
}

func writeFile(file string, b []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(file), ".vault-*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if _, err := f.Write(b); err != nil {
		f.Close()
		return err
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	faultpoint.Hit("console/vault unnamed", "")
	if err := os.Rename(f.Name(), file); err != nil {
		return err
	}
	if d, err := os.Open(filepath.Dir(file)); err == nil {
		defer d.Close()
		// Some file systems cannot sync a folder; the rename is in order all
		// the same.
		_ = d.Sync()
	}
	return nil
}

func translate(err error) error {
	var known *fault.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return err
	case errors.Is(err, fs.ErrPermission):
		return fault.Wrap(err, fault.Denied, "vault", "The file with your secrets cannot be read or written.", "Check the rights of the profile folder.")
	case isFull(err):
		return fault.Wrap(err, fault.Full, "vault", "There is no space left on the disk to keep your secrets.", "Free some space and try again. Nothing that was stored is lost.")
	}
	return fault.Wrap(err, fault.Internal, "vault", "Your secrets could not be read or written.", "Try again. If it happens again, send us the details.")
}

// Probe is how long the start waits for the keyring before it says so.
const Probe = 3 * time.Second
