package screen

import (
	"errors"
	"fmt"
	"image"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// duplication reads a display by DXGI Desktop Duplication: the system says which
// areas changed and moved, and nothing is read while nothing does.
// https://learn.microsoft.com/windows/win32/direct3ddxgi/desktop-dup-api
type duplication struct {
	device, context, out, stage *com
	mapped                      image.Point // size of the texture, which the display's rotation turns
	turn                        int         // DXGI_MODE_ROTATION
	held                        bool        // a frame is acquired
	first                       bool
	moves                       []moveRect
	dirty                       []rect32
}

// com is a COM object: a pointer to the table of its methods.
type com struct{ methods *[64]uintptr }

func (o *com) call(method int, args ...uintptr) hresult {
	r, _, _ := syscall.SyscallN(o.methods[method], append([]uintptr{uintptr(unsafe.Pointer(o))}, args...)...)
	return hresult(uint32(r))
}

func (o *com) release() {
	if o != nil {
		o.call(2)
	}
}

// query asks for another interface of the object.
func (o *com) query(id *windows.GUID) (*com, error) {
	var to *com
	if hr := o.call(0, uintptr(unsafe.Pointer(id)), uintptr(unsafe.Pointer(&to))); hr.failed() {
		return nil, hr
	}
	return to, nil
}

type hresult uint32

func (h hresult) failed() bool  { return h>>31 != 0 }
func (h hresult) Error() string { return fmt.Sprintf("HRESULT %08x", uint32(h)) }

// From dxgi.h, dxgi1_2.h, d3d11.h and winerror.h.
const (
	dxgiWaitTimeout   hresult = 0x887a0027
	dxgiAccessLost    hresult = 0x887a0026
	dxgiDeviceRemoved hresult = 0x887a0005
	dxgiDeviceReset   hresult = 0x887a0007
	dxgiMoreData      hresult = 0x887a0003

	factoryEnumAdapters1 = 12
	adapterEnumOutputs   = 7
	outputGetDesc        = 7
	output1Duplicate     = 22
	dupGetDesc           = 7
	dupAcquire           = 8
	dupDirty             = 9
	dupMoves             = 10
	dupRelease           = 14
	deviceTexture2D      = 5
	contextMap           = 14
	contextUnmap         = 15
	contextCopyRegion    = 46

	driverUnknown = 0
	d3dSDK        = 7
	bgra8         = 87 // DXGI_FORMAT_B8G8R8A8_UNORM
	usageStaging  = 3
	cpuRead       = 0x20000
	mapRead       = 1
)

var (
	iidFactory1  = windows.GUID{Data1: 0x770aae78, Data2: 0xf26f, Data3: 0x4dba, Data4: [8]byte{0xa8, 0x29, 0x25, 0x3c, 0x83, 0xd1, 0xb3, 0x87}}
	iidOutput1   = windows.GUID{Data1: 0x00cddea8, Data2: 0x939b, Data3: 0x4b83, Data4: [8]byte{0xa3, 0x40, 0xa6, 0x85, 0x22, 0x66, 0x66, 0xcc}}
	iidTexture2D = windows.GUID{Data1: 0x6f15aaf2, Data2: 0xd208, Data3: 0x4e89, Data4: [8]byte{0x9a, 0xb4, 0x48, 0x95, 0x35, 0xd3, 0x4f, 0x9c}}
)

type outputDesc struct {
	device   [32]uint16
	at       rect32
	attached int32
	rotation uint32
	monitor  uintptr
}

type dupDesc struct {
	width, height         uint32
	rate                  [2]uint32
	format, scan, scaling uint32
	rotation              uint32
	inMemory              int32
}

type frameInfo struct {
	presented, mouse      int64
	frames                uint32
	coalesced, masked     int32
	pointerX, pointerY    int32
	pointerShown          int32
	metadata, shapeLength uint32
}

type moveRect struct {
	fromX, fromY int32
	to           rect32
}

type textureDesc struct {
	width, height, mips, array, format uint32
	samples, quality                   uint32
	usage, bind, cpu, misc             uint32
}

type mapping struct {
	data       unsafe.Pointer
	pitch, row uint32
}

type box struct{ left, top, front, right, bottom, back uint32 }

// newDuplication opens the display's duplication. It fails where the system has
// none (before Windows 8, without a driver, in Wine, in some remote sessions),
// where four programs have one already, and on a desktop that is not this
// thread's.
func newDuplication(of Display) (*duplication, error) {
	if err := errors.Join(procDXGIFactory1.Find(), procD3D11Device.Find()); err != nil {
		return nil, err
	}
	var factory *com
	if r, _, _ := procDXGIFactory1.Call(uintptr(unsafe.Pointer(&iidFactory1)), uintptr(unsafe.Pointer(&factory))); hresult(r).failed() {
		return nil, fmt.Errorf("CreateDXGIFactory1: %w", hresult(r))
	}
	defer factory.release()
	for a := uintptr(0); ; a++ {
		var adapter *com
		if hr := factory.call(factoryEnumAdapters1, a, uintptr(unsafe.Pointer(&adapter))); hr.failed() {
			return nil, fmt.Errorf("no graphics adapter shows %s", of.Name)
		}
		d, err := onAdapter(adapter, of)
		adapter.release()
		if d != nil || err != nil {
			return d, err
		}
	}
}

// onAdapter returns nil and no error where the adapter does not show the display.
func onAdapter(adapter *com, of Display) (*duplication, error) {
	for n := uintptr(0); ; n++ {
		var output *com
		if hr := adapter.call(adapterEnumOutputs, n, uintptr(unsafe.Pointer(&output))); hr.failed() {
			return nil, nil
		}
		var desc outputDesc
		hr := output.call(outputGetDesc, uintptr(unsafe.Pointer(&desc)))
		if hr.failed() || windows.UTF16ToString(desc.device[:]) != of.Name {
			output.release()
			continue
		}
		d, err := duplicate(adapter, output, of)
		output.release()
		return d, err
	}
}

func duplicate(adapter, output *com, of Display) (_ *duplication, err error) {
	d := &duplication{first: true}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	if r, _, _ := procD3D11Device.Call(uintptr(unsafe.Pointer(adapter)), driverUnknown, 0, 0, 0, 0, d3dSDK,
		uintptr(unsafe.Pointer(&d.device)), 0, uintptr(unsafe.Pointer(&d.context))); hresult(r).failed() {
		return nil, fmt.Errorf("D3D11CreateDevice: %w", hresult(r))
	}
	one, err := output.query(&iidOutput1)
	if err != nil {
		return nil, fmt.Errorf("IDXGIOutput1: %w", err)
	}
	defer one.release()
	if hr := one.call(output1Duplicate, uintptr(unsafe.Pointer(d.device)), uintptr(unsafe.Pointer(&d.out))); hr.failed() {
		return nil, fmt.Errorf("DuplicateOutput: %w", hr)
	}
	var desc dupDesc
	d.out.call(dupGetDesc, uintptr(unsafe.Pointer(&desc))) // has no result
	d.mapped, d.turn = image.Pt(int(desc.width), int(desc.height)), int(desc.rotation)
	size := of.Bounds.Size()
	if d.turn == turned90 || d.turn == turned270 {
		size.X, size.Y = size.Y, size.X
	}
	if desc.format != bgra8 || d.mapped != size {
		return nil, fmt.Errorf("a desktop of %v in format %d, where the display has %v", d.mapped, desc.format, of.Bounds.Size())
	}
	stage := textureDesc{width: desc.width, height: desc.height, mips: 1, array: 1, format: bgra8, samples: 1, usage: usageStaging, cpu: cpuRead}
	if hr := d.device.call(deviceTexture2D, uintptr(unsafe.Pointer(&stage)), 0, uintptr(unsafe.Pointer(&d.stage))); hr.failed() {
		return nil, fmt.Errorf("CreateTexture2D: %w", hr)
	}
	return d, nil
}

func (d *duplication) name() string { return "duplication" }

func (d *duplication) close() {
	if d.held {
		d.out.call(dupRelease)
	}
	for _, o := range []**com{&d.stage, &d.out, &d.context, &d.device} {
		(*o).release()
		*o = nil
	}
	d.held = false
}

// ended tells a duplication that has to be made anew from a failure.
func ended(op string, hr hresult) error {
	switch hr {
	case dxgiAccessLost, dxgiDeviceRemoved, dxgiDeviceReset:
		return fmt.Errorf("%s: %w: %w", op, errLost, hr)
	}
	return fmt.Errorf("%s: %w", op, hr)
}

func (d *duplication) next(frame *Frame, wait time.Duration) ([]image.Rectangle, error) {
	// The frame is kept until the next is asked for, so that the system need
	// not gather changes twice.
	if d.held {
		d.held = false
		if hr := d.out.call(dupRelease); hr.failed() {
			return nil, ended("ReleaseFrame", hr)
		}
	}
	var info frameInfo
	var resource *com
	hr := d.out.call(dupAcquire, uintptr(max(wait.Milliseconds(), 1)), uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&resource)))
	if hr == dxgiWaitTimeout {
		return nil, nil
	}
	if hr.failed() {
		return nil, ended("AcquireNextFrame", hr)
	}
	d.held = true
	defer resource.release()
	if info.presented == 0 && !d.first {
		return nil, nil // the pointer alone
	}
	areas, err := d.areas(&info)
	if err != nil || len(areas) == 0 {
		return nil, err
	}
	texture, err := resource.query(&iidTexture2D)
	if err != nil {
		return nil, fmt.Errorf("ID3D11Texture2D: %w", err)
	}
	defer texture.release()
	for _, r := range areas {
		b := box{uint32(r.Min.X), uint32(r.Min.Y), 0, uint32(r.Max.X), uint32(r.Max.Y), 1}
		d.context.call(contextCopyRegion, uintptr(unsafe.Pointer(d.stage)), 0, uintptr(r.Min.X), uintptr(r.Min.Y), 0,
			uintptr(unsafe.Pointer(texture)), 0, uintptr(unsafe.Pointer(&b)))
	}
	var m mapping
	if hr := d.context.call(contextMap, uintptr(unsafe.Pointer(d.stage)), 0, mapRead, 0, uintptr(unsafe.Pointer(&m))); hr.failed() {
		return nil, ended("Map", hr)
	}
	out := make([]image.Rectangle, 0, len(areas))
	for _, r := range areas {
		out = append(out, turnInto(frame, r, d.mapped, d.turn, func(y int) []uint32 {
			return unsafe.Slice((*uint32)(unsafe.Add(m.data, y*int(m.pitch))), d.mapped.X)
		}))
	}
	d.context.call(contextUnmap, uintptr(unsafe.Pointer(d.stage)), 0)
	d.first = false
	return out, nil
}

