// Package mail writes and sends the invitation: plain text and HTML in the
// customer's language, over the company's SMTP server, or as a mailto address
// for the technician's own mail program. It must not know sessions, keys or
// where the mail password is kept.
package mail

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"net/mail"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"daypass/backend/fault"
)

// Languages of the invitation.
const (
	English = "en"
	German  = "de"
)

// Invitation is what the mail says. All texts are plain; none is HTML.
type Invitation struct {
	Language   string // English or German
	To         string // customer's address
	Name       string // customer's name; may be empty
	Technician string
	Company    string
	Subject    string // the case, in the technician's words; may be empty
	Note       string // own words of the technician, several lines; may be empty
	Link       string
	Expires    time.Time // end of the invitation, in the technician's time zone
}

// Message is a written mail.
type Message struct {
	To      string
	Subject string
	Text    string
	HTML    string
}

type words struct {
	Language, Subject, Greeting, GreetingName, Intro, Case, Steps, Step1, Step2, Step3, Button, Able, Until, RefuseHead, Refuse, NeverHead, Never, Paste, Sign string
}

var catalogue = map[string]words{
	English: {
		Language:     "en",
		Subject:      "%s from %s would like to help you with your computer",
		Greeting:     "Hello,",
		GreetingName: "Hello %s,",
		Intro:        "you are in touch with %s from %s about a problem with your computer. With this e-mail %s can connect to it and help you, once, and only if you agree.",
		Case:         "It is about: %s",
		Steps:        "This is what happens:",
		Step1:        "Open the link below on the computer that needs help. The page shows who invites you and lets you download a small program.",
		Step2:        "Start the program. It asks for a security code; %s tells you the code, on the phone for example.",
		Step3:        "While somebody is connected, a bar at the edge of your screen says so. One click on Stop interrupts everything at once.",
		Button:       "Open the invitation",
		Able:         "%s will be able to do only what you allow in the program, for 24 hours at most. You can end it at any time. Afterwards the program removes itself and leaves nothing behind.",
		Until:        "The invitation can be used until %s.",
		RefuseHead:   "You did not ask for this?",
		Refuse:       "Then simply do nothing. Without you starting the program and typing the code, nobody can reach your computer. If somebody you do not know called you and told you to open this e-mail, hang up: it is a fraud that is sadly common.",
		NeverHead:    "What nobody from us does:",
		Never:        "Nobody from %s asks you for passwords, bank details or money, neither on the phone nor on your screen. If somebody does, press Stop and hang up.",
		Paste:        "If the program asks for the link, copy the whole line above into it. The link is meant for you alone; please do not pass it on.",
		Sign:         "Kind regards",
	},
	German: {
		Language:     "de",
		Subject:      "%s von %s möchte Ihnen am Computer helfen",
		Greeting:     "Guten Tag,",
		GreetingName: "Guten Tag %s,",
		Intro:        "Sie sind mit %s von %s wegen eines Problems an Ihrem Computer in Kontakt. Mit dieser E-Mail kann %s sich mit ihm verbinden und Ihnen helfen: ein einziges Mal, und nur wenn Sie zustimmen.",
		Case:         "Es geht um: %s",
		Steps:        "So läuft es ab:",
		Step1:        "Öffnen Sie den Link unten an dem Computer, der Hilfe braucht. Die Seite zeigt, wer Sie einlädt, und bietet ein kleines Programm zum Herunterladen an.",
		Step2:        "Starten Sie das Programm. Es fragt nach einem Sicherheitscode; %s nennt ihn Ihnen, zum Beispiel am Telefon.",
		Step3:        "Solange jemand verbunden ist, steht das in einer Leiste am Rand Ihres Bildschirms. Ein Klick auf „Stopp“ unterbricht sofort alles.",
		Button:       "Einladung öffnen",
		Able:         "%s kann nur das tun, was Sie im Programm erlauben, und das höchstens 24 Stunden lang. Sie können es jederzeit beenden. Danach entfernt sich das Programm selbst und lässt nichts zurück.",
		Until:        "Die Einladung gilt bis %s.",
		RefuseHead:   "Sie haben nicht darum gebeten?",
		Refuse:       "Dann tun Sie einfach nichts. Solange Sie das Programm nicht starten und den Code nicht eintippen, kommt niemand an Ihren Computer. Wenn eine unbekannte Person Sie angerufen und aufgefordert hat, diese E-Mail zu öffnen, legen Sie auf: Das ist eine leider verbreitete Betrugsmasche.",
		NeverHead:    "Was von uns niemand tut:",
		Never:        "Niemand von %s fragt Sie nach Passwörtern, Bankdaten oder Geld, weder am Telefon noch auf Ihrem Bildschirm. Wenn doch, klicken Sie auf „Stopp“ und legen Sie auf.",
		Paste:        "Falls das Programm nach dem Link fragt, kopieren Sie die ganze Zeile oben hinein. Der Link ist nur für Sie bestimmt; bitte geben Sie ihn nicht weiter.",
		Sign:         "Freundliche Grüße",
	},
}

//go:embed invitation.html.tmpl
var page string

var htmlTemplate = template.Must(template.New("invitation").Parse(page))

func until(lang string, t time.Time) string {
	if lang == German {
		return t.Format("02.01.2006, 15:04 Uhr (MST)")
	}
	return t.Format("2 January 2006, 15:04 (MST)")
}

