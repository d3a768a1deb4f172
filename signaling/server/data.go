package server

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/signaling/directory"
	"daypass/signaling/store"
	"daypass/signaling/store/sqlite"
)

func storageKind(err error) fault.Kind {
	if errors.Is(err, store.ErrFull) || errors.Is(err, syscall.ENOSPC) {
		return fault.Full
	}
	return fault.Denied
}

// openData opens the store and the signing key, making both the first time.
func openData(ctx context.Context, dir string) (*sqlite.Store, ed25519.PrivateKey, error) {
	if dir == "" {
		return nil, nil, fault.New(fault.Invalid, "server.start", "No data directory is given.", "Give one with --data.")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, words(err, storageKind(err), "The data directory cannot be made: "+dir+".", "Check its place and rights.")
	}
	st, err := sqlite.Open(ctx, filepath.Join(dir, DatabaseFile))
	switch {
	case errors.Is(err, store.ErrNewer):
		return nil, nil, words(err, fault.Unsupported, "The data was written by a newer version of the server.", "Use that version, or restore the backup made before.")
	case errors.Is(err, store.ErrCorrupt):
		return nil, nil, words(err, fault.Corrupt, "The server's data is damaged.", "Restore the newest backup into an empty directory.")
	case errors.Is(err, store.ErrFull):
		return nil, nil, words(err, fault.Full, "There is no disk space left for the server's data.", "Free some and start again; nothing was lost.")
	case err != nil:
		return nil, nil, words(err, storageKind(err), "The server's data cannot be opened.", "Check the rights of "+dir+".")
	}
	key, err := loadKey(ctx, filepath.Join(dir, KeyFile), st)
	if err != nil {
		return nil, nil, errors.Join(err, st.Close())
	}
	return st, key, nil
}

