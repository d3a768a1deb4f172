package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"syscall"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"daypass/backend/fault"
)

// OpUnsure is the Op of a fault after which nobody knows whether the mail
// server took the mail: the connection broke when all of it was handed over.
const OpUnsure = "mail.unsure"

// Reply returns what the mail server itself said, at most 300 bytes, "" if it
// said nothing.
func Reply(err error) string {
	var reply *textproto.Error
	var send *gomail.SendError
	text := ""
	switch {
	case errors.As(err, &reply):
		text = strconv.Itoa(reply.Code) + " " + reply.Msg
	case errors.As(err, &send) && send.ErrorCode() > 0:
		text = send.Error()
		if _, after, ok := strings.Cut(text, ": "); ok {
			text = after
		}
		text, _, _ = strings.Cut(text, ", affected ")
	}
	if text = line(text); len(text) > 300 {
		text = strings.ToValidUTF8(text[:297], "") + "..."
	}
	return text
}

// explain turns what went wrong into words: what happened, and what to do now.
func explain(ctx context.Context, err error, srv Server, to string) error {
	if errors.Is(context.Cause(ctx), context.Canceled) {
		return context.Canceled
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = errors.Join(err, context.DeadlineExceeded) // the connection was cut because of it
	}
	var send *gomail.SendError
	if errors.As(err, &send) {
		return refusedMail(err, send, to)
	}
	if f := certificate(err, srv.Host); f != nil {
		return f
	}
	return refusedConnection(err, srv)
}

// meanwhile is added where the fault is nothing that the person can mend now.
const meanwhile = "Meanwhile you can copy the link and send it yourself."

const op = "mail.send"

// certificate explains a certificate that does not hold, nil if it is not that.
func certificate(err error, host string) error {
	var (
		unknownCA x509.UnknownAuthorityError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
		verify    *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &name):
		var is []string
		if name.Certificate != nil {
			is = name.Certificate.DNSNames
		}
		if len(is) > 0 {
			return fault.Wrap(err, fault.Hostile, op, "The mail server's certificate is for "+line(strings.Join(is[:min(len(is), 3)], ", "))+", not for "+host+".",
				"Enter the server by the name in its certificate, in Settings, Mail, or ask whoever runs it. "+meanwhile)
		}
		return fault.Wrap(err, fault.Hostile, op, "The mail server's certificate is not valid for its name.", "Check the server's name in Settings, Mail, or ask whoever runs it. "+meanwhile)
	case errors.As(err, &unknownCA):
		return fault.Wrap(err, fault.Hostile, op, "The mail server's certificate was issued by somebody whom this computer does not trust.",
			"Whoever runs the server can give it a public certificate, or you add its issuer to those that this computer trusts. "+meanwhile)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fault.Wrap(err, fault.Hostile, op, "The mail server's certificate has expired or is not valid yet.", "Check the clock of this computer; if it is right, tell whoever runs the server. "+meanwhile)
	case errors.As(err, &invalid), errors.As(err, &verify):
		return fault.Wrap(err, fault.Hostile, op, "The mail server's certificate cannot be used.", "Tell whoever runs the server; the details say why. "+meanwhile)
	}
	return nil
}

