package consent

import (
	"image"
	"unsafe"

	"golang.org/x/sys/windows"
)

// hwnd is a window of Windows; 0 is none.
type hwnd uintptr

var (
	user32   = windows.NewLazySystemDLL("user32.dll")
	gdi32    = windows.NewLazySystemDLL("gdi32.dll")
	comctl32 = windows.NewLazySystemDLL("comctl32.dll")
	comdlg32 = windows.NewLazySystemDLL("comdlg32.dll")
	dwmapi   = windows.NewLazySystemDLL("dwmapi.dll")
	uxtheme  = windows.NewLazySystemDLL("uxtheme.dll")
	shcore   = windows.NewLazySystemDLL("shcore.dll")

	procRegisterClass      = user32.NewProc("RegisterClassExW")
	procCreateWindow       = user32.NewProc("CreateWindowExW")
	procDestroyWindow      = user32.NewProc("DestroyWindow")
	procDefWindowProc      = user32.NewProc("DefWindowProcW")
	procCallWindowProc     = user32.NewProc("CallWindowProcW")
	procSetWindowLong      = user32.NewProc("SetWindowLongPtrW")
	procGetWindowLong      = user32.NewProc("GetWindowLongPtrW")
	procGetMessage         = user32.NewProc("GetMessageW")
	procTranslateMessage   = user32.NewProc("TranslateMessage")
	procDispatchMessage    = user32.NewProc("DispatchMessageW")
	procIsDialogMessage    = user32.NewProc("IsDialogMessageW")
	procPostMessage        = user32.NewProc("PostMessageW")
	procSendMessage        = user32.NewProc("SendMessageW")
	procPostQuit           = user32.NewProc("PostQuitMessage")
	procShowWindow         = user32.NewProc("ShowWindow")
	procSetWindowPos       = user32.NewProc("SetWindowPos")
	procSetWindowText      = user32.NewProc("SetWindowTextW")
	procGetWindowText      = user32.NewProc("GetWindowTextW")
	procTextLength         = user32.NewProc("GetWindowTextLengthW")
	procGetWindowRect      = user32.NewProc("GetWindowRect")
	procGetClientRect      = user32.NewProc("GetClientRect")
	procScreenToClient     = user32.NewProc("ScreenToClient")
	procInvalidate         = user32.NewProc("InvalidateRect")
	procBeginPaint         = user32.NewProc("BeginPaint")
	procEndPaint           = user32.NewProc("EndPaint")
	procSetFocus           = user32.NewProc("SetFocus")
	procGetFocus           = user32.NewProc("GetFocus")
	procSetForeground      = user32.NewProc("SetForegroundWindow")
	procGetForeground      = user32.NewProc("GetForegroundWindow")
	procFlashWindow        = user32.NewProc("FlashWindow")
	procIsIconic           = user32.NewProc("IsIconic")
	procIsVisible          = user32.NewProc("IsWindowVisible")
	procIsChild            = user32.NewProc("IsChild")
	procSetTimer           = user32.NewProc("SetTimer")
	procRedraw             = user32.NewProc("RedrawWindow")
	procKillTimer          = user32.NewProc("KillTimer")
	procSetCapture         = user32.NewProc("SetCapture")
	procReleaseCapture     = user32.NewProc("ReleaseCapture")
	procGetCapture         = user32.NewProc("GetCapture")
	procTrackMouse         = user32.NewProc("TrackMouseEvent")
	procLoadCursor         = user32.NewProc("LoadCursorW")
	procLoadImage          = user32.NewProc("LoadImageW")
	procAdjustRect         = user32.NewProc("AdjustWindowRectExForDpi")
	procAdjustRectOld      = user32.NewProc("AdjustWindowRectEx")
	procDpiForWindow       = user32.NewProc("GetDpiForWindow")
	procThreadDpi          = user32.NewProc("SetThreadDpiAwarenessContext")
	procSystemParameters   = user32.NewProc("SystemParametersInfoW")
	procMonitorFromWindow  = user32.NewProc("MonitorFromWindow")
	procMonitorInfo        = user32.NewProc("GetMonitorInfoW")
	procEnumMonitors       = user32.NewProc("EnumDisplayMonitors")
	procSysColor           = user32.NewProc("GetSysColor")
	procSetScrollInfo      = user32.NewProc("SetScrollInfo")
	procGetScrollInfo      = user32.NewProc("GetScrollInfo")
	procScrollWindow       = user32.NewProc("ScrollWindowEx")
	procMessageSource      = user32.NewProc("GetCurrentInputMessageSource")
	procMessageExtra       = user32.NewProc("GetMessageExtraInfo")
	procRegisterHotKey     = user32.NewProc("RegisterHotKey")
	procUnregisterHotKey   = user32.NewProc("UnregisterHotKey")
	procWindowFromPoint    = user32.NewProc("WindowFromPoint")
	procGetDC              = user32.NewProc("GetDC")
	procReleaseDC          = user32.NewProc("ReleaseDC")
	procDrawText           = user32.NewProc("DrawTextW")
	procNotifyEvent        = user32.NewProc("NotifyWinEvent")
	procKeyState           = user32.NewProc("GetKeyState")
	procGetWindow          = user32.NewProc("GetWindow")
	procAncestor           = user32.NewProc("GetAncestor")
	procCreateCompatibleDC = gdi32.NewProc("CreateCompatibleDC")
	procCompatibleBitmap   = gdi32.NewProc("CreateCompatibleBitmap")
	procDeleteDC           = gdi32.NewProc("DeleteDC")
	procSelectObject       = gdi32.NewProc("SelectObject")
	procDeleteObject       = gdi32.NewProc("DeleteObject")
	procCreateFont         = gdi32.NewProc("CreateFontIndirectW")
	procCreateBrush        = gdi32.NewProc("CreateSolidBrush")
	procSetTextColor       = gdi32.NewProc("SetTextColor")
	procSetBkColor         = gdi32.NewProc("SetBkColor")
	procSetBkMode          = gdi32.NewProc("SetBkMode")
	procBitsToDevice       = gdi32.NewProc("SetDIBitsToDevice")
	procBitBlt             = gdi32.NewProc("BitBlt")
	procDeviceCaps         = gdi32.NewProc("GetDeviceCaps")
	procInitControls       = comctl32.NewProc("InitCommonControlsEx")
	procSaveName           = comdlg32.NewProc("GetSaveFileNameW")
	procDwmAttribute       = dwmapi.NewProc("DwmSetWindowAttribute")
	procWindowTheme        = uxtheme.NewProc("SetWindowTheme")
	procMonitorDpi         = shcore.NewProc("GetDpiForMonitor")
)

