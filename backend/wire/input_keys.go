package wire

// KeyPlace ties the names of one key together: its place on the keyboard as
// the page calls it, as the protocol does, and as the hosts' systems do.
type KeyPlace struct {
	Usage uint16 // USB HID usage, page 7 (HID Usage Tables 1.5, section 10)
	Code  string // KeyboardEvent.code (UI Events code values)
	Evdev uint16 // Linux input event code; an X server with evdev keycodes adds 8
	Scan  uint16 // Windows scan code, set 1; 0xE0 or 0xE1 in the high byte is its prefix
}

// Keys are all keys that a host accepts, by ascending Usage. The page has the
// same table in frontend/src/lib/viewer/keys.ts, which is written from this one.
// Never modified.
var Keys = [...]KeyPlace{
	{0x04, "KeyA", 30, 0x1e},
	{0x05, "KeyB", 48, 0x30},
	{0x06, "KeyC", 46, 0x2e},
	{0x07, "KeyD", 32, 0x20},
	{0x08, "KeyE", 18, 0x12},
	{0x09, "KeyF", 33, 0x21},
	{0x0a, "KeyG", 34, 0x22},
	{0x0b, "KeyH", 35, 0x23},
	{0x0c, "KeyI", 23, 0x17},
	{0x0d, "KeyJ", 36, 0x24},
	{0x0e, "KeyK", 37, 0x25},
	{0x0f, "KeyL", 38, 0x26},
	{0x10, "KeyM", 50, 0x32},
	{0x11, "KeyN", 49, 0x31},
	{0x12, "KeyO", 24, 0x18},
	{0x13, "KeyP", 25, 0x19},
	{0x14, "KeyQ", 16, 0x10},
	{0x15, "KeyR", 19, 0x13},
	{0x16, "KeyS", 31, 0x1f},
	{0x17, "KeyT", 20, 0x14},
	{0x18, "KeyU", 22, 0x16},
	{0x19, "KeyV", 47, 0x2f},
	{0x1a, "KeyW", 17, 0x11},
	{0x1b, "KeyX", 45, 0x2d},
	{0x1c, "KeyY", 21, 0x15},
	{0x1d, "KeyZ", 44, 0x2c},
	{0x1e, "Digit1", 2, 0x02},
	{0x1f, "Digit2", 3, 0x03},
	{0x20, "Digit3", 4, 0x04},
	{0x21, "Digit4", 5, 0x05},
	{0x22, "Digit5", 6, 0x06},
	{0x23, "Digit6", 7, 0x07},
	{0x24, "Digit7", 8, 0x08},
	{0x25, "Digit8", 9, 0x09},
	{0x26, "Digit9", 10, 0x0a},
	{0x27, "Digit0", 11, 0x0b},
	{0x28, "Enter", 28, 0x1c},
	{0x29, "Escape", 1, 0x01},
	{0x2a, "Backspace", 14, 0x0e},
	{0x2b, "Tab", 15, 0x0f},
	{0x2c, "Space", 57, 0x39},
	{0x2d, "Minus", 12, 0x0c},
	{0x2e, "Equal", 13, 0x0d},
	{0x2f, "BracketLeft", 26, 0x1a},
	{0x30, "BracketRight", 27, 0x1b},
	{0x31, "Backslash", 43, 0x2b},
	{0x33, "Semicolon", 39, 0x27},
	{0x34, "Quote", 40, 0x28},
	{0x35, "Backquote", 41, 0x29},
	{0x36, "Comma", 51, 0x33},
	{0x37, "Period", 52, 0x34},
	{0x38, "Slash", 53, 0x35},
	{0x39, "CapsLock", 58, 0x3a},
	{0x3a, "F1", 59, 0x3b},
	{0x3b, "F2", 60, 0x3c},
	{0x3c, "F3", 61, 0x3d},
	{0x3d, "F4", 62, 0x3e},
	{0x3e, "F5", 63, 0x3f},
	{0x3f, "F6", 64, 0x40},
	{0x40, "F7", 65, 0x41},
	{0x41, "F8", 66, 0x42},
	{0x42, "F9", 67, 0x43},
	{0x43, "F10", 68, 0x44},
	{0x44, "F11", 87, 0x57},
	{0x45, "F12", 88, 0x58},
	{0x46, "PrintScreen", 99, 0xe037},
	{0x47, "ScrollLock", 70, 0x46},
	{0x48, "Pause", 119, 0xe11d},
	{0x49, "Insert", 110, 0xe052},
	{0x4a, "Home", 102, 0xe047},
	{0x4b, "PageUp", 104, 0xe049},
	{0x4c, "Delete", 111, 0xe053},
	{0x4d, "End", 107, 0xe04f},
	{0x4e, "PageDown", 109, 0xe051},
	{0x4f, "ArrowRight", 106, 0xe04d},
	{0x50, "ArrowLeft", 105, 0xe04b},
	{0x51, "ArrowDown", 108, 0xe050},
	{0x52, "ArrowUp", 103, 0xe048},
	{0x53, "NumLock", 69, 0xe045},
	{0x54, "NumpadDivide", 98, 0xe035},
	{0x55, "NumpadMultiply", 55, 0x37},
	{0x56, "NumpadSubtract", 74, 0x4a},
	{0x57, "NumpadAdd", 78, 0x4e},
	{0x58, "NumpadEnter", 96, 0xe01c},
	{0x59, "Numpad1", 79, 0x4f},
	{0x5a, "Numpad2", 80, 0x50},
	{0x5b, "Numpad3", 81, 0x51},
	{0x5c, "Numpad4", 75, 0x4b},
	{0x5d, "Numpad5", 76, 0x4c},
	{0x5e, "Numpad6", 77, 0x4d},
	{0x5f, "Numpad7", 71, 0x47},
	{0x60, "Numpad8", 72, 0x48},
	{0x61, "Numpad9", 73, 0x49},
	{0x62, "Numpad0", 82, 0x52},
	{0x63, "NumpadDecimal", 83, 0x53},
	{0x64, "IntlBackslash", 86, 0x56},
	{0x65, "ContextMenu", 127, 0xe05d},
	{0x67, "NumpadEqual", 117, 0x59},
	{0x68, "F13", 183, 0x64},
	{0x69, "F14", 184, 0x65},
	{0x6a, "F15", 185, 0x66},
	{0x6b, "F16", 186, 0x67},
	{0x6c, "F17", 187, 0x68},
	{0x6d, "F18", 188, 0x69},
	{0x6e, "F19", 189, 0x6a},
	{0x6f, "F20", 190, 0x6b},
	{0x70, "F21", 191, 0x6c},
	{0x71, "F22", 192, 0x6d},
	{0x72, "F23", 193, 0x6e},
	{0x73, "F24", 194, 0x76},
	{0x75, "Help", 138, 0xe03b},
	{0x7a, "Undo", 131, 0xe008},
	{0x7b, "Cut", 137, 0xe017},
	{0x7c, "Copy", 133, 0xe018},
	{0x7d, "Paste", 135, 0xe00a},
	{0x7f, "AudioVolumeMute", 113, 0xe020},
	{0x80, "AudioVolumeUp", 115, 0xe030},
	{0x81, "AudioVolumeDown", 114, 0xe02e},
	{0x85, "NumpadComma", 121, 0x7e},
	{0x87, "IntlRo", 89, 0x73},
	{0x88, "KanaMode", 93, 0x70},
	{0x89, "IntlYen", 124, 0x7d},
	{0x8a, "Convert", 92, 0x79},
	{0x8b, "NonConvert", 94, 0x7b},
	{0x90, "Lang1", 122, 0x72},
	{0x91, "Lang2", 123, 0x71},
	{0xe0, "ControlLeft", 29, 0x1d},
	{0xe1, "ShiftLeft", 42, 0x2a},
	{0xe2, "AltLeft", 56, 0x38},
	{0xe3, "MetaLeft", 125, 0xe05b},
	{0xe4, "ControlRight", 97, 0xe01d},
	{0xe5, "ShiftRight", 54, 0x36},
	{0xe6, "AltRight", 100, 0xe038},
	{0xe7, "MetaRight", 126, 0xe05c},
}

// keyIndex is 1 + the index into Keys of each usage, 0 when there is none.
var keyIndex = func() (t [256]uint8) {
	for i, k := range Keys {
		t[k.Usage] = uint8(i + 1)
	}
	return t
}()

// KnownUsage reports whether a key message may carry usage.
func KnownUsage(usage uint16) bool { return usage < 256 && keyIndex[usage] != 0 }

// KeyOf returns the key of a usage; ok is false when no host accepts it.
func KeyOf(usage uint16) (k KeyPlace, ok bool) {
	if !KnownUsage(usage) {
		return KeyPlace{}, false
	}
	return Keys[keyIndex[usage]-1], true
}

// ModOf returns the modifier (ModShift..ModAltGr) that the key of a usage is,
// or 0. The right Alt key counts as Alt and as third level, since the layout
// decides which.
func ModOf(usage uint16) uint8 {
	switch usage {
	case 0xe0, 0xe4:
		return ModControl
	case 0xe1, 0xe5:
		return ModShift
	case 0xe2:
		return ModAlt
	case 0xe6:
		return ModAlt | ModAltGr
	case 0xe3, 0xe7:
		return ModMeta
	}
	return 0
}
