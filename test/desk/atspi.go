package desk

import (
	"errors"
	"fmt"
	"image"
	"slices"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

// Eyes reads windows as a screen reader does, over the desk's accessibility
// bus (AT-SPI 2). It sees what the program says of itself, nothing else.
type Eyes struct {
	conn *dbus.Conn
	d    *Desk
}

// Element is one thing that a program shows: a button, a text.
type Element struct {
	Role  string // "push button", "heading", "text"…
	Name  string // what a screen reader says
	Text  string // its text, for what carries text
	X, Y  int    // top left on the screen, pixels
	W, H  int
	Depth int
	bus   string
	path  dbus.ObjectPath
	conn  *dbus.Conn
}

// Eyes opens the accessibility bus.
func (d *Desk) Eyes() *Eyes {
	d.t.Helper()
	var address string
	d.Until("the accessibility bus", 20*time.Second, func() bool {
		s, err := dbus.Dial(d.Bus)
		if err != nil {
			return false
		}
		defer func() { _ = s.Close() }()
		if s.Auth(nil) != nil || s.Hello() != nil {
			return false
		}
		status := s.Object("org.a11y.Bus", "/org/a11y/bus")
		if status.Call("org.freedesktop.DBus.Properties.Set", 0, "org.a11y.Status", "IsEnabled", dbus.MakeVariant(true)).Err != nil {
			return false
		}
		return status.Call("org.a11y.Bus.GetAddress", 0).Store(&address) == nil && address != ""
	})
	c, err := dbus.Dial(address)
	if err != nil {
		d.t.Fatal(err)
	}
	if err := errors.Join(c.Auth(nil), c.Hello()); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = c.Close() })
	return &Eyes{conn: c, d: d}
}

// roles names what WebKit gives as numbers (AtspiRole, atspi-constants.h).
var roles = map[uint32]string{
	2: "alert", 6: "canvas", 7: "check box", 11: "combo box", 16: "dialog", 27: "image", 29: "label", 32: "list item", 35: "menu item",
	37: "page tab", 40: "password text", 43: "push button", 61: "text", 62: "toggle button", 73: "paragraph", 79: "entry", 83: "heading",
	85: "section", 87: "form", 88: "link", 90: "table row", 95: "document web", 110: "landmark", 116: "static",
}

type ref struct {
	Bus  string
	Path dbus.ObjectPath
}

// All lists everything that programs whose name contains app show, in reading
// order. It is bounded: what is deeper than 60 levels is not seen.
func (e *Eyes) All(app string) []Element {
	var apps []ref
	if e.conn.Object("org.a11y.atspi.Registry", "/org/a11y/atspi/accessible/root").Call("org.a11y.atspi.Accessible.GetChildren", 0).Store(&apps) != nil {
		return nil
	}
	var out []Element
	for _, a := range apps {
		if name := e.name(a); strings.Contains(strings.ToLower(name), strings.ToLower(app)) {
			e.walk(a, 0, &out)
		}
	}
	return out
}

func (e *Eyes) name(r ref) string {
	v, err := e.conn.Object(r.Bus, r.Path).GetProperty("org.a11y.atspi.Accessible.Name")
	if err != nil {
		return ""
	}
	s, _ := v.Value().(string)
	return s
}

func (e *Eyes) walk(r ref, depth int, out *[]Element) {
	if depth > 60 || len(*out) > 5000 {
		return
	}
	o := e.conn.Object(r.Bus, r.Path)
	el := Element{Name: e.name(r), Depth: depth, bus: r.Bus, path: r.Path, conn: e.conn}
	if o.Call("org.a11y.atspi.Accessible.GetRoleName", 0).Store(&el.Role) != nil {
		return
	}
	if el.Role == "" { // WebKit gives numbers only
		var role uint32
		if o.Call("org.a11y.atspi.Accessible.GetRole", 0).Store(&role) == nil {
			el.Role = roles[role]
		}
	}
	var has []string
	if o.Call("org.a11y.atspi.Accessible.GetInterfaces", 0).Store(&has) != nil {
		return
	}
	var text string
	if slices.Contains(has, "org.a11y.atspi.Text") && o.Call("org.a11y.atspi.Text.GetText", 0, int32(0), int32(-1)).Store(&text) == nil {
		el.Text = text
	}
	var box struct{ X, Y, W, H int32 }
	if slices.Contains(has, "org.a11y.atspi.Component") && o.Call("org.a11y.atspi.Component.GetExtents", 0, uint32(0)).Store(&box) == nil {
		el.X, el.Y, el.W, el.H = int(box.X), int(box.Y), int(box.W), int(box.H)
	}
	*out = append(*out, el)
	for _, k := range children(o) {
		e.walk(k, depth+1, out)
	}
}

