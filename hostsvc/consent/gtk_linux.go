package consent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// obj is a GObject, cairo context or event of GTK; it belongs to GTK.
type obj = uintptr

// gtk is GTK 3 as loaded at run time. Every call but idleAdd must be made on
// the thread that called init.
var gtk struct {
	// GLib, GObject, GIO
	idleAdd        func(fn, data uintptr) uint32
	timeoutAdd     func(ms uint32, fn, data uintptr) uint32
	free           func(p uintptr)
	connect        func(o obj, signal string, fn, data, destroy uintptr, flags int32) uint64
	unref          func(o obj)
	getProperty    func(o obj, name string, value *gvalue)
	setProperty    func(o obj, name string, value *gvalue)
	valueInit      func(v *gvalue, typ uintptr) uintptr
	valueString    func(v *gvalue) string
	valueSetBool   func(v *gvalue, on bool)
	valueInt       func(v *gvalue) int32
	valueUnset     func(v *gvalue)
	schemaDefault  func() obj
	schemaLookup   func(src obj, id string, recursive bool) obj
	schemaHasKey   func(schema obj, key string) bool
	settingsNew    func(id string) obj
	settingsString func(s obj, key string) uintptr
	setenv         func(key, value string, overwrite bool) bool
	busGet         func(kind int32, cancel obj, err *uintptr) obj
	busKeep        func(bus obj, exit bool)
	setPrgname     func(name string)
	// GDK
	allowBackends func(list string)
	eventHandler  func(fn, data, destroy uintptr)
	eventType     func(ev uintptr) int32
	eventSource   func(ev uintptr) obj
	deviceName    func(dev obj) string
	eventKeyval   func(ev uintptr, key *uint32) bool
	screenDefault func() obj
	screenHeight  func(s obj) int32
	// GTK
	initCheck     func(argc, argv uintptr) bool
	main, quit    func()
	doEvent       func(ev uintptr)
	windowNew     func(kind int32) obj
	windowTitle   func(w obj, s string)
	windowSize    func(w obj, width, height int32)
	windowResize  func(w obj, width, height int32)
	windowPos     func(w obj, pos int32)
	windowPresent func(w obj)
	windowDefault func(w, widget obj)
	windowIcon    func(w obj, name string)
	showAll       func(w obj)
	destroy       func(w obj)
	visible       func(w obj, on bool)
	add           func(c, w obj)
	boxNew        func(vertical, spacing int32) obj
	packStart     func(b, w obj, expand, fill bool, pad uint32)
	packEnd       func(b, w obj, expand, fill bool, pad uint32)
	labelNew      func(s string) obj
	labelText     func(l obj, s string)
	labelAlign    func(l obj, x float32)
	labelWrap     func(l obj, on bool)
	labelWrapMode func(l obj, mode int32)
	labelSelect   func(l obj, on bool)
	labelMax      func(l obj, chars int32)
	entryNew      func() obj
	entryText     func(e obj, s string)
	entryGet      func(e obj) string
	entryDefault  func(e obj, on bool)
	entryWidth    func(e obj, chars int32)
	entryAlign    func(e obj, x float32)
	entryPurpose  func(e obj, p int32)
	entryHint     func(e obj, s string)
	entryPosition func(e obj, pos int32)
	buttonNew     func(s string) obj
	binChild      func(w obj) obj
	checkNew      func(s string) obj
	toggleSet     func(t obj, on bool)
	toggleGet     func(t obj) bool
	switchNew     func() obj
	switchSet     func(s obj, on bool)
	switchGet     func(s obj) bool
	progressNew   func() obj
	progressSet   func(p obj, f float64)
	progressPulse func(p obj)
	expanderNew   func(s string) obj
	scrolledNew   func(h, v obj) obj
	scrolledPol   func(s obj, h, v int32)
	scrolledMin   func(s obj, h int32)
	heightFor     func(w obj, width int32, least, natural *int32)
	drawingNew    func() obj
	sizeRequest   func(w obj, width, height int32)
	queueDraw     func(w obj)
	grabFocus     func(w obj)
	canDefault    func(w obj, on bool)
	halign        func(w obj, a int32)
	valign        func(w obj, a int32)
	styleOf       func(w obj) obj
	addClass      func(c obj, name string)
	removeClass   func(c obj, name string)
	cssNew        func() obj
	cssLoad       func(p obj, data string, n int, err *uintptr) bool
	cssAdd        func(screen, p obj, priority uint32)
	settings      func() obj
	accessible    func(w obj) obj
	chooserNew    func(title string, parent obj, action int32, accept, cancel string) obj
	chooserShow   func(d obj)
	chooserModal  func(d obj, on bool)
	chooserName   func(d obj, name string)
	chooserFolder func(d obj, dir string) bool
	chooserAsk    func(d obj, on bool)
	chooserFile   func(d obj) uintptr
	chooserEnd    func(d obj)
	// ATK
	atkName func(a obj, s string)
	// cairo
	cairoColor  func(cr obj, r, g, b float64)
	cairoWidth  func(cr obj, w float64)
	cairoArc    func(cr obj, x, y, r, a, b float64)
	cairoStroke func(cr obj)
	cairoFill   func(cr obj)
	// Xlib
	ioErrorHandler func(fn uintptr) uintptr
}

