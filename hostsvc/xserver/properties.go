//go:build linux || freebsd || openbsd || netbsd

package xserver

import "github.com/jezek/xgb/xproto"

// RootProperties returns the names of what programs have left on the root
// window of display: what stays there when a program is gone.
func RootProperties(display string) ([]string, error) {
	x, err := Dial(display)
	if err != nil {
		return nil, err
	}
	defer x.Close()
	list, err := xproto.ListProperties(x, xproto.Setup(x).DefaultScreen(x).Root).Reply()
	if err != nil {
		return nil, err
	}
	cookies := make([]xproto.GetAtomNameCookie, len(list.Atoms)) // one round trip for all
	for i, a := range list.Atoms {
		cookies[i] = xproto.GetAtomName(x, a)
	}
	out := []string{}
	for _, c := range cookies {
		if r, err := c.Reply(); err == nil {
			out = append(out, r.Name)
		}
	}
	return out, nil
}
