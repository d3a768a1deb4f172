//go:build linux && (production || dev)

package main

/*
#cgo pkg-config: gtk+-3.0
#include <gtk/gtk.h>

extern void mouseButton(int button, int down);

// Sees every press and release of a mouse button in this program's windows.
static gboolean see(GSignalInvocationHint *hint, guint n, const GValue *values, gpointer data) {
	static guint32 last;
	static GdkEventType what;
	GdkEvent *e = n > 1 ? g_value_get_boxed(&values[1]) : NULL;
	if (e == NULL || (e->type != GDK_BUTTON_PRESS && e->type != GDK_BUTTON_RELEASE)) return TRUE;
	if (e->button.button != 8 && e->button.button != 9) return TRUE;
	// Offered to each widget from the window downwards: once is enough.
	if (e->button.time == last && e->type == what) return TRUE;
	last = e->button.time;
	what = e->type;
	mouseButton((int)e->button.button, e->type == GDK_BUTTON_PRESS);
	return TRUE;
}

static void watchButtons(void) {
	g_type_class_ref(GTK_TYPE_WIDGET);
	g_signal_add_emission_hook(g_signal_lookup("button-press-event", GTK_TYPE_WIDGET), 0, see, NULL, NULL);
	g_signal_add_emission_hook(g_signal_lookup("button-release-event", GTK_TYPE_WIDGET), 0, see, NULL, NULL);
}
*/
import "C"

import "sync/atomic"

// sideButton is told of the mouse's back (3) and forward (4) buttons, which
// WebKitGTK does not give to the page.
var sideButton atomic.Pointer[func(button int, down bool)]

// watchSideButtons tells f of them, from the window's thread, from now on.
func watchSideButtons(f func(button int, down bool)) {
	if sideButton.Swap(&f) == nil {
		C.watchButtons()
	}
}

//export mouseButton
func mouseButton(button, down C.int) {
	if f := sideButton.Load(); f != nil {
		(*f)(int(button)-5, down != 0)
	}
}