// gvalue is a GValue: 8 bytes of type and 16 of data (on 64 bits).
type gvalue [3]uint64

// Numbers of GTK's headers.
const (
	gtypeBool   = 5 << 2
	gtypeString = 16 << 2
	gtypeInt    = 6 << 2

	gdkMotion         = 3
	gdkButtonPress    = 4
	gdkButtonPress2   = 5
	gdkButtonPress3   = 6
	gdkButtonRelease  = 7
	gdkKeyPress       = 8
	gdkKeyRelease     = 9
	gdkScroll         = 31
	gdkTouchBegin     = 37
	gdkTouchEnd       = 39
	gdkKeyBackspace   = 0xff08
	gtkAlignStart     = 1
	gtkAlignCenter    = 3
	gtkResponseAccept = -3
)

// loadGTK loads the libraries once. It fails where GTK 3 is not installed.
var loadGTK = sync.OnceValue(func() (err error) {
	defer func() { // purego panics for a function that the library lacks
		if r := recover(); r != nil {
			err = fmt.Errorf("consent: GTK: %v", r)
		}
	}()
	open := func(name string) uintptr {
		h, e := purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_GLOBAL)
		if e != nil {
			err = errors.Join(err, fmt.Errorf("consent: GTK: %w", e))
		}
		return h
	}
	lib := open("libgtk-3.so.0")
	if err != nil {
		return err
	}
	gobject, gio, gdk, atk := open("libgobject-2.0.so.0"), open("libgio-2.0.so.0"), open("libgdk-3.so.0"), open("libatk-1.0.so.0")
	glib, cairo, x11 := open("libglib-2.0.so.0"), open("libcairo.so.2"), open("libX11.so.6")
	if err != nil {
		return err
	}
	for _, f := range []struct {
		p    any
		lib  uintptr
		name string
	}{
		{&gtk.idleAdd, glib, "g_idle_add"},
		{&gtk.timeoutAdd, glib, "g_timeout_add"},
		{&gtk.free, glib, "g_free"},
		{&gtk.setPrgname, glib, "g_set_prgname"},
		{&gtk.connect, gobject, "g_signal_connect_data"},
		{&gtk.unref, gobject, "g_object_unref"},
		{&gtk.getProperty, gobject, "g_object_get_property"},
		{&gtk.setProperty, gobject, "g_object_set_property"},
		{&gtk.valueInit, gobject, "g_value_init"},
		{&gtk.valueString, gobject, "g_value_get_string"},
		{&gtk.valueSetBool, gobject, "g_value_set_boolean"},
		{&gtk.valueInt, gobject, "g_value_get_int"},
		{&gtk.valueUnset, gobject, "g_value_unset"},
		{&gtk.schemaDefault, gio, "g_settings_schema_source_get_default"},
		{&gtk.schemaLookup, gio, "g_settings_schema_source_lookup"},
		{&gtk.schemaHasKey, gio, "g_settings_schema_has_key"},
		{&gtk.settingsNew, gio, "g_settings_new"},
		{&gtk.settingsString, gio, "g_settings_get_string"},
		{&gtk.allowBackends, gdk, "gdk_set_allowed_backends"},
		{&gtk.setenv, glib, "g_setenv"},
		{&gtk.busGet, gio, "g_bus_get_sync"},
		{&gtk.busKeep, gio, "g_dbus_connection_set_exit_on_close"},
		{&gtk.eventHandler, gdk, "gdk_event_handler_set"},
		{&gtk.eventType, gdk, "gdk_event_get_event_type"},
		{&gtk.eventSource, gdk, "gdk_event_get_source_device"},
		{&gtk.deviceName, gdk, "gdk_device_get_name"},
		{&gtk.eventKeyval, gdk, "gdk_event_get_keyval"},
		{&gtk.screenDefault, gdk, "gdk_screen_get_default"},
		{&gtk.screenHeight, gdk, "gdk_screen_get_height"},
		{&gtk.initCheck, lib, "gtk_init_check"},
		{&gtk.main, lib, "gtk_main"},
		{&gtk.quit, lib, "gtk_main_quit"},
		{&gtk.doEvent, lib, "gtk_main_do_event"},
		{&gtk.windowNew, lib, "gtk_window_new"},
		{&gtk.windowTitle, lib, "gtk_window_set_title"},
		{&gtk.windowSize, lib, "gtk_window_set_default_size"},
		{&gtk.windowResize, lib, "gtk_window_resize"},
		{&gtk.windowPos, lib, "gtk_window_set_position"},
		{&gtk.windowPresent, lib, "gtk_window_present"},
		{&gtk.windowDefault, lib, "gtk_window_set_default"},
		{&gtk.windowIcon, lib, "gtk_window_set_icon_name"},
		{&gtk.showAll, lib, "gtk_widget_show_all"},
		{&gtk.destroy, lib, "gtk_widget_destroy"},
		{&gtk.visible, lib, "gtk_widget_set_visible"},
		{&gtk.add, lib, "gtk_container_add"},
		{&gtk.boxNew, lib, "gtk_box_new"},
		{&gtk.packStart, lib, "gtk_box_pack_start"},
		{&gtk.packEnd, lib, "gtk_box_pack_end"},
		{&gtk.labelNew, lib, "gtk_label_new"},
		{&gtk.labelText, lib, "gtk_label_set_text"},
		{&gtk.labelAlign, lib, "gtk_label_set_xalign"},
		{&gtk.labelWrap, lib, "gtk_label_set_line_wrap"},
		{&gtk.labelWrapMode, lib, "gtk_label_set_line_wrap_mode"},
		{&gtk.labelSelect, lib, "gtk_label_set_selectable"},
		{&gtk.labelMax, lib, "gtk_label_set_max_width_chars"},
		{&gtk.entryNew, lib, "gtk_entry_new"},
		{&gtk.entryText, lib, "gtk_entry_set_text"},
		{&gtk.entryGet, lib, "gtk_entry_get_text"},
		{&gtk.entryDefault, lib, "gtk_entry_set_activates_default"},
		{&gtk.entryWidth, lib, "gtk_entry_set_width_chars"},
		{&gtk.entryAlign, lib, "gtk_entry_set_alignment"},
		{&gtk.entryPurpose, lib, "gtk_entry_set_input_purpose"},
		{&gtk.entryHint, lib, "gtk_entry_set_placeholder_text"},
		{&gtk.entryPosition, lib, "gtk_editable_set_position"},
		{&gtk.buttonNew, lib, "gtk_button_new_with_label"},
		{&gtk.binChild, lib, "gtk_bin_get_child"},
		{&gtk.checkNew, lib, "gtk_check_button_new_with_label"},
		{&gtk.toggleSet, lib, "gtk_toggle_button_set_active"},
		{&gtk.toggleGet, lib, "gtk_toggle_button_get_active"},
		{&gtk.switchNew, lib, "gtk_switch_new"},
		{&gtk.switchSet, lib, "gtk_switch_set_active"},
		{&gtk.switchGet, lib, "gtk_switch_get_active"},
		{&gtk.progressNew, lib, "gtk_progress_bar_new"},
		{&gtk.progressSet, lib, "gtk_progress_bar_set_fraction"},
		{&gtk.progressPulse, lib, "gtk_progress_bar_pulse"},
		{&gtk.expanderNew, lib, "gtk_expander_new"},
		{&gtk.scrolledNew, lib, "gtk_scrolled_window_new"},
		{&gtk.scrolledPol, lib, "gtk_scrolled_window_set_policy"},
		{&gtk.scrolledMin, lib, "gtk_scrolled_window_set_min_content_height"},
		{&gtk.heightFor, lib, "gtk_widget_get_preferred_height_for_width"},
		{&gtk.drawingNew, lib, "gtk_drawing_area_new"},
		{&gtk.sizeRequest, lib, "gtk_widget_set_size_request"},
		{&gtk.queueDraw, lib, "gtk_widget_queue_draw"},
		{&gtk.grabFocus, lib, "gtk_widget_grab_focus"},
		{&gtk.canDefault, lib, "gtk_widget_set_can_default"},
		{&gtk.halign, lib, "gtk_widget_set_halign"},
		{&gtk.valign, lib, "gtk_widget_set_valign"},
		{&gtk.styleOf, lib, "gtk_widget_get_style_context"},
		{&gtk.addClass, lib, "gtk_style_context_add_class"},
		{&gtk.removeClass, lib, "gtk_style_context_remove_class"},
		{&gtk.cssNew, lib, "gtk_css_provider_new"},
		{&gtk.cssLoad, lib, "gtk_css_provider_load_from_data"},
		{&gtk.cssAdd, lib, "gtk_style_context_add_provider_for_screen"},
		{&gtk.settings, lib, "gtk_settings_get_default"},
		{&gtk.accessible, lib, "gtk_widget_get_accessible"},
		{&gtk.chooserNew, lib, "gtk_file_chooser_native_new"},
		{&gtk.chooserShow, lib, "gtk_native_dialog_show"},
		{&gtk.chooserModal, lib, "gtk_native_dialog_set_modal"},
		{&gtk.chooserEnd, lib, "gtk_native_dialog_destroy"},
		{&gtk.chooserName, lib, "gtk_file_chooser_set_current_name"},
		{&gtk.chooserFolder, lib, "gtk_file_chooser_set_current_folder"},
		{&gtk.chooserAsk, lib, "gtk_file_chooser_set_do_overwrite_confirmation"},
		{&gtk.chooserFile, lib, "gtk_file_chooser_get_filename"},
		{&gtk.atkName, atk, "atk_object_set_name"},
		{&gtk.cairoColor, cairo, "cairo_set_source_rgb"},
		{&gtk.cairoWidth, cairo, "cairo_set_line_width"},
		{&gtk.cairoArc, cairo, "cairo_arc"},
		{&gtk.cairoStroke, cairo, "cairo_stroke"},
		{&gtk.cairoFill, cairo, "cairo_fill"},
		{&gtk.ioErrorHandler, x11, "XSetIOErrorHandler"},
	} {
		purego.RegisterLibFunc(f.p, f.lib, f.name)
	}
	return nil
})

