// Package consent is what the customer sees: one window in which the customer
// reads who invites, types the code, watches what is done and ends it, and one
// thin bar on every monitor with Stop while somebody is connected. It turns a
// Model into the same page on every toolkit and the customer's clicks into
// Actions. It must not know how a session is paired, carried, ended or removed,
// and it decides nothing: the host program does, and shows the result as the
// next Model.
//
// # Layers
//
// Describe and DescribeBar turn a Model into words and controls without any
// toolkit; presenter turns presses into Actions. The toolkits only draw: GTK 3
// (loaded at run time, no cgo), a window of our own on X11 and a terminal on
// Linux; on Windows the system's own controls, whose look is painted here. The
// bar is always drawn by ourselves on an X connection and goroutine, on Windows
// on a thread, of its own, so that it lives when a toolkit is busy or gone.
//
// # Injected input
//
// A technician's clicks reach the customer's display as XTEST events. From the
// moment the code was accepted until everything is removed they cannot press
// anything here: each press and key is looked at on its own (XInput 2 tells the
// physical source: sourceid in XI_ButtonPress and XI_KeyPress on the bar and
// the X11 window, gdk_event_get_source_device in GTK) and events whose source
// is an XTEST device, and events another program sent by XSendEvent, are
// dropped. Before the code is accepted nobody can inject anything, and XTEST
// events come from the customer's own on-screen keyboard or voice control:
// these may type the code. Builds with tag e2e accept XTEST events always,
// because tests have no other hands; release builds have no switch for it.
//
// On Windows GetCurrentInputMessageSource tells for each message whether a
// device or SendInput made it; what our own injector made carries its mark
// besides (input.Mark). A press that another program posted has no source and
// is dropped as well, once the system was seen to tell sources at all. What a
// screen reader does (BM_CLICK) is sent to the control, not put in, and works.
package consent

import (
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
)

// Screen is which page the window shows.
type Screen int

// The screens, in the order in which a session meets them.
const (
	Starting   Screen = iota // nothing is known yet; nothing is asked
	AskLink                  // the program's name carried no link: paste it
	Connecting               // see Model.Progress
	EnterCode                // who invites, rights, code; see Model.Code
	Connected                // activated; see Watching, Doing, Paused, Offline
	Ending                   // ending and removing; see Model.Progress, Step, Steps
	Removed                  // see Model.Report
	Refused                  // cannot go on; see Model.Refusal and Fault
)

// Progress is what is being waited for in Connecting and Ending.
type Progress int

// What is being waited for.
const (
	ReachingServer       Progress = iota // asking the server about the invitation
	WaitingForTechnician                 // the invitation is known, the technician has not answered yet
	CheckingCode                         // the code was typed, the other side is checking it
	Securing                             // code accepted, the encrypted connection is being made
	ClosingConnection                    // Ending: the connection is being closed
	RemovingFiles                        // Ending: what was put on the computer is being removed
	CheckingRemoval                      // Ending: looking whether everything is gone
	TellingServer                        // Ending: the signed removal is being handed to the server
)

// CodeState is what became of the code last typed.
type CodeState int

// The states of the code.
const (
	CodeAsk    CodeState = iota // nothing typed yet
	CodeSlip                    // the check digit says that it is a typing slip; cost no try
	CodeWrong                   // wrong; Model.CodeLeft tries are left
	CodeNew                     // this code can no longer be used, the technician reads out a new one
	CodeLocked                  // too many wrong codes; the invitation is over
)

// LinkState is what became of the link last pasted.
type LinkState int

// The states of the link.
const (
	LinkAsk     LinkState = iota // nothing pasted yet
	LinkUnknown                  // what was pasted is not a Daypass link
	LinkCut                      // looks like one, but a part is missing
	LinkFile                     // the program was renamed, so that its name tells no link any more
)

// Refusal is why the program cannot go on.
type Refusal int

