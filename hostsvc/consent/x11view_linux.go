package consent

import (
	"errors"
	"log/slog"
)

type x11View struct {
	p   *presenter
	bar *bar
}

func openX11(*presenter, *slog.Logger) (*x11View, error) { return nil, errors.New("x") }
func (v *x11View) Show(m Model)                          {}
func (v *x11View) Actions() <-chan Action                { return v.p.actions }
func (v *x11View) Bar() BarHealth                        { return BarHealth{} }
func (v *x11View) Close() error                          { return nil }
func (v *x11View) present()                              {}