// From winuser.h, commctrl.h and wingdi.h.
const (
	wmDestroy       = 0x0002
	wmSize          = 0x0005
	wmActivate      = 0x0006
	wmSetFocus      = 0x0007
	wmKillFocus     = 0x0008
	wmPaint         = 0x000f
	wmClose         = 0x0010
	wmEraseBkgnd    = 0x0014
	wmSysColor      = 0x0015
	wmSettingChange = 0x001a
	wmMouseActivate = 0x0021
	wmDrawItem      = 0x002b
	wmMeasureItem   = 0x002c
	wmSetFont       = 0x0030
	wmGetDlgCode    = 0x0087
	wmNcDestroy     = 0x0082
	wmNcLButtonDown = 0x00a1
	wmNcMButtonDbl  = 0x00a9
	wmKeyDown       = 0x0100
	wmSysKeyDown    = 0x0104
	wmCommand       = 0x0111
	wmTimer         = 0x0113
	wmVScroll       = 0x0115
	wmUIState       = 0x0128
	wmQueryUIState  = 0x0129
	wmCtlEdit       = 0x0133
	wmCtlListBox    = 0x0134
	wmCtlStatic     = 0x0138
	wmMouseMove     = 0x0200
	wmLButtonDown   = 0x0201
	wmLButtonUp     = 0x0202
	wmMouseWheel    = 0x020a
	wmXButtonDbl    = 0x020d
	wmPointerDown   = 0x0246
	wmTouch         = 0x0240
	wmCaptureLost   = 0x0215
	wmMouseLeave    = 0x02a3
	wmDpiChanged    = 0x02e0
	wmHotKey        = 0x0312
	wmThemeChanged  = 0x031a
	wmDisplayChange = 0x007e
	wmWork          = 0x8001 // our own: something is in loop.queue

	bmClick, bmGetCheck, bmSetCheck, bmGetState = 0xf5, 0xf0, 0xf1, 0xf2
	bnClicked                                   = 0
	enSetFocus, enKillFocus, enChange           = 0x100, 0x200, 0x300
	emSetSel, emLimitText, emSetMargins         = 0xb1, 0xc5, 0xd3
	emCueBanner                                 = 0x1501
	lbAddString, lbResetContent                 = 0x180, 0x184
	pbmSetRange, pbmSetPos                      = 0x406, 0x402

	wsChild, wsVisible, wsClip, wsTab, wsPopup = 0x40000000, 0x10000000, 0x02000000, 0x00010000, 0x80000000
	wsCaption, wsSysMenu, wsMinimize, wsScroll = 0x00c00000, 0x00080000, 0x00020000, 0x00200000
	wsClipSiblings                             = 0x04000000
	wsExControlParent, wsExTopmost             = 0x00010000, 0x00000008
	wsExTool, wsExNoActivate                   = 0x00000080, 0x08000000
	bsAutoCheck                                = 3
	ssNoPrefix, ssEditControl                  = 0x80, 0x2000
	esMulti, esAutoH, esReadOnly, esCenter     = 4, 0x80, 0x800, 1
	lbsNotify, lbsVariable, lbsStrings         = 1, 0x20, 0x40
	lbsNoIntegral                              = 0x100

	swHide, swShow, swRestore, swShowNoActivate = 0, 5, 9, 8
	swpNoSize, swpNoMove, swpNoZ, swpNoActivate = 1, 2, 4, 0x10
	gwlProc                                     = -4
	dtWrap, dtCalc, dtNoPrefix, dtEdit          = 0x10, 0x400, 0x800, 0x2000
	dtVCenter, dtSingle, dtCenter, dtEllipsis   = 4, 0x20, 1, 0x8000
	dtHidePrefix, dtRight                       = 0x100000, 2
	gaRoot                                      = 2
	vkTab, vkReturn, vkEscape, vkPrior, vkNext  = 9, 13, 27, 33, 34
	vkBack, vkHome, vkF6                        = 8, 36, 0x75
	objidClient                                 = 0xfffffffc
)

