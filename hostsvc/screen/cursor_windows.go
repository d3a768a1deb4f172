package screen

import (
	"errors"
	"fmt"
	"image"
	"unsafe"

	"daypass/backend/fault"

	"golang.org/x/sys/windows"
)

// cursorState is CURSORINFO.
type cursorState struct {
	size, flags uint32
	cursor      uintptr
	x, y        int32
}

// handle is the shape that is shown, 0 for none.
func (c *cursorState) handle() uintptr {
	if c.flags&cursorShowing == 0 {
		return 0
	}
	return c.cursor
}

func cursorInfo() (cursorState, error) {
	in := cursorState{size: uint32(unsafe.Sizeof(cursorState{}))}
	if ok, _, err := procCursorInfo.Call(uintptr(unsafe.Pointer(&in))); ok == 0 {
		return in, err
	}
	return in, nil
}

// readCursor returns the shape that is shown now.
func readCursor() (Cursor, error) {
	unknown := func(err error) (Cursor, error) {
		return Cursor{}, fault.Wrap(err, fault.Unsupported, "screen.cursor", "The shape of the remote pointer is not known.", "")
	}
	in, err := cursorInfo()
	if err != nil {
		return unknown(err)
	}
	if in.handle() == 0 {
		return Cursor{}, nil
	}
	var icon struct {
		isIcon      int32
		hotX, hotY  uint32
		mask, color uintptr
	}
	ok, _, err := procIconInfo.Call(in.cursor, uintptr(unsafe.Pointer(&icon)))
	if ok == 0 && errors.Is(err, windows.ERROR_INVALID_CURSOR_HANDLE) {
		// Gone since, or, in Wine, another program's: the ordinary arrow.
		arrow, _, _ := procLoadCursor.Call(0, idcArrow)
		ok, _, err = procIconInfo.Call(arrow, uintptr(unsafe.Pointer(&icon)))
	}
	if ok == 0 {
		return unknown(err)
	}
	defer func() {
		for _, h := range []uintptr{icon.mask, icon.color} {
			if h != 0 {
				procDeleteObject.Call(h)
			}
		}
	}()
	mask, mw, mh, err := bitmapPixels(icon.mask)
	if err != nil {
		return unknown(err)
	}
	var c Cursor
	if icon.color == 0 { // the two masks, one above the other
		c = maskCursor(mask, mw, mh/2)
	} else {
		color, w, h, err := bitmapPixels(icon.color)
		if err != nil {
			return unknown(err)
		}
		c = colorCursor(color, mask, w, h, mw, mh)
	}
	c.Hot = image.Pt(min(int(icon.hotX), max(c.Size.X-1, 0)), min(int(icon.hotY), max(c.Size.Y-1, 0)))
	return c, nil
}

// bitmapPixels reads a bitmap as 0xAARRGGBB.
func bitmapPixels(h uintptr) (pix []uint32, w, height int, err error) {
	var b struct {
		kind, w, h, stride int32
		planes, bits       uint16
		data               uintptr
	}
	if n, _, err := procGetObject.Call(h, unsafe.Sizeof(b), uintptr(unsafe.Pointer(&b))); n == 0 {
		return nil, 0, 0, fmt.Errorf("GetObject: %w", err)
	}
	if b.w < 1 || b.h < 1 || b.w > 1024 || b.h > 2048 {
		return nil, 0, 0, fmt.Errorf("a cursor of %d x %d", b.w, b.h)
	}
	pix = make([]uint32, int(b.w)*int(b.h))
	dc, _, err := procGetDC.Call(0)
	if dc == 0 {
		return nil, 0, 0, fmt.Errorf("GetDC: %w", err)
	}
	defer procReleaseDC.Call(0, dc)
	head := topDown(int(b.w), int(b.h))
	if n, _, err := procGetDIBits.Call(dc, h, 0, uintptr(b.h), uintptr(unsafe.Pointer(&pix[0])), uintptr(unsafe.Pointer(&head)), 0); n == 0 {
		return nil, 0, 0, fmt.Errorf("GetDIBits: %w", err)
	}
	return pix, int(b.w), int(b.h), nil
}