// calls are the C functions that GTK calls. purego never frees one, so each is
// made once and finds its Go function by number. They run on GTK's thread.
var calls = sync.OnceValue(func() (c struct {
	plain, notify, event, draw, idle, pulse, handler, ioError uintptr
},
) {
	c.plain = purego.NewCallback(func(_, id uintptr) uintptr { return handle(id, 0) })
	c.notify = purego.NewCallback(func(_, arg, id uintptr) uintptr { return handle(id, arg) })
	c.event = purego.NewCallback(func(_, ev, id uintptr) uintptr { return handle(id, ev) })
	c.draw = purego.NewCallback(func(_, cr, id uintptr) uintptr { return handle(id, cr) })
	c.idle = purego.NewCallback(func(id uintptr) uintptr { return handle(id, 0) })
	c.pulse = purego.NewCallback(func(id uintptr) uintptr { return handle(id, 0) })
	c.handler = purego.NewCallback(func(ev, id uintptr) uintptr { return handle(id, ev) })
	c.ioError = purego.NewCallback(func(_ uintptr) uintptr { return handle(lostID, 0) })
	return c
})

// handlers are the Go functions by number.
var handlers = struct {
	sync.Mutex
	next uintptr
	m    map[uintptr]func(arg uintptr) uintptr
}{next: 16, m: map[uintptr]func(uintptr) uintptr{}}