// children asks for all at once and, where that names fewer than there are (the
// page in a web view is another process's), one by one.
func children(o dbus.BusObject) []ref {
	var kids []ref
	if o.Call("org.a11y.atspi.Accessible.GetChildren", 0).Store(&kids) != nil {
		return nil
	}
	v, err := o.GetProperty("org.a11y.atspi.Accessible.ChildCount")
	if err != nil {
		return kids
	}
	n, ok := v.Value().(int32)
	if !ok || int(n) <= len(kids) {
		return kids
	}
	kids = kids[:0]
	for i := range min(n, 1000) {
		var k ref
		if o.Call("org.a11y.atspi.Accessible.GetChildAtIndex", 0, i).Store(&k) == nil {
			kids = append(kids, k)
		}
	}
	return kids
}

// Find returns the first element of the program whose role is role ("" any)
// and whose name or text contains name.
func (e *Eyes) Find(app, role, name string) (Element, bool) {
	for _, el := range e.All(app) {
		if (role == "" || el.Role == role) && (strings.Contains(el.Name, name) || strings.Contains(el.Text, name)) {
			return el, true
		}
	}
	return Element{}, false
}

// Wait is Find that waits; it fails the test with what was seen instead.
func (e *Eyes) Wait(app, role, name string, limit time.Duration) Element {
	e.d.t.Helper()
	var el Element
	for end := time.Now().Add(limit); ; time.Sleep(150 * time.Millisecond) {
		var ok bool
		if el, ok = e.Find(app, role, name); ok {
			return el
		}
		if time.Now().After(end) {
			e.d.t.Fatalf("desk %s: no %q named %q in %s after %v; it shows:\n%sscreen: %s", e.d.name, role, name, app, limit, e.Describe(app), e.d.Save("missing"))
		}
	}
}

// Steady is Wait for something that has also stopped moving: a person does not
// click on what slides away.
func (e *Eyes) Steady(app, role, name string, limit time.Duration) Element {
	e.d.t.Helper()
	el := e.Wait(app, role, name, limit)
	for end := time.Now().Add(limit); time.Now().Before(end); {
		time.Sleep(200 * time.Millisecond)
		again := e.Wait(app, role, name, limit)
		if again.X == el.X && again.Y == el.Y && again.W == el.W && again.H == el.H {
			return again
		}
		el = again
	}
	e.d.t.Fatalf("desk %s: %q does not stop moving", e.d.name, name)
	return el
}

// Press clicks an element with the mouse, in its middle. Where that is not on the
// screen nobody could click on it.
func (e *Eyes) Press(el Element) {
	e.d.t.Helper()
	if at := image.Pt(el.X+el.W/2, el.Y+el.H/2); !at.In(image.Rectangle{Max: e.d.Size()}) {
		e.d.t.Fatalf("desk %s: %s %q is at %v, outside the screen: %s", e.d.name, el.Role, el.Name, at, e.d.Save("outside"))
	}
	e.d.Click(el.X+el.W/2, el.Y+el.H/2)
}

// Focused reports whether an element has the keyboard, as it says itself.
func (e *Eyes) Focused(el Element) bool {
	const focused = 12 // ATSPI_STATE_FOCUSED (atspi-constants.h)
	var states []uint32
	err := el.conn.Object(el.bus, el.path).Call("org.a11y.atspi.Accessible.GetState", 0).Store(&states)
	return err == nil && len(states) > 0 && states[0]>>focused&1 == 1
}

// Describe lists what a program shows, for the log of a failure.
func (e *Eyes) Describe(app string) string {
	var sb strings.Builder
	for _, el := range e.All(app) {
		if el.Name != "" || el.Text != "" {
			fmt.Fprintf(&sb, "%*s%s %q %.80q %d,%d %d×%d\n", el.Depth, "", el.Role, el.Name, el.Text, el.X, el.Y, el.W, el.H)
		}
	}
	return sb.String()
}