// The refusals.
const (
	RefusedFault        Refusal = iota // Model.Fault tells it in its own words
	AlreadyThere                       // a host runs already on this display; Model.Other names its session
	EarlierSession                     // an earlier start began a session that is not over (Model.Other): Retry continues it, EndAndRemove ends it for this one
	NoDisplay                          // no display to show
	Wayland                            // the desktop runs on Wayland
	LinkExpired                        // the invitation is over
	LinkUsed                           // the link was used on another computer, or for a session that is over
	CompanySuspended                   // the server does not serve this company now
	ServerUnreachable                  // may be tried again
	SystemUnsupported                  // this system or version cannot do it
	OtherChosen                        // two computers answered, the technician chose the other one
	Locked                             // too many wrong codes
	TechnicianCancelled                // the technician took the invitation back
)

// LineKind is what happened, for the list "What was done".
type LineKind int

// What happens in a session. Line.Rights and Line.Text carry the object.
const (
	LineText         LineKind = iota // Line.Text as it is
	LineActivated                    // the customer typed the code
	LineWatching                     // the technician opened the screen
	LineLeft                         // the technician closed the screen
	LineRightOn                      // the customer allowed Line.Rights
	LineRightOff                     // the customer forbade Line.Rights
	LineStopped                      // the customer pressed Stop
	LineResumed                      // the customer pressed Resume
	LineClipboardIn                  // the technician sent text to the clipboard here
	LineClipboardOut                 // the technician fetched text from the clipboard here
	LineOffline                      // the connection was lost
	LineOnline                       // the connection is back
	LineAgain                        // the customer typed a fresh code: the technician's program is another one now
	LineAgainNot                     // the technician asked for that and the customer did not
	LineRightOver                    // the time that Line.Rights were allowed for is over
	LineAsked                        // the technician asked for Line.Rights
	LineNotNow                       // the customer did not allow them
	LineHourLeft                     // the session ends in less than an hour
	LineMinutesLeft                  // the session ends in less than ten minutes
	LineRebootAsked                  // the technician asked to restart the computer
	LineReboot                       // it restarts
	LineRebootNot                    // the customer did not let it
	LineRebootFailed                 // the system did not
	LineBack                         // the program came back after a restart or a crash
	LineRaised                       // the customer let it come back without a sign-in
	LineDisplay                      // the technician looks at display Line.Text
	LineKeys                         // the technician sent the key combination Line.Text
	LineBarHidden                    // everything paused because the bar could not be seen
	LineLockedScreen                 // everything paused because the screen was locked
	LineGoesOn                       // that was over
	LineObjection                    // the technician's record says what did not happen here
)

// Line is one thing that was done.
type Line struct {
	At     time.Time
	Kind   LineKind
	Rights grant.Rights  // of LineRightOn and LineRightOff; of LineWatching what was on
	Text   string        // of LineText, LineDisplay, LineKeys; of LineRightOn the folder it is for, "" for all
	For    time.Duration // of LineRightOn; 0: to the end of the session
}

// Report is what the end of a session left, for the last page.
type Report struct {
	By      grant.EndedBy // who ended it
	At      time.Time     // when everything was removed
	Clean   bool          // nothing is left on the computer
	Removed []string      // what was removed, one plain phrase each
	Left    []string      // what could not be removed, with the way to do it by hand
	Waiting []string      // what goes by itself when the server can be told; empty when it was
	Told    bool          // the server has the signed removal
	Receipt bool          // a receipt can be saved
	Both    bool          // the technician's program signed it, too
	SavedTo string        // where it was saved; empty before
	Fault   *fault.Error  // why saving failed, or nil
}

