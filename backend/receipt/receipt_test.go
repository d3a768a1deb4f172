package receipt

import (
	"crypto/ed25519"
	"encoding/json"
	"testing"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
)

// made is a receipt of a session that both sides signed.
func made(t testing.TB) (File, Body, [3]ed25519.PrivateKey) {
	t.Helper()
	var keys [3]ed25519.PrivateKey // host, console, server
	for i := range keys {
		var err error
		if _, keys[i], err = ed25519.GenerateKey(nil); err != nil {
			t.Fatal(err)
		}
	}
	sign := func(k ed25519.PrivateKey, context string, v any) grant.Signed {
		s, err := grant.Sign(k, context, v)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	now := time.Now().UTC()
	b := Body{
		Session: grant.NewID(), Company: "Contoso IT", Technician: "Mia Roth", EndedBy: grant.ByLead,
		HostKey: grant.KeyOf(keys[0]), ConsoleKey: grant.KeyOf(keys[1]), ServerKey: grant.KeyOf(keys[2]),
		Removal: Removal{Clean: true, Report: []string{"removed: x"}},
	}
	g := sign(keys[2], grant.ContextGrant, grant.Grant{Session: b.Session, Company: b.Company, Technician: b.Technician, TechnicianKey: b.ConsoleKey, HostKey: b.HostKey, Issued: now, Expires: now.Add(time.Hour)})
	e := sign(keys[2], grant.ContextEnded, grant.Ended{Session: b.Session, By: b.EndedBy, At: now})
	h := grant.HashReport(b.Removal.Report)
	b.Facts = Facts{Grant: &g, Ended: &e, Removed: sign(keys[0], grant.ContextRemoved, grant.Removed{Session: b.Session, At: now, Clean: true, Report: h[:]})}
	raw, sum, err := Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	seal := grant.Receipt{Session: b.Session, SHA256: sum[:]}
	also := sign(keys[1], grant.ContextReceipt, seal)
	return File{Receipt: raw, Seal: sign(keys[0], grant.ContextReceipt, seal), Console: &also}, b, keys
}

func TestAGenuineReceiptSurvivesItsFile(t *testing.T) {
	f, b, _ := made(t)
	js, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	f2, b2, err := Parse(js)
	if err != nil {
		t.Fatal(err)
	}
	if v := Verify(f2, b2); !v.Genuine || !v.Both || len(v.Checks) != 5 || b2.Session != b.Session {
		t.Errorf("%+v", v)
	}
	f2.Console = nil
	if v := Verify(f2, b2); !v.Genuine || v.Both {
		t.Errorf("signed by one side: %+v", v)
	}
}

func TestEachSignatureIsNeeded(t *testing.T) {
	_, _, strangers := made(t)
	for name, forge := range map[Name]func(*File, *Body){
		Computer:   func(f *File, _ *Body) { f.Seal.Sig = f.Console.Sig },
		Technician: func(f *File, _ *Body) { f.Console.Sig = f.Seal.Sig },
		Server:     func(_ *File, b *Body) { b.ServerKey = grant.KeyOf(strangers[2]) },
		End:        func(_ *File, b *Body) { b.EndedBy = grant.ByCustomer },
		Gone:       func(_ *File, b *Body) { b.Removal.Report = []string{"removed: y"} },
	} {
		f, b, _ := made(t)
		forge(&f, &b)
		v := Verify(f, b)
		if v.Genuine {
			t.Errorf("%s is forged and it is genuine", name)
		}
		for _, c := range v.Checks {
			if c.Name == name && (c.OK || c.Detail == "" || name.Words() == "") {
				t.Errorf("%+v", c)
			}
		}
	}
}

func TestWhatIsNoReceiptIsRefused(t *testing.T) {
	for _, bad := range []string{"", "{}", `{"receipt":{},"seal":{},"more":1}`, `[]`, `{"receipt":{"x":1},"seal":{}}`} {
		if _, _, err := Parse([]byte(bad)); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	r, _, _ := made(f)
	js, err := json.Marshal(r)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(js)
	f.Fuzz(func(_ *testing.T, b []byte) {
		if file, body, err := Parse(b); err == nil {
			Verify(file, body)
		}
	})
}
