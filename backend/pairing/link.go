package pairing

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"daypass/backend/fault"
	"daypass/backend/grant"
)

// SecretSize is the size of the link's password in bytes.
const SecretSize = 16

// MaxLink bounds a pasted link in bytes; a longer text is not one.
const MaxLink = 4096

// Secret is the pre-defined password of an invitation, 128 random bits made by
// the console. It travels in the link's fragment and in the name of the
// downloaded file and never reaches the server. It does not print itself.
type Secret [SecretSize]byte

// NewSecret returns a random Secret.
func NewSecret() Secret {
	var s Secret
	rand.Read(s[:]) // never fails (crypto/rand, Go 1.24)
	return s
}

// ParseSecret reads what Text writes, whatever its case.
func ParseSecret(text string) (Secret, error) {
	var s Secret
	b, err := grant.DecodeCrockford(text)
	if err != nil || len(b) != len(s) {
		return s, fault.Wrap(err, fault.Invalid, "pairing.secret", "The link is not complete.", "Copy the whole link from the mail, up to its last character.")
	}
	copy(s[:], b)
	return s, nil
}

// Text returns the secret as 26 characters of Crockford base32. Only links and
// file names may carry it.
func (s Secret) Text() string { return grant.Crockford.EncodeToString(s[:]) }

// String hides the secret from logs and error texts.
func (s Secret) String() string { return "(secret)" }

// Equal compares in constant time.
func (s Secret) Equal(o Secret) bool { return subtle.ConstantTimeCompare(s[:], o[:]) == 1 }

// Wipe overwrites the secret in place. Copies are the owner's business.
func (s *Secret) Wipe() { clear(s[:]) }

// Link is a deployment link: where the server is, which session, and the
// password in the fragment, which browsers do not send.
type Link struct {
	Server  *url.URL // scheme and host only
	Session grant.ID
	Secret  Secret
}

// ParseLink reads a deployment link as a person pastes it: with spaces, quotes
// or angle brackets around it and whatever case the password has. It is
// https; plain http only for the embedded server on a local network.
func ParseLink(text string) (Link, error) {
	var l Link
	bad := func(err error) (Link, error) {
		return Link{}, fault.Wrap(err, fault.Invalid, "pairing.link", "This is not a Daypass link.", "Copy the whole link from the mail: it begins with https:// and ends with a row of letters and digits after #.")
	}
	if len(text) > MaxLink {
		return bad(errors.New("too long"))
	}
	text = strings.Trim(text, " \t\r\n\"'<>()\u200b\ufeff\u00a0")
	if text == "" {
		return bad(errors.New("empty"))
	}
	u, err := url.Parse(text)
	if err != nil {
		return bad(errors.New("not a URL")) // the error of url.Parse quotes its input, which holds the secret
	}
	if u.User != nil || u.RawQuery != "" || u.Opaque != "" {
		return bad(errors.New("unexpected parts"))
	}
	if l.Server, err = serverOf(u.Scheme, u.Host); err != nil {
		return bad(err)
	}
	sid, ok := strings.CutPrefix(u.Path, "/s/")
	if !ok {
		return bad(errors.New("path is not /s/…"))
	}
	if l.Session, err = grant.ParseID(strings.TrimSuffix(sid, "/")); err != nil {
		return bad(err)
	}
	if l.Secret, err = ParseSecret(u.Fragment); err != nil {
		return Link{}, err
	}
	return l, nil
}

// String returns the whole link with the password. It is for the mail, the
// clipboard and the page, never for a log.
func (l Link) String() string { return l.Page() + "#" + l.Secret.Text() }

// Page returns the link without the password.
func (l Link) Page() string { return l.Server.String() + "/s/" + l.Session.String() }

// LogValue keeps the password out of logs.
func (l Link) LogValue() slog.Value { return slog.StringValue(l.Page()) }

// FileName returns the name under which the page lets the host program be
// saved: Support_<server>_<session>_<password>_ and ext (".exe", ""). The
// trailing underscore keeps " (1)" and " - Copy" apart from the password.
func (l Link) FileName(ext string) string {
	return "Support_" + serverText(l.Server) + "_" + l.Session.String() + "_" + l.Secret.Text() + "_" + ext
}

var fileName = regexp.MustCompile(`(?i)support_([0-9a-z]{2,420})_([0-9a-z]{26})_([0-9a-z]{26})_`)

// ParseFileName reads the link out of the name of a downloaded program. A path
// in front, what browsers and file managers add (" (1)", " - Copy", "Kopie
// von ") and any extension are ignored. A name that carries no link is a
// fault of kind NotFound: ask for the link.
func ParseFileName(name string) (Link, error) {
	none := fault.New(fault.NotFound, "pairing.file", "The name of this file does not carry an invitation.", "Paste the whole link from the mail.")
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	if len(name) > MaxLink {
		return Link{}, none
	}
	m := fileName.FindStringSubmatch(name)
	if m == nil {
		return Link{}, none
	}
	var l Link
	b, err := grant.DecodeCrockford(m[1])
	if err != nil || len(b) < 2 {
		return Link{}, none
	}
	scheme := map[byte]string{'h': "http", 's': "https"}[b[0]]
	if l.Server, err = serverOf(scheme, string(b[1:])); err != nil {
		return Link{}, none
	}
	if l.Session, err = grant.ParseID(m[2]); err != nil {
		return Link{}, none
	}
	if l.Secret, err = ParseSecret(m[3]); err != nil {
		return Link{}, none
	}
	return l, nil
}

func serverText(u *url.URL) string {
	scheme := "s"
	if u.Scheme == "http" {
		scheme = "h"
	}
	return grant.Crockford.EncodeToString([]byte(scheme + u.Host))
}

var label = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// serverOf checks and canonicalises scheme and host[:port]: lower case, no
// default port, a host name in ASCII (IDN in its xn-- form) or an IP address.
func serverOf(scheme, host string) (*url.URL, error) {
	def := map[string]uint64{"https": 443, "http": 80}[scheme]
	if def == 0 {
		return nil, fmt.Errorf("scheme %.12q", scheme)
	}
	host = strings.ToLower(host)
	name, port := host, ""
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		name, port = host[:i], host[i+1:]
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
			return nil, fmt.Errorf("port %.8q", port)
		}
		if n == def {
			port = ""
		} else {
			port = ":" + port
		}
	}
	if v6, ok := strings.CutPrefix(name, "["); ok {
		a, err := netip.ParseAddr(strings.TrimSuffix(v6, "]"))
		if err != nil || !a.Is6() || a.Zone() != "" || !strings.HasSuffix(v6, "]") {
			return nil, fmt.Errorf("address %.64q", name)
		}
		return &url.URL{Scheme: scheme, Host: "[" + a.String() + "]" + port}, nil
	}
	if len(name) > 253 || name == "" {
		return nil, errors.New("host name of wrong length")
	}
	for l := range strings.SplitSeq(name, ".") {
		if !label.MatchString(l) {
			return nil, fmt.Errorf("host name %.64q", name)
		}
	}
	return &url.URL{Scheme: scheme, Host: name + port}, nil
}
