package consent

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"daypass/backend/fault"
)

// Open opens the window and the bar on $DISPLAY with the toolkit that kind
// names, or with the best that is there (KindAuto). KindNone has no window:
// its Actions come from the bar. lang is "en", "de", or empty for the system's
// language. The caller must Close the View. Errors are *fault.Error:
// Unsupported when the toolkit or the display is missing, Invalid for an
// unknown kind.
func Open(kind, lang string, log *slog.Logger) (View, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	p := newPresenter(lang)
	var errs error
	try := func(k string) (View, error) {
		switch k {
		case KindGTK:
			v, err := openGTK(p, log)
			if err != nil {
				return nil, err
			}
			v.bar = startBar(p, v.present, log)
			v.do(v.appearance)
			return v, nil
		case KindX11:
			v, err := openX11(p, log)
			if err != nil {
				return nil, err
			}
			v.bar = startBar(p, v.present, log)
			return v, nil
		case KindTTY:
			v, err := openTTY(p, log)
			if err != nil {
				return nil, err
			}
			v.bar = startBar(p, nil, log)
			return v, nil
		case KindNone:
			return &bareView{p: p, bar: startBar(p, nil, log)}, nil
		}
		return nil, fault.New(fault.Invalid, "consent.open", "There is no window of this kind.", "Use auto, gtk, x11, tty or none.")
	}
	kinds := []string{kind}
	if kind == KindAuto || kind == "" {
		kinds = []string{KindGTK, KindX11, KindTTY}
		if os.Getenv("DISPLAY") == "" {
			kinds = []string{KindTTY}
		}
	}
	for _, k := range kinds {
		v, err := try(k)
		if err == nil {
			return v, nil
		}
		var f *fault.Error
		if errors.As(err, &f) && f.Kind == fault.Invalid {
			return nil, f
		}
		log.Info("this window cannot be opened here", "kind", k, "err", err)
		errs = errors.Join(errs, err)
	}
	return nil, fault.Wrap(errs, fault.Unsupported, "consent.open", p.w.NoDisplay, p.w.NoDisplayHint)
}

// startBar starts the bar, or returns nil where there is no display: then no
// display can be captured either, and Bar says that the bar is not shown.
func startBar(p *presenter, open func(), log *slog.Logger) *bar {
	if os.Getenv("DISPLAY") == "" {
		return nil
	}
	b, err := newBar(p, "", open, log)
	if err != nil {
		log.Warn("the bar cannot be shown", "err", err)
		return nil
	}
	b.setDark(wantsDark())
	return b
}

// barHealth is Bar of every View.
func barHealth(p *presenter, b *bar) BarHealth {
	if b != nil {
		return b.health()
	}
	_, wanted := p.bar()
	return BarHealth{Wanted: wanted}
}

// bareView has only the bar.
type bareView struct {
	p   *presenter
	bar *bar
}

var (
	_ View = (*bareView)(nil)
	_ View = (*gtkView)(nil)
	_ View = (*x11View)(nil)
	_ View = (*ttyView)(nil)
)

// Show replaces what is shown.
func (v *bareView) Show(m Model) {
	v.p.show(m)
	if v.bar != nil {
		v.bar.update()
	}
}

// Actions gives what the customer did on the bar.
func (v *bareView) Actions() <-chan Action { return v.p.actions }

// Bar tells whether the bar is seen.
func (v *bareView) Bar() BarHealth { return barHealth(v.p, v.bar) }

// Close takes the bar away.
func (v *bareView) Close() error {
	if v.bar != nil {
		v.bar.close()
	}
	v.p.close()
	return nil
}

// wantsDark tells whether the system wants dark windows, as far as it can be
// known without GTK: GTK_THEME, else GTK's settings file.
func wantsDark() bool {
	if t := os.Getenv("GTK_THEME"); t != "" {
		return strings.HasSuffix(strings.ToLower(t), "dark")
	}
	conf, err := os.UserConfigDir()
	if err != nil {
		return false
	}
	b, err := os.ReadFile(filepath.Join(conf, "gtk-3.0", "settings.ini"))
	if err != nil {
		return false // no such settings: light
	}
	for _, l := range strings.Split(strings.ToLower(string(b)), "\n") {
		k, v, _ := strings.Cut(l, "=")
		k, v = strings.TrimSpace(k), strings.TrimSpace(v)
		if (k == "gtk-application-prefer-dark-theme" && (v == "1" || v == "true")) || (k == "gtk-theme-name" && strings.HasSuffix(v, "-dark")) {
			return true
		}
	}
	return false
}