// Write writes the invitation. Control characters in the texts become spaces,
// so that none can add a header or a line. A language that is not known is
// English.
func Write(in Invitation) (Message, error) {
	for _, p := range []*string{&in.Name, &in.Technician, &in.Company, &in.Subject} {
		*p = line(*p)
	}
	w, ok := catalogue[in.Language]
	if !ok {
		w = catalogue[English]
	}
	u, err := url.Parse(in.Link)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || strings.ContainsFunc(in.Link, unicode.IsSpace) {
		return Message{}, fault.Wrap(err, fault.Internal, "mail.write", "The link of this invitation cannot be used.", "Start a new session.")
	}
	d := struct {
		W                                                             words
		Greeting, Intro, Case, Step2, Able, Until, Never, Link, Title string
		Technician, Company                                           string
		Note                                                          []string
	}{
		W: w, Greeting: w.Greeting, Intro: fmt.Sprintf(w.Intro, in.Technician, in.Company, in.Technician),
		Step2: fmt.Sprintf(w.Step2, in.Technician), Able: fmt.Sprintf(w.Able, in.Technician),
		Until: fmt.Sprintf(w.Until, until(w.Language, in.Expires)), Link: in.Link,
		Title: fmt.Sprintf(w.Subject, in.Technician, in.Company), Technician: in.Technician, Company: in.Company,
		Never: fmt.Sprintf(w.Never, in.Company), Note: paragraph(in.Note),
	}
	if in.Name != "" {
		d.Greeting = fmt.Sprintf(w.GreetingName, in.Name)
	}
	if in.Subject != "" {
		d.Case = fmt.Sprintf(w.Case, in.Subject)
	}
	var h bytes.Buffer
	if err := htmlTemplate.Execute(&h, d); err != nil {
		return Message{}, fmt.Errorf("mail: %w", err)
	}
	var t strings.Builder
	t.WriteString(d.Greeting + "\n\n" + d.Intro + "\n\n")
	if d.Case != "" {
		t.WriteString(d.Case + "\n\n")
	}
	if len(d.Note) > 0 {
		t.WriteString(strings.Join(d.Note, "\n") + "\n\n")
	}
	t.WriteString(w.Steps + "\n\n1. " + w.Step1 + "\n\n" + "    " + in.Link + "\n\n2. " + d.Step2 + "\n\n3. " + w.Step3 + "\n\n")
	t.WriteString(d.Able + " " + d.Until + "\n\n" + w.RefuseHead + "\n" + w.Refuse + "\n\n" + w.NeverHead + "\n" + d.Never + "\n\n" + w.Paste + "\n\n")
	t.WriteString(w.Sign + "\n" + in.Technician + "\n" + in.Company + "\n")
	return Message{To: in.To, Subject: d.Title, Text: t.String(), HTML: h.String()}, nil
}

// MaxNote bounds the technician's own words in bytes.
const MaxNote = 1000

// paragraph splits the technician's own words into lines, each without control
// characters; never more than twenty.
func paragraph(s string) []string {
	if len(s) > MaxNote {
		s = s[:MaxNote]
	}
	var out []string
	for l := range strings.SplitSeq(strings.TrimSpace(strings.ReplaceAll(s, "\r\n", "\n")), "\n") {
		if l = line(l); len(out) < 20 && (l != "" || len(out) > 0) {
			out = append(out, l)
		}
	}
	return out
}

func line(s string) string {
	s = strings.ToValidUTF8(s, "")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r) || r == '\u2028' || r == '\u2029':
			return ' '
		case r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069:
			return -1 // bidi controls hide what a text says
		}
		return r
	}, s))
}

// MailTo returns the message as a mailto address (RFC 6068), its text cut so
// that systems which take 2,000 characters of an address still open it. The
// link is never cut: where the whole text does not fit, the short one with the
// link is used.
func MailTo(m Message, link string) string {
	build := func(text string) string {
		return "mailto:" + url.PathEscape(m.To) + "?subject=" + escape(m.Subject) + "&body=" + escape(strings.ReplaceAll(text, "\n", "\r\n"))
	}
	const limit = 8000 // what every mail program of the past ten years takes
	if s := build(m.Text); len(s) <= limit {
		return s
	}
	first, _, _ := strings.Cut(m.Text, "\n")
	return build(first + "\n\n" + link + "\n")
}

func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// ParseAddress checks what a person typed as an e-mail address and returns it
// without a name. A fault of kind Invalid says what is wrong in words.
func ParseAddress(s string) (string, error) {
	s = strings.TrimSpace(s)
	bad := func(m string) (string, error) {
		return "", fault.New(fault.Invalid, "mail.address", m, "Write it like anna.weber@example.com.")
	}
	switch {
	case s == "":
		return bad("The customer's e-mail address is missing.")
	case len(s) > 254 || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl):
		return bad("This is not an e-mail address.")
	}
	a, err := mail.ParseAddress(s)
	if err != nil || a.Address != strings.TrimSpace(strings.Trim(s, "<>")) && a.Name == "" {
		return bad("This is not an e-mail address.")
	}
	at := strings.LastIndexByte(a.Address, '@')
	domain := a.Address[at+1:]
	if at < 1 || domain == "" || strings.HasPrefix(domain, ".") || strings.HasSuffix(domain, ".") || strings.Contains(domain, "..") {
		return bad("This is not an e-mail address.")
	}
	if !strings.Contains(domain, ".") && domain != "localhost" {
		return bad("The part after the @ has no dot.")
	}
	return a.Address, nil
}
