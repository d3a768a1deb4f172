package consent

import "image/color"

// palette is the colours of one appearance, by role. State colours are at
// least 4.5:1 on Paper and on Raised (a test computes it).
type palette struct {
	Paper, Raised, Ink, Muted, Line   color.RGBA
	Accent, OnAccent                  color.RGBA
	Active, Waiting, Quiet, Danger    color.RGBA
	OnDanger, WaitingWash, DangerWash color.RGBA
	ActiveWash, PlainWash             color.RGBA
}

func hex(v uint32) color.RGBA {
	return color.RGBA{R: uint8(v >> 16), G: uint8(v >> 8), B: uint8(v), A: 255}
}

var light = palette{
	Paper: hex(0xFAF9F6), Raised: hex(0xFFFFFF), Ink: hex(0x1A1C20), Muted: hex(0x5C616B), Line: hex(0xE4E2DC),
	Accent: hex(0x2457D6), OnAccent: hex(0xFFFFFF),
	Active: hex(0x1E7F4F), Waiting: hex(0x8F5500), Quiet: hex(0x5C616B), Danger: hex(0xB3261E), OnDanger: hex(0xFFFFFF),
	WaitingWash: hex(0xFBF2E2), DangerWash: hex(0xFBEBE9), ActiveWash: hex(0xEFF8F3), PlainWash: hex(0xF1EFEA),
}

var dark = palette{
	Paper: hex(0x15171A), Raised: hex(0x1D2024), Ink: hex(0xECEBE7), Muted: hex(0xA0A5AE), Line: hex(0x2C3036),
	Accent: hex(0x7FA2FF), OnAccent: hex(0x10131A),
	Active: hex(0x5CC48E), Waiting: hex(0xE8A94A), Quiet: hex(0xA0A5AE), Danger: hex(0xFF8A80), OnDanger: hex(0x2A0805),
	WaitingWash: hex(0x2B2416), DangerWash: hex(0x2E1C1B), ActiveWash: hex(0x172820), PlainWash: hex(0x22262B),
}

// tone is the colour of text of tone t, and the wash behind a note of it.
func (p *palette) tone(t Tone) (text, wash color.RGBA) {
	switch t {
	case Muted:
		return p.Muted, p.PlainWash
	case Good:
		return p.Active, p.ActiveWash
	case Waiting:
		return p.Waiting, p.WaitingWash
	case Quiet:
		return p.Quiet, p.PlainWash
	case Danger:
		return p.Danger, p.DangerWash
	}
	return p.Ink, p.PlainWash
}