type msg struct {
	window  hwnd
	message uint32
	w, l    uintptr
	time    uint32
	x, y    int32
}

type rect struct{ left, top, right, bottom int32 }

func (r rect) image() image.Rectangle {
	return image.Rect(int(r.left), int(r.top), int(r.right), int(r.bottom))
}

type paintStruct struct {
	dc                 uintptr
	erase              int32
	paint              rect
	restore, incUpdate int32
	reserved           [32]byte
}

type wndClass struct {
	size, style         uint32
	proc                uintptr
	clsExtra, wndExtra  int32
	instance            uintptr
	icon, cursor, brush uintptr
	menuName, name      *uint16
	smallIcon           uintptr
}

type logFont struct {
	height, width, escapement, orientation, weight int32
	italic, underline, strike, charset             byte
	outPrecision, clip, quality, pitch             byte
	face                                           [32]uint16
}

type monitorInfo struct {
	size          uint32
	monitor, work rect
	flags         uint32
}

type scrollInfo struct {
	size, mask    uint32
	min, max      int32
	page          uint32
	pos, trackPos int32
}

type bitmapInfo struct {
	size                 uint32
	width, height        int32
	planes, bits         uint16
	compression, image   uint32
	xPer, yPer           int32
	used, important, rgb uint32
}

type drawItem struct {
	kind, id, item, action, state uint32
	window                        hwnd
	dc                            uintptr
	r                             rect
	data                          uintptr
}

type measureItem struct {
	kind, id, item, width, height uint32
	data                          uintptr
}

// call calls p, which may be missing on old systems: then it returns 0.
// Pointers may be converted to uintptr in its arguments, as for LazyProc.Call.
//
//go:uintptrescapes
func call(p *windows.LazyProc, a ...uintptr) uintptr {
	if p.Find() != nil {
		return 0
	}
	r, _, _ := p.Call(a...)
	return r
}

// at is what a message's parameter points to. The system keeps it for the time
// of the message.
func at[T any](p *uintptr) *T { return *(**T)(unsafe.Pointer(p)) }

func wide(s string) *uint16 {
	p, err := windows.UTF16PtrFromString(s)
	if err != nil { // a zero inside: nothing that may be shown
		p = new(uint16)
	}
	return p
}

//
//go:uintptrescapes
func (h hwnd) send(m uint32, w, l uintptr) uintptr {
	return call(procSendMessage, uintptr(h), uintptr(m), w, l)
}

func (h hwnd) text() string {
	n := int(call(procTextLength, uintptr(h)))
	b := make([]uint16, n+1)
	call(procGetWindowText, uintptr(h), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	return windows.UTF16ToString(b)
}

// setText changes what is shown only when it differs: each change is painted
// and told to screen readers.
func (h hwnd) setText(s string) {
	if h.text() != s {
		call(procSetWindowText, uintptr(h), uintptr(unsafe.Pointer(wide(s))))
	}
}

// bounds is where h is on the screen, with its frame.
func (h hwnd) bounds() image.Rectangle {
	var r rect
	call(procGetWindowRect, uintptr(h), uintptr(unsafe.Pointer(&r)))
	return r.image()
}

func (h hwnd) client() image.Point {
	var r rect
	call(procGetClientRect, uintptr(h), uintptr(unsafe.Pointer(&r)))
	return image.Pt(int(r.right), int(r.bottom))
}

func (h hwnd) visible() bool { return call(procIsVisible, uintptr(h)) != 0 }
func (h hwnd) focus()        { call(procSetFocus, uintptr(h)) }
func (h hwnd) invalidate()   { call(procInvalidate, uintptr(h), 0, 0) }

func focused() hwnd { return hwnd(call(procGetFocus)) }

// place moves h without touching its order or the focus.
func (h hwnd) place(r image.Rectangle) {
	call(procSetWindowPos, uintptr(h), 0, uintptr(r.Min.X), uintptr(r.Min.Y), uintptr(r.Dx()), uintptr(r.Dy()), swpNoZ|swpNoActivate)
}

func low(v uintptr) int  { return int(int16(v)) }
func high(v uintptr) int { return int(int16(v >> 16)) }
