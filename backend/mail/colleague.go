package mail

import (
	"fmt"
	"time"
)

// Colleague is a one-time link for somebody of the company: an invitation, or a
// new password.
type Colleague struct {
	Language string // English or German: of the console that writes it
	To       string // address
	Name     string // may be empty
	From     string // who passes it on
	Company  string
	Link     string
	Reset    bool // a new password for an account that exists
	Expires  time.Time
}

// Write returns the message, plain text only: it goes through the person's own
// mail program.
func (c Colleague) Write() Message {
	until := c.Expires.Local().Format("2 January 2006, 15:04")
	hello, subject, body := "Hello", "Your Daypass account at "+c.Company, "%s invites you to work with Daypass at %s. Open Daypass, choose \"I have an invitation or a reset code\" and paste this link:"
	end := "It works once, until %s. Whoever has it can use it: keep it to yourself."
	if c.Reset {
		subject, body = "A new password for Daypass", "%s has reset your Daypass password at %s. Open Daypass, choose \"I have an invitation or a reset code\" and paste this link:"
	}
	if c.Language == German {
		until = c.Expires.Local().Format("02.01.2006, 15:04")
		hello, subject, body = "Guten Tag", "Ihr Daypass-Konto bei "+c.Company, "%s lädt Sie ein, mit Daypass bei %s zu arbeiten. Öffnen Sie Daypass, wählen Sie „Ich habe eine Einladung oder einen Einmalcode“ und fügen Sie diesen Link ein:"
		end = "Er gilt einmal, bis %s. Wer ihn hat, kann ihn benutzen: Behalten Sie ihn für sich."
		if c.Reset {
			subject, body = "Ein neues Passwort für Daypass", "%s hat Ihr Daypass-Passwort bei %s zurückgesetzt. Öffnen Sie Daypass, wählen Sie „Ich habe eine Einladung oder einen Einmalcode“ und fügen Sie diesen Link ein:"
		}
	}
	if c.Name != "" {
		hello += " " + c.Name
	}
	return Message{
		To: c.To, Subject: subject,
		Text: hello + ",\n\n" + fmt.Sprintf(body, c.From, c.Company) + "\n\n" + c.Link + "\n\n" + fmt.Sprintf(end, until) + "\n",
	}
}
