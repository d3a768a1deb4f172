package consent

import (
	"errors"
	"log/slog"
	"strings"

	"golang.org/x/sys/windows"

	"daypass/backend/fault"
)

// Open opens the window and the bar on the desktop of this process. kind is
// KindAuto, or KindNone for the bar without a window. lang is "en", "de", or
// empty for the language of the user's Windows. The caller must Close the
// View. Errors are *fault.Error: Unsupported where there is no desktop,
// Invalid for an unknown kind.
func Open(kind, lang string, log *slog.Logger) (View, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	p := newPresenter(lang)
	switch kind {
	case KindAuto, "":
		v, err := openWin(p, log)
		if err == nil {
			return v, nil
		}
		return nil, fault.Wrap(err, fault.Unsupported, "consent.open", p.w.NoDisplay, p.w.NoDisplayHint)
	case KindNone:
		b, err := newBar(p, nil, log)
		if err != nil {
			return nil, fault.Wrap(err, fault.Unsupported, "consent.open", p.w.NoDisplay, p.w.NoDisplayHint)
		}
		return &bareView{p: p, bar: b}, nil
	}
	return nil, fault.New(fault.Invalid, "consent.open", "There is no window of this kind.", "Use auto or none.")
}

// bareView has only the bar.
type bareView struct {
	p   *presenter
	bar *winBar
}

var (
	_ View = (*bareView)(nil)
	_ View = (*winView)(nil)
)

// Show replaces what is shown.
func (v *bareView) Show(m Model) {
	v.p.show(m)
	v.bar.update()
}

// Actions gives what the customer did on the bar.
func (v *bareView) Actions() <-chan Action { return v.p.actions }

// Bar tells whether the bar is seen.
func (v *bareView) Bar() BarHealth { return v.bar.health() }

// Close takes the bar away.
func (v *bareView) Close() error {
	v.bar.close()
	v.p.close()
	return nil
}

// systemLanguages and userFolders ask Windows. Tests put others here.
var (
	systemLanguages = languages
	userFolders     = folders
)

// languages are those that the user chose in Windows, best first.
func languages() []string {
	list, err := windows.GetUserPreferredUILanguages(windows.MUI_LANGUAGE_NAME)
	if err != nil {
		return nil // English
	}
	return list
}

// folders are the customer's downloads, documents, desktop and pictures, "" for
// one that is not there.
func folders() (out [4]string) {
	for i, id := range []*windows.KNOWNFOLDERID{windows.FOLDERID_Downloads, windows.FOLDERID_Documents, windows.FOLDERID_Desktop, windows.FOLDERID_Pictures} {
		if dir, err := windows.KnownFolderPath(id, 0); err == nil {
			out[i] = dir
		}
	}
	return out
}

// Alert shows text in a small window of the system's, for a program that has no
// other way to say why it ends. It waits until the customer closed it.
func Alert(text string) error {
	t, err := windows.UTF16PtrFromString(strings.ReplaceAll(text, "\x00", " "))
	if err != nil {
		return err
	}
	_, err = windows.MessageBox(0, t, wide(catalogue("").WindowTitle), 0x30|0x10000) // warning, in front
	if errors.Is(err, windows.ERROR_SUCCESS) {
		err = nil
	}
	return err
}
