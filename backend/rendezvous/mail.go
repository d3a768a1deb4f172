package rendezvous

import (
	"context"
	"errors"
	"net/http"

	"daypass/backend/grant"
	"daypass/backend/rendezvous/protocol"
)

// SendInvitation is what the server needs to send an invitation.
type SendInvitation = protocol.SendInvitation

// Errors of SendInvitation, to be found in a fault's chain: the server's mail
// server answered, or nobody knows whether the invitation went out. A fault of
// kind Offline with neither means that the server's answer did not come.
var (
	ErrMail       = errors.New("rendezvous: the mail server's answer")
	ErrMailUnsure = errors.New("rendezvous: not known whether it was sent")
)

// SendInvitation has the server send the invitation, and so tells it the
// password of the link: only where the company's policy says so.
func (c *Client) SendInvitation(ctx context.Context, id grant.ID, in SendInvitation) error {
	return c.out(ctx, "mail.byserver", http.MethodPost, sessionPath(id, "/mail"), in, nil)
}
