package input

// Mark is the dwExtraInfo of every mouse and key event that this package
// injects. The customer's window refuses what carries it; other programs may
// look at it with GetMessageExtraInfo. It is no secret and proves nothing.
const Mark = 0x44415950 // "DAYP"
