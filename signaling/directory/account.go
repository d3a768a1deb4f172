package directory

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/rendezvous/protocol"
	"daypass/signaling/store"
)

// Account is a new admin's complete sign-in, as `admin create` prints it.
type Account struct {
	Email    string `json:"email"`
	Password string `json:"password"`
	Name     string `json:"name"`
	Company  string `json:"company"`
	TOTPSeed string `json:"totp_seed,omitempty"` // base32, as authenticator apps take it
	Server   string `json:"server,omitempty"`
}

// local is who acts in commands on the server's own computer.
var local = store.Actor{Kind: "local"}

func newCompany(op, name string, now time.Time) (store.Company, error) {
	name, err := text(op, "company's name", name, 1, 120)
	return store.Company{ID: grant.NewID(), Name: name, MaxSessions: 5, MaxPerProfile: 1, Rights: grant.All, Created: now}, err
}

// CreateAdmin adds an admin with a random password (100 bits) and a second
// factor. Empty name and company get plain defaults. It is the only way to the
// first account, and needs the server's disk.
func CreateAdmin(ctx context.Context, st store.Store, email, name, company string, now time.Time) (Account, error) {
	return createAdmin(ctx, st, email, name, company, newSeed(), now)
}

// CreateLocal is CreateAdmin for the account that a console makes for itself on
// its own computer: without a second factor, which nobody would be there to
// type, and good from that computer only.
func CreateLocal(ctx context.Context, st store.Store, email, name, company string, now time.Time) (Account, error) {
	return createAdmin(ctx, st, email, name, company, nil, now)
}

func createAdmin(ctx context.Context, st store.Store, email, name, company string, seed []byte, now time.Time) (Account, error) {
	const op = "admin.create"
	if err := address(op, email); err != nil {
		return Account{}, err
	}
	if name == "" {
		name, _, _ = strings.Cut(email, "@")
	}
	if company == "" {
		company = "My company"
	}
	name, err := text(op, "name", name, 1, 120)
	if err != nil {
		return Account{}, err
	}
	c, err := newCompany(op, company, now)
	if err != nil {
		return Account{}, err
	}
	pw := newPassword()
	_, err = st.CreateAdmin(ctx, store.Profile{
		ID: grant.NewID(), Email: email, Name: name, Password: HashPassword(pw), TOTP: seed, Local: seed == nil,
		Roles: []string{protocol.RoleAdmin, protocol.RoleLead, protocol.RoleTechnician}, Rights: grant.All, Created: now, Company: c,
	})
	if errors.Is(err, store.ErrConflict) {
		return Account{}, fault.Wrap(err, fault.Conflict, op, "There is an account with this address already.", "Use another address.")
	}
	if err != nil {
		return Account{}, stored(op, err)
	}
	return Account{Email: email, Password: pw, Name: name, Company: c.Name, TOTPSeed: protocol.SeedText(seed)}, nil
}

// newPassword returns 100 random bits in a form that can be typed.
func newPassword() string {
	var b [13]byte
	rand.Read(b[:])
	s := strings.ToLower(grant.Crockford.EncodeToString(b[:])[:20])
	return s[:5] + "-" + s[5:10] + "-" + s[10:15] + "-" + s[15:]
}

// ResetAccount gives an account a new random password and a new second factor
// and ends all its sign-ins. Like CreateAdmin it needs the server's disk.
func ResetAccount(ctx context.Context, st store.Store, email string, now time.Time) (Account, error) {
	const op = "admin.reset"
	p, err := st.ProfileByEmail(ctx, email)
	if errors.Is(err, store.ErrNotFound) {
		return Account{}, fault.Wrap(err, fault.NotFound, op, "There is no account with this address.", "Make one with admin create.")
	}
	if err != nil {
		return Account{}, stored(op, err)
	}
	if p.Local {
		return Account{}, fault.New(fault.Denied, op, "This account belongs to a console on this computer, which keeps its password.", "Make one for a person with admin create.")
	}
	pw, seed := newPassword(), newSeed()
	hashed := HashPassword(pw)
	if p, _, err = st.ChangePerson(ctx, p.ID, local, now, func(p *store.Profile) (store.Change, error) {
		p.Password, p.TOTP, p.Pending, p.Step, p.Disabled = hashed, seed, nil, 0, false
		return store.Change{Kind: "person.reset", Detail: about(p.ID), Revoke: true, Recovery: &[]store.Hash{}}, nil
	}); err != nil {
		return Account{}, stored(op, err)
	}
	return Account{Email: p.Email, Password: pw, Name: p.Name, Company: p.Company.Name, TOTPSeed: protocol.SeedText(seed)}, nil
}

// CreateCompany adds a company with the default policy.
func CreateCompany(ctx context.Context, st store.Store, name string, now time.Time) error {
	const op = "company.create"
	c, err := newCompany(op, name, now)
	if err != nil {
		return err
	}
	err = st.CreateCompany(ctx, c, local)
	if errors.Is(err, store.ErrConflict) {
		return fault.Wrap(err, fault.Conflict, op, "There is a company with this name already.", "Use another name.")
	}
	return stored(op, err)
}

// SuspendCompany suspends a company or resumes it. A running server ends its
// sessions and sign-ins within seconds.
func SuspendCompany(ctx context.Context, st store.Store, name string, suspend bool, now time.Time) error {
	const op = "company.suspend"
	list, err := st.Companies(ctx)
	if err != nil {
		return stored(op, err)
	}
	for _, c := range list {
		if c.Name != name {
			continue
		}
		_, err := st.ChangeCompany(ctx, c.ID, local, now, func(c *store.Company) (store.Change, error) {
			if c.Suspended == suspend {
				return store.Change{}, nil
			}
			c.Suspended = suspend
			if suspend {
				return store.Change{Kind: "company.suspend"}, nil
			}
			return store.Change{Kind: "company.resume"}, nil
		})
		return stored(op, err)
	}
	return fault.New(fault.NotFound, op, "There is no company with this name.", "See their names with admin company list.")
}

func unmarshal(b []byte, v any) error {
	if err := json.Unmarshal(b, v); err != nil {
		return fault.Wrap(err, fault.Corrupt, "audit.follow", "An entry of the audit chain cannot be read.", "Its operator must restore the backup.")
	}
	return nil
}
