package screen

import (
	"errors"
	"image"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Loaded from the system's folder alone.
var (
	user32   = windows.NewLazySystemDLL("user32.dll")
	gdi32    = windows.NewLazySystemDLL("gdi32.dll")
	shcore   = windows.NewLazySystemDLL("shcore.dll")
	dxgiDLL  = windows.NewLazySystemDLL("dxgi.dll")
	d3d11DLL = windows.NewLazySystemDLL("d3d11.dll")

	procEnumMonitors  = user32.NewProc("EnumDisplayMonitors")
	procMonitorInfo   = user32.NewProc("GetMonitorInfoW")
	procDpiForMonitor = shcore.NewProc("GetDpiForMonitor")
	procGetDC         = user32.NewProc("GetDC")
	procReleaseDC     = user32.NewProc("ReleaseDC")
	procCursorInfo    = user32.NewProc("GetCursorInfo")
	procLoadCursor    = user32.NewProc("LoadCursorW")
	procIconInfo      = user32.NewProc("GetIconInfo")
	procCursorPos     = user32.NewProc("GetCursorPos")
	procLastInput     = user32.NewProc("GetLastInputInfo")
	procOpenDesktop   = user32.NewProc("OpenInputDesktop")
	procSetDesktop    = user32.NewProc("SetThreadDesktop")
	procCloseDesktop  = user32.NewProc("CloseDesktop")
	procObjectInfo    = user32.NewProc("GetUserObjectInformationW")
	procCompatibleDC  = gdi32.NewProc("CreateCompatibleDC")
	procDIBSection    = gdi32.NewProc("CreateDIBSection")
	procSelect        = gdi32.NewProc("SelectObject")
	procDeleteObject  = gdi32.NewProc("DeleteObject")
	procDeleteDC      = gdi32.NewProc("DeleteDC")
	procBitBlt        = gdi32.NewProc("BitBlt")
	procGdiFlush      = gdi32.NewProc("GdiFlush")
	procGetDIBits     = gdi32.NewProc("GetDIBits")
	procGetObject     = gdi32.NewProc("GetObjectW")
	procDXGIFactory1  = dxgiDLL.NewProc("CreateDXGIFactory1")
	procD3D11Device   = d3d11DLL.NewProc("D3D11CreateDevice")
)

// From wingdi.h and winuser.h.
const (
	srcCopy        = 0x00cc0020
	monitorPrimary = 1
	cursorShowing  = 1
	desktopRights  = 0x01ff // what capture and input need, DESKTOP_READOBJECTS to DESKTOP_SWITCHDESKTOP
	objectName     = 2      // UOI_NAME
	idcArrow       = 32512
	dpiEffective   = 0 // MDT_EFFECTIVE_DPI
)

type rect32 struct{ Left, Top, Right, Bottom int32 }

func (r rect32) image() image.Rectangle {
	return image.Rect(int(r.Left), int(r.Top), int(r.Right), int(r.Bottom))
}

type monitorInfo struct {
	size    uint32
	monitor rect32
	work    rect32
	flags   uint32
	device  [32]uint16
}

// bitmapHeader is BITMAPINFOHEADER with room for the masks that GetDIBits may
// write behind it.
type bitmapHeader struct {
	size          uint32
	width, height int32
	planes, bits  uint16
	compression   uint32
	sizeImage     uint32
	xPels, yPels  int32
	used, urgent  uint32
	_             [3]uint32
}

// topDown describes 32 bits a pixel, the first row first.
func topDown(w, h int) bitmapHeader {
	return bitmapHeader{size: 40, width: int32(w), height: -int32(h), planes: 1, bits: 32}
}

// desktop is the desktop that takes input as one OS thread sees it: the user's,
// or that of a question for an administrator, the lock or the sign-in screen.
// The zero value is the one the thread began with.
type desktop struct {
	handle uintptr
	name   string
}

// errProtected says that the desktop that takes input is not for this process.
var errProtected = errors.New("screen: a protected desktop")

// follow puts the thread on the desktop that takes input now and reports
// whether it is another one than before. It fails with errProtected where that
// desktop is not for this process: only SYSTEM may see those.
func (d *desktop) follow() (moved bool, err error) {
	h, _, err := procOpenDesktop.Call(0, 0, desktopRights)
	if h == 0 {
		return false, errors.Join(errProtected, err)
	}
	name := objectNameOf(h)
	if d.handle != 0 && name == d.name {
		procCloseDesktop.Call(h)
		return false, nil
	}
	if ok, _, err := procSetDesktop.Call(h); ok == 0 {
		procCloseDesktop.Call(h)
		// A thread with a window cannot move. This one has none; where it
		// already is on that desktop nothing is lost.
		return false, err
	}
	first := d.handle == 0
	if !first {
		procCloseDesktop.Call(d.handle)
	}
	d.handle, d.name = h, name
	return !first, nil
}

func objectNameOf(h uintptr) string {
	var name [256]uint16
	var n uint32
	if ok, _, _ := procObjectInfo.Call(h, objectName, uintptr(unsafe.Pointer(&name[0])), unsafe.Sizeof(name), uintptr(unsafe.Pointer(&n))); ok == 0 {
		return ""
	}
	return windows.UTF16ToString(name[:])
}