// refusedConnection explains what failed before the mail: connection, greeting,
// encryption, sign-in.
func refusedConnection(err error, srv Server) error {
	var (
		dns    *net.DNSError
		reply  *textproto.Error
		record tls.RecordHeaderError
	)
	code, text := 0, err.Error()
	if errors.As(err, &reply) {
		code = reply.Code
	}
	low := strings.ToLower(text)
	timeout := errors.Is(err, context.DeadlineExceeded)
	var nerr net.Error
	if errors.As(err, &nerr) && nerr.Timeout() {
		timeout = true
	}
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return fault.Wrap(err, fault.Offline, op, "The mail server's name is not known.", "Check the name in Settings, Mail, and your connection. "+meanwhile)
	case errors.As(err, &dns):
		return fault.Wrap(err, fault.Offline, op, "The mail server's name cannot be looked up just now.", "Check your connection, then try again. "+meanwhile)
	case errors.Is(err, gomail.ErrNoSupportedAuthDiscovered), strings.Contains(text, "does not support SMTP AUTH"), code == 504:
		if srv.Security == None {
			return fault.Wrap(err, fault.Unsupported, op, "The mail server takes no password without encryption.", "Choose STARTTLS or TLS in Settings, Mail, or remove the user name.")
		}
		return fault.Wrap(err, fault.Unsupported, op, "The mail server offers no sign-in with user name and password.", "Remove the user name if the server takes mail without, or ask whoever runs it for an account that may send (SMTP AUTH). "+meanwhile)
	case strings.Contains(low, "smtpclientauthentication is disabled"):
		return fault.Wrap(err, fault.Denied, op, "Microsoft 365 does not let this mailbox send by a program.", "An administrator allows it in the Microsoft 365 admin centre: the user, Mail, Manage email apps, Authenticated SMTP.")
	case strings.Contains(low, "application-specific password"), strings.Contains(low, "invalidsecondfactor"):
		return fault.Wrap(err, fault.SignedOut, op, "The mail provider wants an app password here, not the one of the account.", "Make one in the security settings of the mail account and enter it in Settings, Mail.")
	case code == 534 || code == 535 || code == 454 && strings.Contains(text, "SMTP AUTH"):
		return fault.Wrap(err, fault.SignedOut, op, "The mail server does not take the user name and password.", "Check them in Settings, Mail. Some providers want an app password.")
	case errors.Is(err, smtp.ErrUnencrypted), code == 530, code == 538:
		return fault.Wrap(err, fault.Denied, op, "The mail server wants encryption first.", "Choose STARTTLS or TLS in Settings, Mail.")
	case strings.Contains(text, "SMTP AUTH failed"):
		if code >= 400 && code < 500 {
			return later(err)
		}
		return fault.Wrap(err, fault.SignedOut, op, "The mail server does not take the user name and password.", "Check them in Settings, Mail. Some providers want an app password.")
	case strings.Contains(text, "does not support STARTTLS"), code == 454, code == 502 && srv.Security == StartTLS:
		return fault.Wrap(err, fault.Hostile, op, "The mail server does not offer encryption on this port.", "Choose TLS with port 465, or ask whoever runs the server. "+meanwhile)
	case strings.Contains(text, "tls: ") && !errors.As(err, &record):
		return fault.Wrap(err, fault.Unsupported, op, "The mail server and Daypass could not agree on an encryption.", "The server has to offer TLS 1.2 or newer and a key that works; its log says more. Ask whoever runs it. "+meanwhile)
	case errors.As(err, &record), errors.Is(err, errHandshake) && !timeout:
		return fault.Wrap(err, fault.Unsupported, op, "The mail server does not speak TLS from the start on this port.", "Choose STARTTLS, usually with port 587, in Settings, Mail.")
	case code == 421 || code >= 400 && code < 500:
		return later(err)
	case code >= 500:
		return fault.Wrap(err, fault.Denied, op, "The mail server does not let this computer in.", "Its answer is in the details; ask whoever runs it. "+meanwhile)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fault.Wrap(err, fault.Offline, op, "Nothing answers at this port of the mail server.", "Check the port in Settings, Mail: usual are 587 for STARTTLS and 465 for TLS. "+meanwhile)
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return fault.Wrap(err, fault.Offline, op, "The mail server cannot be reached from here.", "Check your connection; some networks let no mail out. "+meanwhile)
	case timeout && srv.Security == TLS:
		return fault.Wrap(err, fault.Offline, op, "The mail server did not answer in time.", "Check server and port in Settings, Mail; perhaps it wants STARTTLS with port 587. "+meanwhile)
	case timeout:
		return fault.Wrap(err, fault.Offline, op, "The mail server did not answer in time.", "Check server and port in Settings, Mail; perhaps it wants TLS with port 465. "+meanwhile)
	}
	return fault.Wrap(err, fault.Offline, op, "The connection to the mail server broke off.", "Check server, port and encryption in Settings, Mail, and your connection. "+meanwhile)
}

