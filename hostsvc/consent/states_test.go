package consent

import (
	"fmt"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
)

// states are every page there is, by name.
func states(now time.Time) map[string]Model {
	who := Model{
		Now: now, Server: "help.contoso.example", Company: "Contoso IT", Technician: "Mia Roth",
		Rights: grant.View | grant.Control | grant.Clipboard, Allowed: grant.View | grant.Control | grant.Clipboard,
	}
	with := func(f func(*Model)) Model { m := who; f(&m); return m }
	live := func(f func(*Model)) Model {
		return with(func(m *Model) {
			m.Screen, m.Expires = Connected, now.Add(18*time.Hour+4*time.Minute)
			m.Events = []Line{
				{At: now.Add(-6 * time.Hour), Kind: LineActivated},
				{At: now.Add(-4 * time.Hour), Kind: LineWatching, Rights: grant.View | grant.Control},
				{At: now.Add(-3 * time.Hour), Kind: LineClipboardIn},
				{At: now.Add(-2 * time.Hour), Kind: LineLeft},
			}
			f(m)
		})
	}
	s := map[string]Model{
		"starting":   {},
		"link":       {Screen: AskLink},
		"link-file":  {Screen: AskLink, Link: LinkFile},
		"link-cut":   {Screen: AskLink, Link: LinkCut},
		"connecting": with(func(m *Model) { m.Screen, m.Technician, m.Company = Connecting, "", "" }),
		"waiting":    with(func(m *Model) { m.Screen, m.Progress = Connecting, WaitingForTechnician }),
		"code":       with(func(m *Model) { m.Screen, m.Expires = EnterCode, now.Add(24*time.Hour) }),
		"code-slip":  with(func(m *Model) { m.Screen, m.Code = EnterCode, CodeSlip }),
		"code-wrong": with(func(m *Model) { m.Screen, m.Code, m.CodeLeft = EnterCode, CodeWrong, 2 }),
		"code-last":  with(func(m *Model) { m.Screen, m.Code, m.CodeLeft = EnterCode, CodeWrong, 1 }),
		"code-new":   with(func(m *Model) { m.Screen, m.Code = EnterCode, CodeNew }),
		"code-lock":  with(func(m *Model) { m.Screen, m.Code = EnterCode, CodeLocked }),
		"again":      with(func(m *Model) { m.Screen, m.Again, m.Expires = EnterCode, true, now.Add(18*time.Hour) }),
		"again-on":   with(func(m *Model) { m.Screen, m.Progress, m.Again = Connecting, CheckingCode, true }),
		"quiet":      live(func(m *Model) {}),
		"watching":   live(func(m *Model) { m.Watching, m.Doing = true, grant.View|grant.Control }),
		"viewing":    live(func(m *Model) { m.Watching, m.Doing, m.Allowed = true, grant.View, grant.View }),
		"paused":     live(func(m *Model) { m.Watching, m.Paused = true, true }),
		"last-hour":  live(func(m *Model) { m.Expires = now.Add(42 * time.Minute) }),
		"last-ten": live(func(m *Model) {
			m.Watching, m.Doing, m.Expires = true, grant.View|grant.Control, now.Add(9*time.Minute+30*time.Second)
		}),
		"offline":    live(func(m *Model) { m.Offline = true }),
		"back-login": live(func(m *Model) { m.Keeps, m.After, m.CanRaise = true, "login", true }),
		"back-boot":  live(func(m *Model) { m.Keeps, m.After = true, "boot" }),
		"back-not":   live(func(m *Model) { m.Keeps = true }),
		"raising":    live(func(m *Model) { m.Keeps, m.After, m.CanRaise, m.Raising = true, "login", true, true }),
		"raise-not": live(func(m *Model) {
			m.Keeps, m.After, m.CanRaise = true, "login", true
			m.RaiseFault = fault.New(fault.Cancelled, "raise", "No.", "")
		}),
		"reboot": live(func(m *Model) { m.Keeps, m.After, m.RebootAt = true, "boot", now.Add(25*time.Second) }),
		"limited": live(func(m *Model) {
			m.Rights |= grant.Files
			m.Allowed |= grant.Files
			m.Limits = []Limit{{Right: grant.Control, Until: now.Add(24*time.Minute + 30*time.Second)}, {Right: grant.Files, Until: now.Add(30 * time.Minute), Scope: "/home/anna/Downloads"}}
		}),
		"asked": live(func(m *Model) { m.Allowed, m.Asked = grant.View, grant.Control }),
		"removed-waiting": with(func(m *Model) {
			m.Screen = Removed
			m.Report = &Report{By: grant.ByCustomer, At: now, Clean: true, Receipt: true, SavedTo: "Downloads/Support receipt 2026-11-22.html", Removed: []string{"the keys of the session"}, Waiting: []string{"the note that tells the server"}}
		}),
		"ending": with(func(m *Model) { m.Screen, m.Progress, m.Step, m.Steps = Ending, RemovingFiles, 2, 5 }),
		"removed": with(func(m *Model) {
			m.Screen = Removed
			m.Report = &Report{By: grant.ByCustomer, At: now, Clean: true, Told: true, Receipt: true, Removed: []string{"the program in its own folder", "the keys of this session", "the note that a session is running"}}
		}),
		"removed-saved": with(func(m *Model) {
			m.Screen = Removed
			m.Report = &Report{By: grant.ByTechnician, At: now, Clean: true, Told: false, Receipt: true, SavedTo: "Desktop/Support receipt 2026-11-22.html"}
		}),
		"removed-unclean": with(func(m *Model) {
			m.Screen = Removed
			m.Report = &Report{By: grant.ByExpiry, At: now, Told: true, Left: []string{"~/Downloads/Support_ABC.run: delete it by hand"}, Removed: []string{"the keys of this session"}}
		}),
	}
	for n, r := range map[string]Refusal{
		"fault": RefusedFault, "already": AlreadyThere, "no-display": NoDisplay, "wayland": Wayland, "expired": LinkExpired, "used": LinkUsed,
		"suspended": CompanySuspended, "unreachable": ServerUnreachable, "unsupported": SystemUnsupported, "other": OtherChosen,
		"locked": Locked, "cancelled": TechnicianCancelled,
	} {
		s["refused-"+n] = with(func(m *Model) {
			m.Screen, m.Refusal, m.Other = Refused, r, "Jon Kim from Fabrikam"
			if r == ServerUnreachable || r == RefusedFault {
				m.Fault = fault.Wrap(fmt.Errorf("dial tcp 192.0.2.1:443: connection refused"), fault.Offline, "rendezvous.info", "The server did not answer.", "Check the connection and try again.")
			}
		})
	}
	return s
}
