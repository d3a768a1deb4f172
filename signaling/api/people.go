package api

import (
	"net/http"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/rendezvous/protocol"
)

// people adds the requests about people, companies and audit.
func (a *API) people() {
	b := protocol.Base
	a.mux.Handle("POST "+b+"/join/look", a.proved(a.look))
	a.mux.Handle("POST "+b+"/join", a.proved(a.join))
	a.mux.Handle("POST "+b+"/password", a.signedIn(a.password))
	a.mux.Handle("POST "+b+"/totp/start", a.signedIn(a.totpStart))
	a.mux.Handle("POST "+b+"/totp/confirm", a.signedIn(a.totpConfirm))
	a.mux.Handle("POST "+b+"/totp/remove", a.console(a.totpRemove))
	a.mux.Handle("POST "+b+"/totp/codes", a.console(a.totpCodes))
	a.mux.Handle("GET "+b+"/people", a.console(a.listPeople))
	a.mux.Handle("POST "+b+"/people/invite", a.console(a.invite))
	a.mux.Handle("POST "+b+"/people/invites/{id}/revoke", a.console(a.uninvite))
	a.mux.Handle("POST "+b+"/people/{id}", a.console(a.setPerson))
	a.mux.Handle("POST "+b+"/people/{id}/reset", a.console(a.resetPerson))
	a.mux.Handle("POST "+b+"/people/{id}/totp/reset", a.console(a.resetTOTP))
	a.mux.Handle("GET "+b+"/people/{id}/consoles", a.console(a.consoles))
	a.mux.Handle("POST "+b+"/consoles/{id}/revoke", a.console(a.revokeConsole))
	a.mux.Handle("GET "+b+"/company", a.console(a.company))
	a.mux.Handle("POST "+b+"/company", a.console(a.setCompany))
	a.mux.Handle("GET "+b+"/company/sessions", a.console(a.companySessions))
	a.mux.Handle("GET "+b+"/audit", a.console(a.audit))
	a.mux.Handle("GET "+b+"/audit/verify", a.console(a.verifyAudit))
}

// thing reads the ID of the path; false if it answered.
func (a *API) thing(w http.ResponseWriter, r *request) (grant.ID, bool) {
	id, err := grant.ParseID(r.PathValue("id"))
	if err != nil {
		a.fail(w, fault.New(fault.NotFound, "people.get", "This is not there any more.", "Look again."))
		return id, false
	}
	return id, true
}

func (a *API) look(w http.ResponseWriter, r *request) {
	var in protocol.Look
	if !a.read(w, r, &in) {
		return
	}
	out, err := a.cfg.Directory.Look(r.Context(), a.cfg.ClientIP(r.Request), in.Code)
	a.answer(w, out, err)
}

func (a *API) join(w http.ResponseWriter, r *request) {
	var in protocol.Join
	if !a.read(w, r, &in) {
		return
	}
	out, err := a.cfg.Directory.Join(r.Context(), r.proof.Key, a.cfg.ClientIP(r.Request), in)
	a.answer(w, out, err)
}

func (a *API) password(w http.ResponseWriter, r *request) {
	var in protocol.ChangePassword
	if !a.read(w, r, &in) {
		return
	}
	a.answer(w, nothing{}, a.cfg.Directory.ChangePassword(r.Context(), r.auth, in))
}

func (a *API) totpStart(w http.ResponseWriter, r *request) {
	var in protocol.Proving
	if !a.read(w, r, &in) {
		return
	}
	out, err := a.cfg.Directory.StartTOTP(r.Context(), r.auth, in)
	a.answer(w, out, err)
}

func (a *API) totpConfirm(w http.ResponseWriter, r *request) {
	var in protocol.TOTPConfirm
	if !a.read(w, r, &in) {
		return
	}
	out, err := a.cfg.Directory.ConfirmTOTP(r.Context(), r.auth, in.Code)
	a.answer(w, out, err)
}

func (a *API) totpRemove(w http.ResponseWriter, r *request) {
	var in protocol.Proving
	if !a.read(w, r, &in) {
		return
	}
	a.answer(w, nothing{}, a.cfg.Directory.RemoveTOTP(r.Context(), r.auth, in))
}

func (a *API) totpCodes(w http.ResponseWriter, r *request) {
	var in protocol.Proving
	if !a.read(w, r, &in) {
		return
	}
	out, err := a.cfg.Directory.NewRecovery(r.Context(), r.auth, in)
	a.answer(w, out, err)
}