// loadKey reads the signing key, or makes it where there is no data yet. A key
// that is missing beside data is not replaced: hosts have pinned it.
func loadKey(ctx context.Context, file string, st store.Store) (ed25519.PrivateKey, error) {
	b, err := os.ReadFile(file)
	if err == nil {
		if len(b) != ed25519.SeedSize {
			return nil, fault.New(fault.Corrupt, "server.start", "The server's signing key is damaged.", "Restore "+file+" from a backup.")
		}
		return ed25519.NewKeyFromSeed(b), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, words(err, fault.Denied, "The server's signing key cannot be read.", "Check the rights of "+file+".")
	}
	if cps, err := st.Checkpoints(ctx); err != nil || len(cps) > 0 {
		return nil, words(err, fault.Corrupt, "The server's signing key is missing.", "Restore "+file+" from a backup.")
	}
	seed := make([]byte, ed25519.SeedSize)
	rand.Read(seed)
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) { // another program was faster
		time.Sleep(50 * time.Millisecond)
		return loadKey(ctx, file, st)
	}
	if err == nil {
		_, err = f.Write(seed)
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err != nil {
		os.Remove(file)
		return nil, words(err, storageKind(err), "The server's signing key could not be stored.", "Check the free space and the rights of "+filepath.Dir(file)+".")
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// Account is a new admin's complete sign-in.
type Account = directory.Account

// withData runs f on the data of a server that may be running beside.
func withData(ctx context.Context, dataDir string, f func(*sqlite.Store) error) error {
	st, _, err := openData(ctx, dataDir)
	if err != nil {
		return err
	}
	return errors.Join(f(st), st.Close())
}

// CreateAdmin adds an admin by local command; the only way to a first account.
// It works beside a running server. Faults: Conflict (the address is taken),
// Invalid, and those of Start.
func CreateAdmin(ctx context.Context, dataDir, email, name, company string) (a Account, err error) {
	err = withData(ctx, dataDir, func(st *sqlite.Store) error {
		a, err = directory.CreateAdmin(ctx, st, email, name, company, time.Now().UTC())
		return err
	})
	return a, err
}

// CreateLocal is CreateAdmin for the console that carries the server: an
// account without a second factor, good from this computer only.
func CreateLocal(ctx context.Context, dataDir, email, name, company string) (a Account, err error) {
	err = withData(ctx, dataDir, func(st *sqlite.Store) error {
		a, err = directory.CreateLocal(ctx, st, email, name, company, time.Now().UTC())
		return err
	})
	return a, err
}

// ResetAccount gives an account a new password and second factor and ends all
// its sign-ins, by local command. Faults: NotFound, and those of Start.
func ResetAccount(ctx context.Context, dataDir, email string) (a Account, err error) {
	err = existing(ctx, dataDir, func(st *sqlite.Store) error {
		a, err = directory.ResetAccount(ctx, st, email, time.Now().UTC())
		return err
	})
	return a, err
}

// existing is withData for what makes no data where there is none.
func existing(ctx context.Context, dataDir string, f func(*sqlite.Store) error) error {
	if _, err := os.Stat(filepath.Join(dataDir, DatabaseFile)); err != nil {
		return fault.Wrap(err, fault.NotFound, "admin", "There is no server data in "+dataDir+".", "Give the server's data directory.")
	}
	return withData(ctx, dataDir, f)
}

// CreateCompany adds a company by local command. Faults: Conflict, Invalid.
func CreateCompany(ctx context.Context, dataDir, name string) error {
	return withData(ctx, dataDir, func(st *sqlite.Store) error { return directory.CreateCompany(ctx, st, name, time.Now().UTC()) })
}

// SuspendCompany suspends a company, or resumes it, by local command; a running
// server follows within seconds. Faults: NotFound.
func SuspendCompany(ctx context.Context, dataDir, name string, suspend bool) error {
	return existing(ctx, dataDir, func(st *sqlite.Store) error {
		return directory.SuspendCompany(ctx, st, name, suspend, time.Now().UTC())
	})
}

// CompanyInfo is a line of the list of companies.
type CompanyInfo struct {
	Name      string
	People    int
	Live      int // sessions
	Suspended bool
}

// Companies lists the companies by name.
func Companies(ctx context.Context, dataDir string) (out []CompanyInfo, err error) {
	err = existing(ctx, dataDir, func(st *sqlite.Store) error {
		list, err := st.Companies(ctx)
		if err != nil {
			return err
		}
		for _, c := range list {
			people, err := st.People(ctx, c.ID, time.Now())
			if err != nil {
				return err
			}
			_, live, err := st.Usage(ctx, c.ID, grant.ID{})
			if err != nil {
				return err
			}
			out = append(out, CompanyInfo{Name: c.Name, People: len(people), Live: live, Suspended: c.Suspended})
		}
		return nil
	})
	return out, err
}

// Verify checks the database, the audit chain and its signed checkpoints, and
// returns how many entries and checkpoints there are.
func Verify(ctx context.Context, dataDir string) (entries, checkpoints int, err error) {
	if _, err := os.Stat(filepath.Join(dataDir, DatabaseFile)); err != nil {
		return 0, 0, fault.Wrap(err, fault.NotFound, "audit.verify", "There is no server data in "+dataDir+".", "Give the server's data directory.")
	}
	st, key, err := openData(ctx, dataDir)
	if err != nil {
		return 0, 0, err
	}
	entries, checkpoints, err = directory.Verify(ctx, st, grant.KeyOf(key))
	return entries, checkpoints, errors.Join(err, st.Close())
}

// Backup writes database and signing key into a new directory, beside a running
// server.
func Backup(ctx context.Context, dataDir, to string) error {
	if _, err := os.Stat(filepath.Join(dataDir, DatabaseFile)); err != nil {
		return fault.Wrap(err, fault.NotFound, "backup", "There is no server data in "+dataDir+".", "Give the server's data directory.")
	}
	if err := os.Mkdir(to, 0o700); err != nil {
		return fault.Wrap(err, fault.Conflict, "backup", "The backup's directory cannot be made: "+to+".", "Give one that does not exist yet.")
	}
	st, key, err := openData(ctx, dataDir)
	if err != nil {
		return err
	}
	err = st.Backup(ctx, filepath.Join(to, DatabaseFile))
	if err == nil {
		err = os.WriteFile(filepath.Join(to, KeyFile), key.Seed(), 0o600)
	}
	if err = errors.Join(err, st.Close()); err != nil {
		return fault.Wrap(err, storageKind(err), "backup", "The backup could not be written.", "Check the free space; what was written is not complete.")
	}
	return nil
}

// Restore copies a backup into a data directory that holds no data, and
// verifies it there.
func Restore(ctx context.Context, from, dataDir string) (err error) {
	if _, err := os.Stat(filepath.Join(dataDir, DatabaseFile)); err == nil {
		return fault.New(fault.Conflict, "restore", "There is data in "+dataDir+" already.", "Move it away first; nothing is ever written over.")
	}
	if err := os.MkdirAll(dataDir, 0o700); err != nil {
		return fault.Wrap(err, fault.Denied, "restore", "The data directory cannot be made.", "Check its place and rights.")
	}
	var wrote []string
	defer func() {
		if err == nil {
			return
		}
		for _, n := range wrote { // nothing half is left to be served
			err = errors.Join(err, os.Remove(n))
		}
	}()
	for _, n := range []string{KeyFile, DatabaseFile} {
		to := filepath.Join(dataDir, n)
		b, err := os.ReadFile(filepath.Join(from, n))
		if err != nil {
			return fault.Wrap(err, fault.NotFound, "restore", "The backup is not complete: "+n+" is missing.", "Use another backup.")
		}
		if old, err := os.ReadFile(to); err == nil {
			if !bytes.Equal(old, b) {
				return fault.New(fault.Conflict, "restore", "There is another server's key in "+dataDir+".", "Use an empty directory.")
			}
			continue
		}
		wrote = append(wrote, to)
		if err := writeSynced(to, b); err != nil {
			return fault.Wrap(err, storageKind(err), "restore", "The backup could not be copied.", "Check the free space.")
		}
	}
	if _, _, err := Verify(ctx, dataDir); err != nil {
		return fault.Wrap(err, fault.Corrupt, "restore", "The backup is damaged and was not restored.", "Use another backup.")
	}
	return nil
}

func writeSynced(file string, b []byte) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}