// lostID is the number of the handler for a lost display.
const lostID = 1

func register(f func(arg uintptr) uintptr) uintptr {
	handlers.Lock()
	defer handlers.Unlock()
	handlers.next++
	handlers.m[handlers.next] = f
	return handlers.next
}

func unregister(ids ...uintptr) {
	handlers.Lock()
	defer handlers.Unlock()
	for _, id := range ids {
		delete(handlers.m, id)
	}
}

func handle(id, arg uintptr) uintptr {
	handlers.Lock()
	f := handlers.m[id]
	handlers.Unlock()
	if f == nil {
		return 0
	}
	return f(arg)
}

// sentEvent reads send_event of a GdkEvent (GdkEventAny: int type, GdkWindow*
// window, gint8 send_event).
func sentEvent(ev uintptr) bool {
	return *(*int8)(unsafe.Add(*(*unsafe.Pointer)(unsafe.Pointer(&ev)), 16)) != 0
}

// takeString copies a C string that we own and frees it.
func takeString(p uintptr) string {
	if p == 0 {
		return ""
	}
	defer gtk.free(p)
	base := *(*unsafe.Pointer)(unsafe.Pointer(&p))
	n := 0
	for *(*byte)(unsafe.Add(base, n)) != 0 {
		n++
	}
	return string(unsafe.Slice((*byte)(base), n))
}