func (a *API) listPeople(w http.ResponseWriter, r *request) {
	out, err := a.cfg.Directory.People(r.Context(), r.auth)
	a.answer(w, out, err)
}

func (a *API) invite(w http.ResponseWriter, r *request) {
	var in protocol.Invite
	if !a.read(w, r, &in) {
		return
	}
	out, err := a.cfg.Directory.Invite(r.Context(), r.auth, in)
	a.answer(w, out, err)
}

func (a *API) uninvite(w http.ResponseWriter, r *request) {
	id, ok := a.thing(w, r)
	var in nothing
	if !ok || !a.read(w, r, &in) {
		return
	}
	a.answer(w, nothing{}, a.cfg.Directory.Uninvite(r.Context(), r.auth, id))
}

func (a *API) setPerson(w http.ResponseWriter, r *request) {
	id, ok := a.thing(w, r)
	var in protocol.SetPerson
	if !ok || !a.read(w, r, &in) {
		return
	}
	out, err := a.cfg.Directory.SetPerson(r.Context(), r.auth, id, in)
	a.answer(w, out, err)
}

func (a *API) resetPerson(w http.ResponseWriter, r *request) {
	id, ok := a.thing(w, r)
	var in nothing
	if !ok || !a.read(w, r, &in) {
		return
	}
	out, err := a.cfg.Directory.ResetPerson(r.Context(), r.auth, id)
	a.answer(w, out, err)
}

func (a *API) resetTOTP(w http.ResponseWriter, r *request) {
	id, ok := a.thing(w, r)
	var in nothing
	if !ok || !a.read(w, r, &in) {
		return
	}
	a.answer(w, nothing{}, a.cfg.Directory.ResetTOTP(r.Context(), r.auth, id))
}

func (a *API) consoles(w http.ResponseWriter, r *request) {
	id, ok := a.thing(w, r)
	if !ok {
		return
	}
	l, err := a.cfg.Directory.Consoles(r.Context(), r.auth, id)
	out := protocol.Consoles{Consoles: []protocol.Console{}}
	for _, c := range l {
		out.Consoles = append(out.Consoles, protocol.Console{
			ID: c.ID, Name: c.Name, Created: c.Created, LastSeen: c.Seen, Online: a.cfg.Broker.ConsoleOnline(c.Key), This: c.ID == r.auth.Console.ID, Sessions: c.Sessions,
		})
	}
	a.answer(w, out, err)
}

func (a *API) revokeConsole(w http.ResponseWriter, r *request) {
	id, ok := a.thing(w, r)
	var in nothing
	if !ok || !a.read(w, r, &in) {
		return
	}
	n, err := a.cfg.Directory.RevokeConsole(r.Context(), r.auth, id)
	a.answer(w, protocol.Revoked{Ended: n}, err)
}

func (a *API) company(w http.ResponseWriter, r *request) {
	out, err := a.cfg.Directory.Company(r.Context(), r.auth)
	a.answer(w, out, err)
}

func (a *API) setCompany(w http.ResponseWriter, r *request) {
	var in protocol.SetCompany
	if !a.read(w, r, &in) {
		return
	}
	out, err := a.cfg.Directory.SetCompany(r.Context(), r.auth, in)
	a.answer(w, out, err)
}

func badQuery(err error) error {
	return fault.Wrap(err, fault.Invalid, "api.read", "The server cannot read the request.", "Console and server may have different versions.")
}

func (a *API) companySessions(w http.ResponseWriter, r *request) {
	f, err := protocol.ParseSessionFilter(r.URL.Query())
	if err != nil {
		a.fail(w, badQuery(err))
		return
	}
	l, next, err := a.cfg.Directory.Page(r.Context(), r.auth, f)
	out := protocol.SessionPage{Sessions: []protocol.Session{}, Next: next}
	for _, s := range l {
		out.Sessions = append(out.Sessions, a.cfg.Broker.View(s))
	}
	a.answer(w, out, err)
}

func (a *API) audit(w http.ResponseWriter, r *request) {
	f, err := protocol.ParseAuditFilter(r.URL.Query())
	if err != nil {
		a.fail(w, badQuery(err))
		return
	}
	out, err := a.cfg.Directory.Audit(r.Context(), r.auth, f)
	a.answer(w, out, err)
}

func (a *API) verifyAudit(w http.ResponseWriter, r *request) {
	out, err := a.cfg.Directory.VerifyAudit(r.Context(), r.auth)
	a.answer(w, out, err)
}
