package consent

import (
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/windows"
)

// openFile is OPENFILENAMEW.
type openFile struct {
	size                        uint32
	owner                       hwnd
	instance                    uintptr
	filter, custom              *uint16
	customLen, filterIndex      uint32
	file                        *uint16
	fileLen                     uint32
	fileTitle                   *uint16
	titleLen                    uint32
	dir, title                  *uint16
	flags                       uint32
	fileOffset, extensionOffset uint16
	ext                         *uint16
	data, hook                  uintptr
	template                    *uint16
	reserved                    uintptr
	reserved2, flagsEx          uint32
}

// save asks where the receipt goes. The system's dialog has the thread while
// it is open; what others ask of the loop is done all the same, because it
// comes to a window of its own.
func (v *winView) save() {
	if v.saving {
		return
	}
	v.saving = true
	defer func() { v.saving = false }()
	def := ReceiptPath(v.p.w.Lang)
	name := make([]uint16, 4096)
	if s, err := windows.UTF16FromString(filepath.Base(def)); err == nil {
		copy(name, s)
	}
	filter := append(windows.StringToUTF16("HTML"), append(windows.StringToUTF16("*.html"), 0)...)
	o := openFile{
		owner: v.win, filter: &filter[0], file: &name[0], fileLen: uint32(len(name)), dir: wide(filepath.Dir(def)), title: wide(v.p.w.SaveTitle),
		flags: 0x2 | 0x4 | 0x8 | 0x800 | 0x80000, // ask before overwriting, no "read only", keep the folder, path exists, Explorer's
		ext:   wide("html"),
	}
	o.size = uint32(unsafe.Sizeof(o))
	ok := call(procSaveName, uintptr(unsafe.Pointer(&o)))
	if ok == 0 {
		return // the customer thought better of it, or endSave closed it
	}
	v.p.press("save-receipt", input{Path: windows.UTF16ToString(name)})
	v.render()
}

// endSave closes the dialog, so that the thread comes back.
func (v *winView) endSave() {
	if !v.saving {
		return
	}
	if d := hwnd(call(procGetWindow, uintptr(v.win), 6)); d != 0 && d != v.win { // GW_ENABLEDPOPUP
		call(procPostMessage, uintptr(d), wmClose, 0, 0)
	}
}
