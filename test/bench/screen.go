package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// screen is an Xvfb's frame buffer, mapped: an XWD file, version 7, 32 bits a
// pixel, big-endian header (X11/XWDFile.h).
type screen struct {
	pix    []byte
	stride int
	w, h   int
	whole  []byte
}

func openScreen(path string) (*screen, error) {
	f, err := os.Open(path)
	for end := time.Now().Add(5 * time.Second); err != nil && time.Now().Before(end); f, err = os.Open(path) {
		time.Sleep(20 * time.Millisecond) // the server tells its number before it has made the file
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	b, err := unix.Mmap(int(f.Fd()), 0, int(st.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	field := func(i int) int { return int(binary.BigEndian.Uint32(b[4*i:])) }
	s := &screen{whole: b, w: field(4), h: field(5), stride: field(12)}
	if field(1) != 7 || field(11) != 32 {
		return nil, fmt.Errorf("%s: version %d, %d bits a pixel", path, field(1), field(11))
	}
	off := field(0) + 12*field(19)
	if off+s.stride*s.h > len(b) {
		return nil, fmt.Errorf("%s: shorter than its header says", path)
	}
	s.pix = b[off : off+s.stride*s.h]
	return s, nil
}

func (s *screen) close() { _ = unix.Munmap(s.whole) }

// light is the brightness of a pixel, 0..255, 0 outside.
func (s *screen) light(x, y int) int {
	if x < 0 || y < 0 || x >= s.w || y >= s.h {
		return 0
	}
	p := s.pix[y*s.stride+4*x:]
	return (114*int(p[0]) + 587*int(p[1]) + 299*int(p[2])) / 1000
}

// sum is a coarse hash of the whole picture.
func (s *screen) sum() (h uint64) {
	for y := 0; y < s.h; y += 7 {
		for x := 0; x < s.w; x += 7 {
			h = h*1099511628211 + uint64(s.light(x, y)>>2)
		}
	}
	return h
}
