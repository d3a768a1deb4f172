package mail

import (
	"net"
	netmail "net/mail"
	"net/netip"
	"strings"

	"daypass/backend/fault"
)

// Security says how the connection to the mail server is protected.
type Security string

// The protections. None is for a mail server on this computer; elsewhere
// somebody has to have said that it shall be so (Server.Unprotected), and no
// password is sent.
const (
	StartTLS Security = "starttls" // required, not opportunistic
	TLS      Security = "tls"      // from the first byte (RFC 8314)
	None     Security = "none"
)

// Server is a mail server that takes mail for others. The password is kept
// elsewhere.
type Server struct {
	Host     string   `json:"host"`
	Port     int      `json:"port"` // 1..65535
	Security Security `json:"security"`
	User     string   `json:"user"` // empty: no sign-in
	From     string   `json:"from"` // the sender: an address, or "Name <address>"
	// Unprotected allows None to a server that is not on this computer: a
	// person was told that others on the way can read the invitation.
	Unprotected bool `json:"unprotected,omitempty"`
}

// Loopback reports whether the server is on this computer, so that nothing
// travels.
func (s Server) Loopback() bool {
	if strings.EqualFold(s.Host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(s.Host)
	return err == nil && ip.Unmap().IsLoopback()
}

// Check says what is wrong with the settings, as a fault of kind Invalid.
func (s Server) Check() error {
	bad := func(m, h string) error { return fault.New(fault.Invalid, "mail.settings", m, h) }
	switch {
	case s.Host == "" || len(s.Host) > 253 || strings.ContainsAny(s.Host, " /@:\r\n\t") && net.ParseIP(s.Host) == nil:
		return bad("The name of the mail server is missing or not a name.", "It looks like smtp.example.com.")
	case s.Port < 1 || s.Port > 65535:
		return bad("The port of the mail server is not a port.", "Usual are 587 for STARTTLS and 465 for TLS.")
	case s.Security != StartTLS && s.Security != TLS && s.Security != None:
		return bad("This protection of the connection is not known.", "Choose STARTTLS or TLS.")
	case s.Security == None && s.User != "" && !s.Loopback():
		return bad("Without encryption the password would travel in the open.", "Choose STARTTLS or TLS, or remove the user name.")
	case s.Security == None && !s.Unprotected && !s.Loopback():
		return bad("Without encryption others on the way can read the invitation and use its link.", "Choose STARTTLS or TLS, or say that you accept this.")
	case len(s.User) > 320 || strings.ContainsAny(s.User, "\r\n\x00"):
		return bad("The user name cannot be used.", "It may have 320 characters and no line breaks.")
	}
	if _, err := ParseAddress(s.From); err != nil {
		return bad("The sender's address is missing or not an address.", "Mails come from this address, and answers go there.")
	}
	return nil
}

// sender splits what the settings say ("Support <support@example.com>", or the
// address alone); a name given there comes before the technician's own.
func sender(name, from string) (string, string) {
	a, err := netmail.ParseAddress(from)
	if err != nil {
		return name, from
	}
	if a.Name != "" {
		name = a.Name
	}
	return name, a.Address
}
