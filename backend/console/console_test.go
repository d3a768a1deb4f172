package console_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"daypass/backend/account"
	"daypass/backend/console"
	"daypass/backend/desk"
	"daypass/backend/grant"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type system struct{ text, save, open string }

func (*system) Emit(desk.Snapshot)               {}
func (s *system) ClipboardText() (string, error) { return s.text, nil }
func (s *system) SetClipboardText(t string) error {
	s.text = t
	return nil
}
func (*system) OpenMail(string) error               { return nil }
func (*system) Fullscreen(bool)                     {}
func (*system) Quit()                               {}
func (*system) Confirm(string, string, string) bool { return true }

func (s *system) SaveFile(string, string) (string, error) { return s.save, nil }
func (s *system) OpenFile(string, string) (string, error) { return s.open, nil }

func services(t *testing.T) (console.Services, *system) {
	t.Helper()
	dir := t.TempDir()
	v := account.New(dir, nil)
	v.UseMemory()
	sys := &system{}
	d := desk.New(desk.Config{Dir: dir, Version: "1.2", Vault: v, System: sys})
	t.Cleanup(d.Close)
	s := console.New(d, sys, console.About{Version: "1.2"}, func() []console.Check { return []console.Check{{Name: "x", OK: true}} })
	for end := time.Now().Add(30 * time.Second); ; {
		snap, err := s.Shell.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		if snap.Phase == desk.PhaseWelcome {
			return s, sys
		}
		if time.Now().After(end) {
			t.Fatal(snap.Phase)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// What Wails can bind: at most a result and an error.
func TestEveryMethodCanBeBound(t *testing.T) {
	s, _ := services(t)
	want := map[string]string{
		"Shell":    "About CopyText DismissNotice Doctor Fullscreen Quit SetAppearance SetLanguage Snapshot",
		"Setup":    "Join Leave Look SetLAN SetPassphrase SignIn SignOut Unlock UseMemory UseServer UseThisComputer",
		"Sessions": "Again AskRight Cancel Choose CopyLink Correct Create End EndOf NewCode OpenMailProgram Preview PutAway Reboot Refresh Resend SendMail TakeOver",
		"Remote":   "Chord Close FetchClipboard Open SelectDisplay SendClipboard SetViewOnly Stats",
		"Mail":     "Get Save StopTest Test",
		"History":  "AcceptKey AddTag CancelExport CheckReceipt DropRecovery Export ExportProgress Facets KeepRecovery Key List Marks NewRecovery Open RemoveTag RenewKey SetNote Sync Timeline UseRecovery",
		"Team":     "Again Audit Change Consoles Invite OpenMailProgram People Policy ResetPassword ResetTOTP RevokeConsole RevokeInvitation SetDisabled SetPolicy VerifyAudit",
		"Account":  "BeginTOTP ChangePassword ConfirmTOTP Consoles Kept NewRecoveryCodes RemoveTOTP RevokeConsole",
	}
	for _, b := range s.Bind() {
		ty := reflect.TypeOf(b)
		names := []string{}
		for i := range ty.NumMethod() {
			m := ty.Method(i)
			names = append(names, m.Name)
			if n := m.Type.NumOut(); n > 2 || n == 2 && m.Type.Out(1) != reflect.TypeFor[error]() {
				t.Errorf("%s.%s returns %d values", ty, m.Name, n)
			}
		}
		if got := strings.Join(names, " "); got != want[ty.Elem().Name()] {
			t.Errorf("%s offers %q to the page, not %q: each method is callable by whatever runs there", ty, got, want[ty.Elem().Name()])
		}
	}
}

func only[T any](_ T, err error) error { return err }

func TestErrorsCrossAsJSON(t *testing.T) {
	s, _ := services(t)
	long := strings.Repeat("x", 100_000)
	for name, err := range map[string]error{
		"too long":     s.Shell.CopyText(long),
		"not UTF-8":    s.Shell.CopyText("\xff"),
		"server":       s.Setup.UseServer("ftp://x"),
		"long server":  s.Setup.UseServer(long),
		"no such":      s.Sessions.End("nope"),
		"long id":      s.Sessions.Cancel(long),
		"appearance":   s.Shell.SetAppearance("pink"),
		"language":     s.Shell.SetLanguage("xx"),
		"mail":         s.Mail.Save(console.MailSettings{Host: "a b"}, ""),
		"test mail":    s.Mail.Test("x"),
		"choose":       s.Sessions.Choose("a", "b"),
		"display":      s.Remote.SelectDisplay("a", 1),
		"sign in":      only(s.Setup.SignIn(console.SignIn{Email: "a@b.de", Password: "x"})),
		"join":         s.Setup.Join(console.Join{Password: long}),
		"join early":   s.Setup.Join(console.Join{Password: "x"}),
		"look":         only(s.Setup.Look("what is this")),
		"look alone":   only(s.Setup.Look("0000-00000-00000-00000-0")),
		"leave":        s.Setup.Leave(),
		"end of":       s.Sessions.EndOf("nope"),
		"people":       only(s.Team.People()),
		"consoles":     only(s.Team.Consoles(long)),
		"invite":       only(s.Team.Invite("a@b.de", desk.PersonForm{Rights: []string{"fly"}})),
		"many roles":   only(s.Team.Invite("a@b.de", desk.PersonForm{Roles: make([]string, 100)})),
		"change":       s.Team.Change("x", desk.PersonForm{Name: long}),
		"policy":       s.Team.SetPolicy(desk.Policy{Rights: []string{"fly"}}),
		"audit":        only(s.Team.Audit(desk.AuditQuery{Kind: long})),
		"mail person":  s.Team.OpenMailProgram("x"),
		"totp":         only(s.Account.BeginTOTP(console.Proof{Password: long})),
		"password":     s.Account.ChangePassword("a", "b"),
		"my consoles":  only(s.Account.Consoles()),
		"not embedded": s.Setup.UseThisComputer(),
		"lan":          s.Setup.SetLAN(true, "1.2.3.4"),
	} {
		var f console.FaultJSON
		if err == nil || json.Unmarshal([]byte(err.Error()), &f) != nil || f.Kind == "" || f.Message == "" {
			t.Errorf("%s: %v", name, err)
		}
		if f.Kind == "internal" {
			t.Errorf("%s: nobody classified it: %v", name, err)
		}
	}
	if _, err := s.History.Timeline("x"); err == nil || !strings.Contains(err.Error(), `"not_found"`) {
		t.Error(err)
	}
	if _, err := s.Sessions.Create(desk.Invite{Email: "a@example.com"}); err == nil || !strings.Contains(err.Error(), `"conflict"`) {
		t.Error(err)
	}
}

func TestListsAreNeverNull(t *testing.T) {
	s, _ := services(t)
	snap, err := s.Shell.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	page, err := s.History.List(console.HistoryQuery{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal([]any{snap, page})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), "null") {
		t.Errorf("null crosses to the page: %s", b)
	}
}

func TestSettingsMailAndDoctor(t *testing.T) {
	s, sys := services(t)
	if err := s.Shell.SetAppearance("dark"); err != nil {
		t.Fatal(err)
	}
	if err := s.Shell.SetLanguage("de"); err != nil {
		t.Fatal(err)
	}
	if err := s.Shell.CopyText("hello"); err != nil || sys.text != "hello" {
		t.Fatal(err)
	}
	if err := s.Mail.Save(console.MailSettings{Host: " smtp.example.com ", Port: 465, Security: "tls", User: "mia", From: "mia@example.com"}, "secret"); err != nil {
		t.Fatal(err)
	}
	m, err := s.Mail.Get()
	if err != nil || m.Host != "smtp.example.com" || !m.HasPassword {
		t.Fatalf("%+v %v", m, err)
	}
	b, err := json.Marshal(m)
	if err != nil || strings.Contains(string(b), "secret") {
		t.Fatal("the password crosses to the page")
	}
	snap, err := s.Shell.Snapshot()
	if err != nil || snap.Settings.Appearance != "dark" || snap.Settings.Language != "de" || !snap.Mail.Configured {
		t.Fatalf("%+v %v", snap.Settings, err)
	}
	if err := s.Mail.Save(console.MailSettings{}, ""); err != nil {
		t.Fatal(err)
	}
	if m, err = s.Mail.Get(); err != nil || m.Host != "" || m.HasPassword || m.Port != 587 {
		t.Fatalf("%+v %v", m, err)
	}
	r, err := s.Shell.Doctor()
	if err != nil || len(r.Checks) != 4 {
		t.Fatalf("%+v %v", r, err)
	}
	for _, c := range r.Checks {
		if !c.OK && c.Hint == "" {
			t.Errorf("%s: no way on", c.Name)
		}
	}
}

// An export to a file that a person chose, and what is in its place when it
// does not come to its end.
func TestExportWritesWholeFilesOrNone(t *testing.T) {
	s, sys := services(t)
	dir := t.TempDir()
	for format, want := range map[string]string{"csv": "Session,", "excel": "\ufeffSitzung;", "json": `{"format":"daypass history"`, "html": "<!doctype html>"} {
		sys.save = filepath.Join(dir, "out "+format)
		got, err := s.History.Export(console.ExportRequest{Format: format, German: format == "excel", Dialog: "Save"})
		if err != nil || got.Cancelled || got.Sessions != 0 || filepath.Ext(got.Path) == "" {
			t.Fatalf("%s: %+v %v", format, got, err)
		}
		if b, err := os.ReadFile(got.Path); err != nil || !strings.HasPrefix(string(b), want) {
			t.Errorf("%s: %.40q %v", format, b, err)
		}
	}
	sys.save = ""
	if got, err := s.History.Export(console.ExportRequest{Format: "csv"}); err != nil || !got.Cancelled {
		t.Errorf("no file was chosen: %+v %v", got, err)
	}
	sys.save = filepath.Join(dir, "no such folder", "x.csv")
	if _, err := s.History.Export(console.ExportRequest{Format: "csv"}); err == nil || !strings.Contains(err.Error(), "could not be written") {
		t.Error(err)
	}
	kept := filepath.Join(dir, "kept.json")
	if err := os.WriteFile(kept, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	sys.save = kept
	if _, err := s.History.Export(console.ExportRequest{Format: "json", ID: grant.NewID().String()}); err == nil || !strings.Contains(err.Error(), `"not_found"`) {
		t.Error(err)
	}
	if b, err := os.ReadFile(kept); err != nil || string(b) != "before" {
		t.Errorf("%q %v", b, err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".daypass-*")); err != nil || len(left) != 0 {
		t.Error(left, err)
	}
	if _, err := s.History.Export(console.ExportRequest{Format: "exe"}); err == nil {
		t.Error("a format that does not exist")
	}
}

func TestAReceiptIsReadFromTheFileThatAPersonChose(t *testing.T) {
	s, sys := services(t)
	if got, err := s.History.CheckReceipt("Open"); err != nil || got.Chosen {
		t.Fatalf("%+v %v", got, err)
	}
	sys.open = filepath.Join(t.TempDir(), "r.json")
	if _, err := s.History.CheckReceipt("Open"); err == nil || !strings.Contains(err.Error(), "cannot be read") {
		t.Error(err)
	}
	if err := os.WriteFile(sys.open, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.History.CheckReceipt("Open"); err == nil || !strings.Contains(err.Error(), "not a receipt of Daypass") {
		t.Error(err)
	}
}
