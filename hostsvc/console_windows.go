package main

import (
	"os"

	"golang.org/x/sys/windows"

	"daypass/backend/fault"
	"daypass/hostsvc/consent"
)

var procAttachConsole = windows.NewLazySystemDLL("kernel32.dll").NewProc("AttachConsole")

// attach lets verbs that are run from a terminal write to it: a program of the
// windows subsystem has no console of its own, and started by a click it must
// not open one. Files and pipes that it was given stay as they are.
func attach() { readable = terminal() }

// readable is whether what is written to standard error can be read.
var readable = true

// terminal attaches and reports whether somebody can read what is written.
func terminal() bool {
	given := func(id uint32) bool {
		h, err := windows.GetStdHandle(id)
		if err != nil || h == 0 || h == windows.InvalidHandle {
			return false
		}
		kind, err := windows.GetFileType(h)
		return err == nil && kind != windows.FILE_TYPE_UNKNOWN
	}
	in, out, errOut := given(windows.STD_INPUT_HANDLE), given(windows.STD_OUTPUT_HANDLE), given(windows.STD_ERROR_HANDLE)
	if out && errOut {
		return true
	}
	if r, _, _ := procAttachConsole.Call(uintptr(^uint32(0))); r == 0 { // ATTACH_PARENT_PROCESS
		return out || errOut
	}
	open := func(name string, std **os.File, id uint32) {
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			return // the terminal is gone: nobody reads
		}
		*std = f
		_ = windows.SetStdHandle(id, windows.Handle(f.Fd())) // for what is started from here
	}
	if !out {
		open("CONOUT$", &os.Stdout, windows.STD_OUTPUT_HANDLE)
	}
	if !errOut {
		open("CONOUT$", &os.Stderr, windows.STD_ERROR_HANDLE)
	}
	if !in {
		open("CONIN$", &os.Stdin, windows.STD_INPUT_HANDLE)
	}
	return true
}

// alert says err in a small window, for who started the program by a click and
// would see nothing at all.
func alert(err error) {
	if readable {
		return
	}
	f := fault.Of(err)
	_ = consent.Alert(f.Message + "\n\n" + f.Hint) // nothing is left to say it with
}