func later(err error) error {
	return fault.Wrap(err, fault.Offline, op, "The mail server cannot take mail just now.", "Try again in a few minutes. "+meanwhile)
}

// refusedMail explains what failed at sender, recipient or the mail itself.
func refusedMail(err error, send *gomail.SendError, to string) error {
	code, low := send.ErrorCode(), strings.ToLower(send.Error())
	temp := code >= 400 && code < 500
	switch {
	case code == 530 && strings.Contains(low, "starttls"), code == 538:
		return fault.Wrap(err, fault.Denied, op, "The mail server wants encryption first.", "Choose STARTTLS or TLS in Settings, Mail.")
	case code == 530, send.Reason == gomail.ErrSMTPMailFrom && strings.Contains(low, "authenticat"):
		return fault.Wrap(err, fault.SignedOut, op, "The mail server wants a user name and password.", "Enter them in Settings, Mail.")
	}
	switch send.Reason {
	case gomail.ErrSMTPMailFrom:
		switch {
		case code == 552:
			return tooLarge(err)
		case temp:
			return later(err)
		case code >= 500:
			return fault.Wrap(err, fault.Denied, op, "The mail server does not let this account send as this sender.", "Check the sender in Settings, Mail: usually it is the address of the account. "+meanwhile)
		}
	case gomail.ErrSMTPRcptTo:
		switch {
		case strings.Contains(low, "relay access denied"), code >= 500 && strings.Contains(low, "relay"): // Postfix says it with 454
			return fault.Wrap(err, fault.Denied, op, "The mail server sends no mail to other companies for this account.", "Enter user name and password in Settings, Mail, or ask whoever runs the server. "+meanwhile)
		case code == 452 || code == 552:
			return fault.Wrap(err, fault.Full, op, "The recipient's mailbox or the mail server is full.", meanwhile)
		case temp:
			return fault.Wrap(err, fault.Offline, op, "The mail server wants to be asked again later about this recipient.", "This is usual where servers do not know each other yet. Send again in five minutes. "+meanwhile)
		case code == 554:
			return refused(err)
		case code >= 500:
			return fault.Wrap(err, fault.Invalid, op, "The mail server does not take the address "+line(to)+".", "Check the customer's address, correct it and send again.")
		}
	case gomail.ErrSMTPData, gomail.ErrWriteContent, gomail.ErrSMTPDataClose:
		switch {
		case code == 552 || code == 523:
			return tooLarge(err)
		case code == 452:
			return fault.Wrap(err, fault.Full, op, "The recipient's mailbox or the mail server is full.", meanwhile)
		case temp:
			return later(err)
		case code >= 500:
			return refused(err)
		case send.Reason == gomail.ErrSMTPDataClose:
			return fault.Wrap(err, fault.Offline, OpUnsure, "The connection broke when the mail was handed over; nobody knows whether the mail server took it.", "Ask the customer whether it arrived before you send again. The link is the same in both mails.")
		}
	}
	if code >= 500 {
		return refused(err)
	}
	if temp {
		return later(err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fault.Wrap(err, fault.Offline, op, "The mail server was too slow and took nothing.", "Try again. "+meanwhile)
	}
	return fault.Wrap(err, fault.Offline, op, "The connection to the mail server broke off.", "Try again; the mail was not sent. "+meanwhile)
}

func refused(err error) error {
	return fault.Wrap(err, fault.Denied, op, "The mail server refused the mail.", "Its answer is in the details. "+meanwhile)
}

func tooLarge(err error) error {
	return fault.Wrap(err, fault.Denied, op, "The mail is too large for the mail server.", "Make your own words shorter, or ask whoever runs the server. "+meanwhile)
}
