package protocol

// CodeMail says that the fault is the answer of the server's mail server about
// an invitation, not of the server itself; CodeUnsure that nobody knows whether
// it went out.
const (
	CodeMail   = "mail"
	CodeUnsure = "mail_unsure"
)

// SendInvitation is the body of POST Base/sessions/{id}/mail: the server sends
// the invitation, where the company's policy is MailServer. It is the one
// request that tells the server the password of a link.
type SendInvitation struct {
	To       string `json:"to"`
	Name     string `json:"name,omitempty"`
	Subject  string `json:"subject,omitempty"`
	Note     string `json:"note,omitempty"`
	Language string `json:"language"`
	Link     string `json:"link"`
}