// Model is everything the window and the bar show. It is a value: the caller
// makes a new one for each change and never alters one it has shown. Fields
// that the Screen does not use are ignored.
type Model struct {
	Screen   Screen
	Now      time.Time // the caller's clock, for "time left"; zero means time.Now
	Since    time.Time // when this Screen began; words of Connecting and Ending show after 300 ms. Zero means long ago
	Progress Progress
	Step     int // Ending: steps done
	Steps    int // Ending: steps in all; 0 when not known

	Server     string // the server's host name, no secret
	Company    string // as vouched for by the server; shown as text only
	Technician string

	Link LinkState
	Code CodeState
	// CodeLeft is how many tries the current code has left.
	CodeLeft int
	// Again: EnterCode asks in a session that goes on; Cancel leaves it as it is.
	Again bool

	Rights  grant.Rights // offered: what can be allowed at most
	Allowed grant.Rights // what the customer allows now
	Expires time.Time    // end of the session; zero before it is known

	Limits []Limit      // of what is allowed: how long, and for files where
	Asked  grant.Rights // the technician asks for these: Connected shows the question

	Watching bool         // somebody is connected and may see or control: the bar is shown
	Doing    grant.Rights // what is on right now
	Paused   bool         // the customer pressed Stop
	Offline  bool         // Connected, and the technician's console cannot be reached now
	Events   []Line       // what was done, oldest first; the newest 200 are shown

	// Keeps: After and CanRaise are known. After is what brings the program back
	// after a restart: "boot", "login" (the customer signs in) or "" (nothing).
	// CanRaise: with an administrator's password it could be "boot".
	Keeps, CanRaise bool
	After           string
	Raising         bool         // the system is asking for that password
	RaiseFault      *fault.Error // why it came to nothing
	RebootAt        time.Time    // Connected: the computer restarts then unless the customer refuses; zero: it does not

	Refusal Refusal
	Other   string       // AlreadyThere, EarlierSession: whose session, as a phrase
	Fault   *fault.Error // RefusedFault, and details for the others; may be nil
	Report  *Report      // Removed
}

// Limit is the limit of one right that is allowed.
type Limit struct {
	Right grant.Rights
	Until time.Time // zero: the end of the session
	Scope string    // of files: the only folder; "": all of the customer's own
}

// ActionKind is what the customer did.
type ActionKind int

// What a customer can do.
const (
	SubmitLink   ActionKind = iota + 1 // Text: the pasted link, trimmed, ≤ 2048 bytes
	SubmitCode                         // Text: 8 digits; Rights: what was ticked
	SetRight                           // Rights: one right; On; For and Scope limit it
	Stop                               // stop at once, locally first
	Resume                             // after Stop
	EndAndRemove                       // confirmed by the customer
	SaveReceipt                        // Path: the file the customer chose, or ReceiptPath where nothing can be chosen
	Retry                              // try again after a refusal that may pass
	Cancel                             // do not go on and remove: before activation, or unasked call
	Leave                              // close the window after Removed or Refused
	AnswerRight                        // the answer to Model.Asked: On, For
	RebootNow                          // restart the computer at once
	RebootNo                           // do not restart it
	Raise                              // ask for an administrator's password, so that the program comes back by itself
)

// Action is one thing the customer did.
type Action struct {
	Kind   ActionKind
	Text   string
	Rights grant.Rights
	On     bool
	For    time.Duration // 0: to the end of the session
	Scope  string        // a folder, absolute; "": all
	Path   string
	At     time.Time
}

// HiddenLimit is how long the bar may be hidden before capture and input must
// pause (the window manager is given that long to restack).
const HiddenLimit = 2 * time.Second

// BarHealth is whether the customer can see the bar.
type BarHealth struct {
	Wanted      bool      // the last Model shown has Watching set
	Shown       bool      // mapped on every monitor, in its place and not covered
	HiddenSince time.Time // since when not; zero when Shown or not Wanted
}

// Healthy reports whether capture may go on at now: no bar is wanted, or it is
// shown, or it was hidden for no longer than HiddenLimit.
func (h BarHealth) Healthy(now time.Time) bool {
	return !h.Wanted || h.Shown || (!h.HiddenSince.IsZero() && now.Sub(h.HiddenSince) <= HiddenLimit)
}

// View is the customer's window and bar. Every method may be called from any
// goroutine.
type View interface {
	// Show replaces what is shown. It does not wait for the toolkit; of several
	// Models in a row only the newest may be seen.
	Show(Model)
	// Actions gives what the customer did, in order. It is closed by Close.
	// A reader that falls 64 behind loses the oldest, but never a Stop.
	Actions() <-chan Action
	// Bar tells whether the bar is seen.
	Bar() BarHealth
	// Close takes window and bar away and waits for the view's goroutines.
	Close() error
}

// Kinds of Open.
const (
	KindAuto = "auto" // GTK, else X11, else the terminal
	KindGTK  = "gtk"
	KindX11  = "x11"
	KindTTY  = "tty"
	KindNone = "none" // no window, only the bar
)
