package api

import (
	"context"
	"errors"
	"net/http"

	"daypass/backend/fault"
	"daypass/backend/mail"
	"daypass/backend/rendezvous/protocol"
	"daypass/signaling/directory"
	"daypass/signaling/postman"
)

// Post sends invitations; *postman.Postman.
type Post interface {
	Send(ctx context.Context, l postman.Letter) error
}

// mail sends a session's invitation, where the company's policy says that the
// server does. What it tells the server is forgotten with the request.
func (a *API) mail(w http.ResponseWriter, r *request) {
	id, ok := a.id(w, r.Request)
	var in protocol.SendInvitation
	if !ok || !a.read(w, r, &in) {
		return
	}
	const op = "mail.byserver"
	if a.cfg.Post == nil {
		a.fail(w, fault.New(fault.Unsupported, op, "This server has no mail server.", "Tell whoever runs it. Meanwhile you can copy the link and send it yourself."))
		return
	}
	to, err := mail.ParseAddress(in.To)
	if err != nil {
		a.fail(w, err)
		return
	}
	if len(in.Name) > 200 || len(in.Subject) > 200 || len(in.Note) > mail.MaxNote || in.Language != mail.English && in.Language != mail.German {
		a.fail(w, fault.New(fault.Invalid, op, "The invitation cannot be written.", "Use shorter texts."))
		return
	}
	if !postman.IsLink(in.Link, id, a.cfg.Public, "https://"+r.Host, "http://"+r.Host) {
		a.fail(w, fault.New(fault.Invalid, op, "The link is not one of this session at this server.", "Start a new session."))
		return
	}
	s, err := a.cfg.Directory.MailedByServer(r.Context(), r.auth, id)
	if err != nil {
		a.fail(w, err)
		return
	}
	p := r.auth.Profile
	err = a.cfg.Post.Send(r.Context(), postman.Letter{Session: id, By: r.auth.Profile.ID, ReplyTo: p.Email, Invitation: mail.Invitation{
		Language: in.Language, To: to, Name: in.Name, Subject: in.Subject, Note: in.Note, Link: in.Link,
		Technician: p.Name, Company: p.Company.Name, Expires: s.InviteExpires,
	}})
	var f *fault.Error
	if errors.As(err, &f) {
		code := protocol.CodeMail
		if f.Op == mail.OpUnsure {
			code = protocol.CodeUnsure
		}
		err = &directory.Error{Code: code, Fault: f}
	}
	a.answer(w, nothing{}, err)
}