// areas returns what changed, in the texture's coordinates. What moved is told
// as changed: the encoder finds what was where.
func (d *duplication) areas(info *frameInfo) ([]image.Rectangle, error) {
	all := image.Rectangle{Max: d.mapped}
	if d.first || info.metadata == 0 {
		return []image.Rectangle{all}, nil
	}
	if n := int(info.metadata)/int(unsafe.Sizeof(moveRect{})) + 1; len(d.moves) < n {
		d.moves = make([]moveRect, n)
	}
	if n := int(info.metadata)/int(unsafe.Sizeof(rect32{})) + 1; len(d.dirty) < n {
		d.dirty = make([]rect32, n)
	}
	var used uint32
	hr := d.out.call(dupMoves, uintptr(len(d.moves))*unsafe.Sizeof(moveRect{}), uintptr(unsafe.Pointer(&d.moves[0])), uintptr(unsafe.Pointer(&used)))
	if hr == dxgiMoreData {
		return []image.Rectangle{all}, nil
	}
	if hr.failed() {
		return nil, ended("GetFrameMoveRects", hr)
	}
	var out []image.Rectangle
	for _, m := range d.moves[:used/uint32(unsafe.Sizeof(moveRect{}))] {
		out = Add(out, m.to.image().Intersect(all))
	}
	hr = d.out.call(dupDirty, uintptr(len(d.dirty))*unsafe.Sizeof(rect32{}), uintptr(unsafe.Pointer(&d.dirty[0])), uintptr(unsafe.Pointer(&used)))
	if hr == dxgiMoreData {
		return []image.Rectangle{all}, nil
	}
	if hr.failed() {
		return nil, ended("GetFrameDirtyRects", hr)
	}
	for _, r := range d.dirty[:used/uint32(unsafe.Sizeof(rect32{}))] {
		out = Add(out, r.image().Intersect(all))
	}
	return out, nil
}