// hasBus tells whether a session bus is there. Without one GLib would start
// its own, which would outlive us.
func hasBus() bool {
	if os.Getenv("DBUS_SESSION_BUS_ADDRESS") != "" {
		return true
	}
	_, err := os.Stat(filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "bus"))
	return os.Getenv("XDG_RUNTIME_DIR") != "" && err == nil
}

// tameBus sees to it that the end of the session bus (the customer logs out)
// does not end this process before everything is removed: GLib raises SIGTERM.
func tameBus() {
	if !hasBus() {
		gtk.setenv("GSETTINGS_BACKEND", "memory", true)
		gtk.setenv("NO_AT_BRIDGE", "1", true)
		return
	}
	if bus := gtk.busGet(2, 0, nil); bus != 0 {
		gtk.busKeep(bus, false)
	}
}

func propString(o obj, name string) string {
	var v gvalue
	gtk.valueInit(&v, gtypeString)
	defer gtk.valueUnset(&v)
	gtk.getProperty(o, name, &v)
	return gtk.valueString(&v)
}

func propInt(o obj, name string) int {
	var v gvalue
	gtk.valueInit(&v, gtypeInt)
	defer gtk.valueUnset(&v)
	gtk.getProperty(o, name, &v)
	return int(gtk.valueInt(&v))
}

func setPropBool(o obj, name string, on bool) {
	var v gvalue
	gtk.valueInit(&v, gtypeBool)
	defer gtk.valueUnset(&v)
	gtk.valueSetBool(&v, on)
	gtk.setProperty(o, name, &v)
}
