// Package page serves the deployment page and the host programs. The page is
// static but for who invites: its script takes the password out of the link's
// fragment, which no server ever gets, and puts it into the name under which
// the browser saves the one unmodified program. Requests change no state,
// because mail scanners follow links. It must not know sessions beyond what
// Invitation holds.
package page

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"daypass/backend/grant"
)

// State is how a link stands.
type State string

// The states.
const (
	Open     State = "open"
	Used     State = "used" // a computer is connected already
	Over     State = "over" // lapsed, ended or cancelled
	Unknown  State = "unknown"
	Draining State = "draining" // the server restarts
	Failed   State = "failed"   // the server cannot look it up now
	Join     State = "join"     // for colleagues: their code is for the console, not for this page
)

// Invitation is what the page shows.
type Invitation struct {
	State               State
	Company, Technician string
	Language            string // "en" or "de"; empty: what the browser asks for
	Expires             time.Time
}

// Config configures New.
type Config struct {
	Invitation func(ctx context.Context, id grant.ID) (Invitation, error)
	Downloads  string // folder; empty: none
	Draining   func() bool
	HostOK     func(*http.Request) bool
	Insecure   bool // plain HTTP: the page says so
	Log        *slog.Logger
}

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

//go:embed page.js
var pageJS string

// Page is the handler of /s/, /d/ and /join.
type Page struct {
	cfg  Config
	tmpl *template.Template
	csp  string
	cat  catalog
	mux  *http.ServeMux
}

func hash(s string) string {
	h := sha256.Sum256([]byte(s))
	return "'sha256-" + base64.StdEncoding.EncodeToString(h[:]) + "'"
}

// New parses the page.
func New(cfg Config) (*Page, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	t, err := template.New("page").Parse(pageHTML)
	if err != nil {
		return nil, fmt.Errorf("page: %w", err)
	}
	p := &Page{
		cfg: cfg, tmpl: t, cat: catalog{dir: cfg.Downloads, log: cfg.Log}, mux: http.NewServeMux(),
		csp: "default-src 'none'; script-src " + hash(pageJS) + "; style-src " + hash(pageCSS) + "; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	}
	p.mux.HandleFunc("GET /s/{id}", p.session)
	p.mux.HandleFunc("GET /d/{file}", p.download)
	p.mux.HandleFunc("GET /join", func(w http.ResponseWriter, r *http.Request) {
		p.show(w, r, http.StatusOK, "", Invitation{State: Join})
	})
	p.mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		p.show(w, r, http.StatusOK, "", Invitation{State: Unknown})
	})
	p.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "Not found.", http.StatusNotFound) })
	return p, nil
}

// ServeHTTP sets what holds for every answer.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Robots-Tag", "noindex, nofollow")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
	if !p.cfg.HostOK(r) {
		http.Error(w, "This server does not go by that name.", http.StatusMisdirectedRequest)
		return
	}
	p.mux.ServeHTTP(w, r)
}

func (p *Page) session(w http.ResponseWriter, r *http.Request) {
	id, err := grant.ParseID(r.PathValue("id"))
	if err != nil {
		p.show(w, r, http.StatusNotFound, "", Invitation{State: Unknown})
		return
	}
	if p.cfg.Draining() {
		w.Header().Set("Retry-After", "10")
		p.show(w, r, http.StatusServiceUnavailable, "", Invitation{State: Draining})
		return
	}
	in, err := p.cfg.Invitation(r.Context(), id)
	if err != nil {
		p.cfg.Log.Error("invitation not found out", "error", err)
		w.Header().Set("Retry-After", "30")
		p.show(w, r, http.StatusServiceUnavailable, "", Invitation{State: Failed})
		return
	}
	status := http.StatusOK
	switch in.State {
	case Unknown:
		status = http.StatusNotFound
	case Over:
		status = http.StatusGone
	}
	p.show(w, r, status, id.String(), in)
}

// language is the invitation's, else the first of the browser's that we have.
func language(in Invitation, accept string) string {
	if in.Language == "de" || in.Language == "en" {
		return in.Language
	}
	for part := range strings.SplitSeq(accept, ",") {
		tag, _, _ := strings.Cut(strings.TrimSpace(part), ";")
		switch lang, _, _ := strings.Cut(strings.ToLower(tag), "-"); lang {
		case "de", "en":
			return lang
		}
	}
	return "en"
}

// data is what the template gets.
type data struct {
	Invitation
	ID             string
	T              map[string]string
	Lang           string
	Style          template.CSS
	Script         template.JS
	Files          []File
	Windows, Linux bool
	Signer         string
	Insecure       bool
	Until          string
	LinuxFile, ARM string
	WindowsFile    string
}

func (p *Page) show(w http.ResponseWriter, r *http.Request, status int, id string, in Invitation) {
	lang := language(in, r.Header.Get("Accept-Language"))
	d := data{
		Invitation: in, ID: id, T: texts[lang], Lang: lang, Style: template.CSS(pageCSS), Script: template.JS(pageJS),
		Files: p.cat.list(), Insecure: p.cfg.Insecure, Signer: p.cat.signer(),
	}
	for _, f := range d.Files {
		switch {
		case f.OS == "windows" && d.WindowsFile == "":
			d.Windows, d.WindowsFile = true, f.Name
		case f.OS == "linux" && f.Arch == "amd64":
			d.Linux, d.LinuxFile = true, f.Name
		case f.OS == "linux" && f.Arch == "arm64":
			d.ARM = f.Name
		}
	}
	if !in.Expires.IsZero() {
		d.Until = until(in.Expires, lang)
	}
	var b bytes.Buffer
	if err := p.tmpl.Execute(&b, d); err != nil {
		p.cfg.Log.Error("page not written", "error", err)
		http.Error(w, "The page could not be written.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", lang)
	h.Set("Content-Security-Policy", p.csp)
	w.WriteHeader(status)
	if _, err := w.Write(b.Bytes()); err != nil {
		p.cfg.Log.Debug("page not delivered", "error", err)
	}
}

// until writes a time without knowing the visitor's zone: the script replaces
// it by local words.
func until(t time.Time, lang string) string {
	if lang == "de" {
		return t.UTC().Format("02.01.2006, 15:04") + " UTC"
	}
	return t.UTC().Format("2 January 2006, 15:04") + " UTC"
}
