package consent

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"daypass/backend/fault"
	"daypass/backend/grant"
)

// WordsAfter is how long Connecting shows nothing but its title: most of the
// time it is over by then, and words that flash by frighten.
const WordsAfter = 300 * time.Millisecond

// Tone is what a text is about. It never says so by colour alone: each tone
// has a glyph too.
type Tone int

// The tones.
const (
	Plain Tone = iota
	Muted
	Good
	Waiting
	Quiet
	Danger
)

// Glyph is the sign beside a text of this tone; empty for Plain and Muted.
func (t Tone) Glyph() string {
	switch t {
	case Good:
		return "●"
	case Waiting:
		return "◐"
	case Quiet:
		return "○"
	case Danger:
		return "▲"
	}
	return ""
}

// BlockKind is how a Block is drawn.
type BlockKind int

// The kinds of blocks.
const (
	BlockText     BlockKind = iota // a paragraph; Tone Muted is smaller
	BlockHead                      // a heading inside the page
	BlockStatus                    // a word with a glyph, Tone decides
	BlockNote                      // a framed paragraph, Tone decides; Text bold, Detail below
	BlockField                     // one line to type; Label names it, Value is what is in it at first
	BlockCode                      // two fields of four digits; Label, Label2 name them
	BlockCheck                     // a box to tick; On; Right
	BlockSwitch                    // a switch that acts at once; On; Right
	BlockRing                      // time left: Fraction 0…1 of the day, Text
	BlockProgress                  // something goes on: Fraction, or < 0 when unknown
	BlockList                      // Items
	BlockDetails                   // folded Text under Label, can be selected and copied
	BlockPick                      // a row to press, ID as of a button; Text, and Detail as its present value
)

// Item is one row of a BlockList.
type Item struct {
	Lead string // a time or a sign, may be empty
	Text string
}

// Block is one part of a Page. ID is stable and unique in the page.
type Block struct {
	Kind     BlockKind
	ID       string
	Text     string
	Detail   string
	Label    string
	Label2   string
	Tone     Tone
	On       bool
	Right    grant.Rights
	Fraction float64
	Items    []Item
}

// Button is a button at the foot of a Page.
type Button struct {
	ID      string
	Text    string
	Primary bool // Enter presses it
	Danger  bool
}

// Page is what a window shows, in reading order, for every toolkit.
type Page struct {
	Key     string // pages with the same Key differ only in texts and values
	Title   string
	Lead    string // one line over the title; may be empty
	Blocks  []Block
	Buttons []Button // in order; the last stands at the right
	Footer  string
	Focus   string // ID of what has the keyboard when the page opens
	Window  string // title of the window
}

// Bar is what the bar shows.
type Bar struct {
	Who    string // "Mia Roth · Contoso IT"
	Doing  string // "sees and controls"
	Left   string // "18 h 04 min left", may be empty
	Button string // "Stop" or "Resume"
	Action ActionKind
	Tone   Tone
	// Fraction of the day that is left, for the ring; negative: no ring.
	Fraction float64
	// Switches are what the customer can switch from the bar; those without a
	// Right are none.
	Switches [6]Switch
	Open     string // words of what shows the window
}

// Switch is one right that can be switched at once.
type Switch struct {
	Right grant.Rights
	Text  string
	On    bool
}

// local is what a page needs to know that is only the window's own.
type local struct {
	confirm bool         // "End and remove" was pressed and is not confirmed
	limits  bool         // the page of limits is open
	limit   grant.Rights // of that: the right whose limit is being chosen
	problem string       // what is wrong with what was typed, found here
}

// Describe tells what the window shows for m in lang ("en", "de", or empty for
// the system's). It is pure but for the clock when m.Now is zero.
func Describe(m Model, lang string) Page { return describe(m, catalogue(lang), local{}) }

// DescribeBar tells what the bar shows for m in lang.
func DescribeBar(m Model, lang string) Bar { return describeBar(m, catalogue(lang)) }

func (m *Model) now() time.Time {
	if m.Now.IsZero() {
		return time.Now()
	}
	return m.Now
}

// clean makes a name from outside fit to be shown: one line, no control and no
// direction-changing characters, at most max runes.
func clean(s string, max int) string {
	var b strings.Builder
	n, space := 0, false
	for _, r := range s {
		if r == utf8.RuneError || unicode.Is(unicode.Cf, r) || (unicode.IsControl(r) && !unicode.IsSpace(r)) {
			continue
		}
		if unicode.IsSpace(r) {
			space = b.Len() > 0
			continue
		}
		if space {
			b.WriteByte(' ')
			space = false
			n++
		}
		if n++; n > max {
			b.WriteString("…")
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}

func (m *Model) technician(w *words) string {
	if t := clean(m.Technician, 60); t != "" {
		return t
	}
	return w.InviteWants
}

// rightsInOrder lists the rights as they are asked for.
var rightsInOrder = []grant.Rights{grant.View, grant.Control, grant.Clipboard, grant.Files, grant.Dashboard, grant.Terminal}

func rightID(r grant.Rights) string { return fmt.Sprintf("right-%d", uint32(r)) }

func describe(m Model, w *words, l local) Page {
	p := Page{Window: w.WindowTitle}
	switch m.Screen {
	case AskLink:
		p.askLink(&m, w, l)
	case Connecting:
		p.connecting(&m, w)
	case EnterCode:
		p.enterCode(&m, w, l)
	case Connected:
		switch {
		case l.confirm:
			p.confirm(&m, w)
		case m.Asked&m.Rights != 0:
			p.asked(&m, w)
		case l.limit != 0 && m.Rights.Has(l.limit):
			p.limit(&m, w, l.limit)
		case l.limits:
			p.limits(&m, w)
		default:
			p.connected(&m, w)
		}
	case Ending:
		p.ending(&m, w)
	case Removed:
		p.removed(&m, w)
	case Refused:
		p.refused(&m, w)
	default:
		p.Key, p.Title = "starting", w.Starting
	}
	p.key()
	return p
}

// key completes Key with the structure, so that a toolkit rebuilds when and
// only when widgets come or go.
func (p *Page) key() {
	var b strings.Builder
	b.WriteString(p.Key)
	for _, k := range p.Blocks {
		fmt.Fprintf(&b, "|%d%s", k.Kind, k.ID)
	}
	for _, k := range p.Buttons {
		b.WriteString("/" + k.ID)
	}
	p.Key = b.String()
}

func (p *Page) add(b Block) { p.Blocks = append(p.Blocks, b) }

func (p *Page) text(id, s string) { p.add(Block{Kind: BlockText, ID: id, Text: s}) }

func (p *Page) muted(id, s string) { p.add(Block{Kind: BlockText, ID: id, Text: s, Tone: Muted}) }

func (p *Page) problem(id, s string) {
	if s != "" {
		p.add(Block{Kind: BlockNote, ID: id, Text: s, Tone: Waiting})
	}
}

func (p *Page) askLink(m *Model, w *words, l local) {
	p.Key, p.Title, p.Focus = "link", w.LinkTitle, "link"
	p.text("intro", w.LinkText)
	p.add(Block{Kind: BlockField, ID: "link", Label: w.LinkLabel})
	problem := l.problem
	if problem == "" {
		problem = map[LinkState]string{LinkUnknown: w.LinkUnknown, LinkCut: w.LinkCut, LinkFile: w.LinkFile}[m.Link]
	}
	p.problem("problem", problem)
	p.muted("how", w.LinkHow)
	p.Buttons = []Button{{ID: "cancel", Text: w.DoNotGoOn}, {ID: "submit-link", Text: w.Continue, Primary: true}}
}

func (p *Page) connecting(m *Model, w *words) {
	p.Key, p.Title = "connecting", w.ConnectTitle
	p.Lead = m.who(w)
	if m.now().Sub(m.Since) >= WordsAfter {
		s := w.ReachingServer
		switch m.Progress {
		case WaitingForTechnician:
			s = fmt.Sprintf(w.WaitingTechnician, m.technician(w))
		case CheckingCode:
			s = w.CheckingCode
		case Securing:
			s = fmt.Sprintf(w.Securing, m.technician(w))
		}
		p.add(Block{Kind: BlockProgress, ID: "progress", Text: s, Fraction: -1})
		if s := clean(m.Server, 80); s != "" {
			p.muted("server", fmt.Sprintf(w.AtServer, s))
		}
	}
	no := w.DoNotGoOn
	if m.Again {
		no = w.AgainNo // the session goes on
	}
	p.Buttons = []Button{{ID: "cancel", Text: no}}
	p.Focus = "cancel"
}

// who is "Mia Roth · Contoso IT", or "" when nothing is known.
func (m *Model) who(w *words) string {
	t, c := clean(m.Technician, 60), clean(m.Company, 60)
	switch {
	case t == "":
		return c
	case c == "":
		return t
	}
	return t + " · " + c
}

func (p *Page) enterCode(m *Model, w *words, l local) {
	t := m.technician(w)
	p.Key, p.Focus = "code", "code"
	p.Title = fmt.Sprintf(w.InviteTitle, t)
	if c := clean(m.Company, 60); c != "" {
		p.Lead = c
	}
	no := w.DoNotGoOn
	if m.Again {
		p.Key, p.Title, no = "again", fmt.Sprintf(w.AgainTitle, t), w.AgainNo
		p.text("again", fmt.Sprintf(w.AgainText, t))
	}
	if m.Code == CodeLocked {
		p.Title = w.LockedTitle
		p.add(Block{Kind: BlockNote, ID: "problem", Text: w.CodeLocked, Tone: Danger})
		p.Buttons = []Button{{ID: "cancel", Text: w.DoNotGoOn, Primary: true}}
		p.Focus = "cancel"
		return
	}
	p.add(Block{Kind: BlockHead, ID: "code-head", Text: fmt.Sprintf(w.CodeTitle, t)})
	p.add(Block{Kind: BlockCode, ID: "code", Label: w.CodeFirst, Label2: w.CodeSecond})
	problem := l.problem
	if problem == "" {
		switch m.Code {
		case CodeSlip:
			problem = w.CodeSlip
		case CodeWrong:
			if problem = fmt.Sprintf(w.CodeWrongMany, t, m.CodeLeft); m.CodeLeft == 1 {
				problem = fmt.Sprintf(w.CodeWrongOne, t)
			}
		case CodeNew:
			problem = fmt.Sprintf(w.CodeNew, t)
		}
	}
	p.problem("problem", problem)
	p.add(Block{Kind: BlockHead, ID: "rights-head", Text: fmt.Sprintf(w.WillBeAble, t)})
	p.rights(m, w, BlockCheck)
	if m.Expires.IsZero() {
		p.muted("until", w.Until)
	} else {
		p.muted("until", fmt.Sprintf(w.UntilDay, w.clock(m.Expires, m.now())))
	}
	p.add(Block{Kind: BlockNote, ID: "unasked", Text: w.Unasked, Detail: w.UnaskedText, Tone: Danger})
	p.Buttons = []Button{{ID: "cancel", Text: no}, {ID: "submit-code", Text: w.Continue, Primary: true}}
}

func (p *Page) rights(m *Model, w *words, kind BlockKind) {
	for _, r := range rightsInOrder {
		if m.Rights.Has(r) {
			text := w.right(r)
			if lim := m.limitOf(r); kind == BlockSwitch && lim != nil && m.Allowed.Has(r) {
				text += " · " + lim.words(m, w)
			}
			p.add(Block{Kind: kind, ID: rightID(r), Text: text, Right: r, On: m.Allowed.Has(r)})
		}
	}
}

func (m *Model) limitOf(r grant.Rights) *Limit {
	for i := range m.Limits {
		if m.Limits[i].Right == r {
			return &m.Limits[i]
		}
	}
	return nil
}

// words is a limit in short: "24 min left", "only Downloads, 24 min left".
func (l *Limit) words(m *Model, w *words) string {
	var parts []string
	if l.Scope != "" {
		parts = append(parts, fmt.Sprintf(w.OnlyFolder, clean(filepath.Base(l.Scope), 40)))
	}
	if !l.Until.IsZero() {
		parts = append(parts, w.left(l.Until, m.now()))
	}
	return strings.Join(parts, ", ")
}

// limitChoices are the time limits that a customer can choose; 0: to the end
// of the session.
var limitChoices = []time.Duration{15 * time.Minute, 30 * time.Minute, time.Hour, 0}

func (w *words) duration(d time.Duration) string {
	if d == 0 {
		return w.ToTheEnd
	}
	return fmt.Sprintf(w.ForMinutes, int(d/time.Minute))
}

// limits lists the rights that are on, to choose the one to be limited.
func (p *Page) limits(m *Model, w *words) {
	p.Key, p.Title, p.Lead, p.Focus = "limits", fmt.Sprintf(w.LimitsTitle, m.technician(w)), m.who(w), "back"
	p.text("limits-text", w.LimitsText)
	for _, r := range rightsInOrder {
		if !m.Rights.Has(r) || !m.Allowed.Has(r) {
			continue
		}
		now := w.ToTheEnd
		if l := m.limitOf(r); l != nil {
			now = l.words(m, w)
		}
		p.add(Block{Kind: BlockPick, ID: fmt.Sprintf("limit-%d", uint32(r)), Text: w.right(r), Detail: now})
	}
	p.Buttons = []Button{{ID: "back", Text: w.Back, Primary: true}}
}

// limit chooses how long one right is given, and for files where.
func (p *Page) limit(m *Model, w *words, r grant.Rights) {
	p.Key, p.Lead, p.Focus = "limit", m.who(w), "back"
	p.Title = fmt.Sprintf(w.LimitTitle, w.right(r))
	now := m.limitOf(r)
	for _, d := range limitChoices {
		p.add(Block{Kind: BlockPick, ID: fmt.Sprintf("for-%d", int(d/time.Minute)), Text: w.duration(d)})
	}
	if r == grant.Files {
		p.add(Block{Kind: BlockHead, ID: "folder-head", Text: w.FolderHead})
		here := ""
		if now != nil {
			here = now.Scope
		}
		for i, f := range Folders() {
			b := Block{Kind: BlockPick, ID: fmt.Sprintf("folder-%d", i), Text: fmt.Sprintf(w.OnlyFolder, clean(filepath.Base(f), 40))}
			if f == here {
				b.Detail = "✓"
			}
			p.add(b)
		}
		all := Block{Kind: BlockPick, ID: "folder-all", Text: w.AllFolders}
		if here == "" {
			all.Detail = "✓"
		}
		p.add(all)
	}
	p.Buttons = []Button{{ID: "back", Text: w.Back, Primary: true}}
}

// asked is the technician's question for a right that is off.
func (p *Page) asked(m *Model, w *words) {
	var names []string
	for _, r := range rightsInOrder {
		if (m.Asked & m.Rights).Has(r) {
			names = append(names, w.right(r))
		}
	}
	p.Key, p.Lead, p.Focus = "asked", m.who(w), "not-now"
	p.Title = fmt.Sprintf(w.AskedTitle, m.technician(w), strings.Join(names, ", "))
	p.text("asked", w.AskedText)
	for _, d := range limitChoices {
		p.add(Block{Kind: BlockPick, ID: fmt.Sprintf("allow-%d", int(d/time.Minute)), Text: fmt.Sprintf(w.AllowFor, w.duration(d))})
	}
	p.Buttons = []Button{{ID: "not-now", Text: w.NotNow, Primary: true}}
}

// reboot asks whether the computer may restart.
func (p *Page) reboot(m *Model, w *words) {
	t := m.technician(w)
	p.Key, p.Focus, p.Lead = "reboot", "reboot-no", m.who(w)
	p.Title = fmt.Sprintf(w.RebootTitle, t)
	p.text("reboot", w.RebootText)
	left := max(0, int(m.RebootAt.Sub(m.now()).Round(time.Second)/time.Second))
	p.add(Block{Kind: BlockNote, ID: "reboot-left", Text: fmt.Sprintf(w.RebootLeft, left), Tone: Waiting})
	p.muted("reboot-back", w.back(m))
	p.Buttons = []Button{{ID: "reboot-now", Text: w.RebootYes}, {ID: "reboot-no", Text: w.RebootNo, Primary: true}}
}

// back says what happens after a restart.
func (w *words) back(m *Model) string {
	switch m.After {
	case "boot":
		return w.BackBoot
	case "login":
		return w.BackLogin
	}
	return w.BackNot
}

func (p *Page) connected(m *Model, w *words) {
	if !m.RebootAt.IsZero() {
		p.reboot(m, w)
		return
	}
	t := m.technician(w)
	p.Key, p.Lead = "connected", m.who(w)
	switch {
	case m.Paused:
		p.Title = w.PausedTitle
		p.add(Block{Kind: BlockStatus, ID: "status", Text: w.StatusPaused, Tone: Danger})
		p.text("now", w.PausedText)
	case m.Offline:
		p.Title = fmt.Sprintf(w.ConnectedTitle, t)
		p.add(Block{Kind: BlockStatus, ID: "status", Text: w.StatusOffline, Tone: Waiting})
		p.text("now", fmt.Sprintf(w.OfflineText, t))
	case m.Watching:
		switch {
		case m.Doing.Has(grant.Control):
			p.Title = fmt.Sprintf(w.CanSeeControl, t)
		case m.Doing.Has(grant.View):
			p.Title = fmt.Sprintf(w.CanSee, t)
		default:
			p.Title = fmt.Sprintf(w.CanNothing, t)
		}
		p.add(Block{Kind: BlockStatus, ID: "status", Text: w.StatusWatching, Tone: Good})
		help := w.StopHelp
		if barKeys {
			help += " " + w.BarKeys
		}
		p.text("now", help)
	default:
		p.Title = fmt.Sprintf(w.ConnectedTitle, t)
		p.add(Block{Kind: BlockStatus, ID: "status", Text: w.StatusQuiet, Tone: Quiet})
		p.text("now", w.ConnectedNone)
	}
	if !m.Expires.IsZero() {
		p.add(Block{
			Kind: BlockRing, ID: "left", Text: w.left(m.Expires, m.now()),
			Detail: fmt.Sprintf(w.UntilDay, w.clock(m.Expires, m.now())), Fraction: m.fraction(),
		})
		switch left := m.Expires.Sub(m.now()); {
		case left <= lastMinutes:
			p.problem("soon", w.SoonMinutes)
		case left <= lastHour:
			p.problem("soon", w.SoonHour)
		}
	}
	p.add(Block{Kind: BlockHead, ID: "rights-head", Text: fmt.Sprintf(w.NowAllowed, t)})
	p.rights(m, w, BlockSwitch)
	if m.Allowed&m.Rights != 0 {
		p.add(Block{Kind: BlockPick, ID: "limits", Text: w.SetLimit})
	}
	if m.Keeps {
		switch {
		case m.Raising:
			p.muted("back", w.Raising)
		case m.RaiseFault != nil:
			p.problem("back", w.RaiseNot+" "+w.back(m))
		default:
			p.muted("back", w.back(m))
		}
	}
	p.add(Block{Kind: BlockHead, ID: "done-head", Text: w.DoneTitle})
	p.add(Block{Kind: BlockList, ID: "done", Items: m.lines(w)})
	p.Buttons = []Button{{ID: "end", Text: w.EndRemove}}
	if m.Keeps && m.CanRaise && !m.Raising && !m.Paused {
		p.Buttons = append(p.Buttons, Button{ID: "raise", Text: w.Raise})
	}
	if m.Paused {
		p.Buttons = append(p.Buttons, Button{ID: "resume", Text: w.Resume, Primary: true})
		p.Focus = "resume"
	} else {
		p.Buttons = append(p.Buttons, Button{ID: "stop", Text: w.Stop, Danger: true})
		p.Focus = "stop"
	}
}

// When the customer is told that the session ends soon.
const (
	lastHour    = time.Hour
	lastMinutes = 10 * time.Minute
)

// fraction is how much of the day is left, 0…1; negative when unknown.
func (m *Model) fraction() float64 {
	if m.Expires.IsZero() {
		return -1
	}
	return min(1, max(0, float64(m.Expires.Sub(m.now()))/float64(grant.Limit)))
}

// maxLines bounds what the list shows.
const maxLines = 200

func (m *Model) lines(w *words) []Item {
	events := m.Events
	if len(events) > maxLines {
		events = events[len(events)-maxLines:]
	}
	if len(events) == 0 {
		return []Item{{Text: w.DoneNothing}}
	}
	items := make([]Item, 0, len(events))
	for i := len(events) - 1; i >= 0; i-- { // newest first
		items = append(items, Item{Lead: events[i].At.Local().Format("15:04"), Text: w.line(events[i], m.technician(w))})
	}
	return items
}

// LineWords is one line of "What was done" in lang; who is the technician.
func LineWords(l Line, lang, who string) string {
	m := Model{Technician: who}
	w := catalogue(lang)
	return w.line(l, m.technician(w))
}

// RightText names one right in lang, as something the technician may do; ""
// for what is no single right.
func RightText(r grant.Rights, lang string) string { return catalogue(lang).right(r) }

func (w *words) line(l Line, who string) string {
	switch l.Kind {
	case LineActivated:
		return w.LineActivated
	case LineWatching:
		if l.Rights.Has(grant.Control) {
			return fmt.Sprintf(w.LineControlling, who)
		}
		return fmt.Sprintf(w.LineWatching, who)
	case LineLeft:
		return fmt.Sprintf(w.LineLeft, who)
	case LineRightOn, LineRightOff:
		var names []string
		for _, r := range rightsInOrder {
			if l.Rights.Has(r) {
				names = append(names, w.right(r))
			}
		}
		if l.Kind == LineRightOn {
			s := fmt.Sprintf(w.LineRightOn, strings.Join(names, ", "))
			if l.Text != "" {
				s += ", " + fmt.Sprintf(w.OnlyFolder, clean(filepath.Base(l.Text), 40))
			}
			if l.For > 0 {
				s += ", " + w.duration(l.For)
			}
			return s
		}
		return fmt.Sprintf(w.LineRightOff, strings.Join(names, ", "))
	case LineRightOver, LineAsked, LineNotNow:
		var names []string
		for _, r := range rightsInOrder {
			if l.Rights.Has(r) {
				names = append(names, w.right(r))
			}
		}
		all := strings.Join(names, ", ")
		switch l.Kind {
		case LineAsked:
			return fmt.Sprintf(w.LineAsked, who, all)
		case LineNotNow:
			return fmt.Sprintf(w.LineNotNow, all)
		}
		return fmt.Sprintf(w.LineRightOver, all)
	case LineStopped:
		return w.LineStopped
	case LineResumed:
		return w.LineResumed
	case LineClipboardIn:
		return fmt.Sprintf(w.LineClipboardIn, who)
	case LineClipboardOut:
		return fmt.Sprintf(w.LineClipboardOut, who)
	case LineOffline:
		return w.LineOffline
	case LineOnline:
		return w.LineOnline
	case LineAgain:
		return w.LineAgain
	case LineAgainNot:
		return w.LineAgainNot
	case LineHourLeft:
		return w.LineHourLeft
	case LineMinutesLeft:
		return w.LineMinutesLeft
	case LineRebootAsked:
		return fmt.Sprintf(w.LineRebootAsked, who)
	case LineReboot:
		return w.LineReboot
	case LineRebootNot:
		return w.LineRebootNot
	case LineRebootFailed:
		return w.LineRebootFailed
	case LineBack:
		return w.LineBack
	case LineRaised:
		return w.LineRaised
	case LineDisplay:
		return fmt.Sprintf(w.LineDisplay, who, clean(l.Text, 60))
	case LineKeys:
		return fmt.Sprintf(w.LineKeys, who, clean(l.Text, 60))
	case LineBarHidden:
		return w.LineBarHidden
	case LineLockedScreen:
		return w.LineLockedScreen
	case LineGoesOn:
		return w.LineGoesOn
	case LineObjection:
		return w.LineObjection
	}
	return clean(l.Text, 200)
}

func (p *Page) confirm(m *Model, w *words) {
	p.Key, p.Focus = "confirm", "keep"
	p.Lead = m.who(w)
	p.Title = fmt.Sprintf(w.ConfirmTitle, m.technician(w))
	p.text("confirm", w.ConfirmText)
	p.Buttons = []Button{{ID: "end-now", Text: w.ConfirmYes, Danger: true}, {ID: "keep", Text: w.ConfirmNo, Primary: true}}
}

func (p *Page) ending(m *Model, w *words) {
	p.Key, p.Title, p.Lead = "ending", w.EndingTitle, m.who(w)
	s := w.ClosingConnection
	switch m.Progress {
	case RemovingFiles:
		s = w.RemovingFiles
	case CheckingRemoval:
		s = w.CheckingRemoval
	case TellingServer:
		s = w.TellingServer
	}
	f := -1.0
	if m.Steps > 0 {
		s += ", " + fmt.Sprintf(w.StepOf, min(m.Step+1, m.Steps), m.Steps)
		f = min(1, max(0, float64(m.Step)/float64(m.Steps)))
	}
	p.add(Block{Kind: BlockProgress, ID: "progress", Text: s, Fraction: f})
	p.muted("wait", w.EndingText)
}

func (p *Page) removed(m *Model, w *words) {
	r := m.Report
	if r == nil {
		r = &Report{Clean: true, Told: true}
	}
	p.Key = "removed"
	t := m.technician(w)
	by := map[grant.EndedBy]string{
		grant.ByTechnician: fmt.Sprintf(w.ByTechnician, t), grant.ByLead: fmt.Sprintf(w.ByLead, t), grant.ByCustomer: w.ByCustomer,
		grant.ByExpiry: w.ByExpiry, grant.ByLapse: w.ByLapse, grant.ByLock: w.ByLock, grant.ByCancel: fmt.Sprintf(w.ByCancel, t), grant.ByServer: w.ByServer,
	}[r.By]
	p.Lead = m.who(w)
	if r.Clean {
		p.Title = w.CleanTitle
		p.add(Block{Kind: BlockNote, ID: "result", Text: w.CleanText, Detail: by, Tone: Good})
	} else {
		p.Title = w.UncleanTitle
		p.add(Block{Kind: BlockNote, ID: "result", Text: w.UncleanText, Detail: by, Tone: Waiting})
		p.add(Block{Kind: BlockHead, ID: "left-head", Text: w.LeftList})
		p.add(Block{Kind: BlockList, ID: "left-list", Items: marked("▲", r.Left, w)})
	}
	if len(r.Removed) > 0 {
		p.add(Block{Kind: BlockHead, ID: "removed-head", Text: w.RemovedList})
		p.add(Block{Kind: BlockList, ID: "removed-list", Items: marked("✓", r.Removed, w)})
	}
	switch {
	case r.Told:
	case len(r.Waiting) > 0:
		p.add(Block{Kind: BlockNote, ID: "told", Text: w.NotTold, Detail: w.NotToldLater, Tone: Waiting})
	default:
		p.muted("told", w.NotTold)
	}
	p.Buttons = []Button{{ID: "leave", Text: w.CloseWindow, Primary: true}}
	p.Focus = "leave"
	if r.SavedTo != "" {
		p.add(Block{Kind: BlockNote, ID: "saved", Text: fmt.Sprintf(w.ReceiptSaved, clean(r.SavedTo, 200)), Tone: Good})
	}
	if r.Receipt {
		if r.Fault != nil {
			p.problem("receipt-problem", strings.TrimSpace(w.native(r.Fault.Message)+" "+w.native(r.Fault.Hint)))
		}
		if r.Both {
			p.muted("receipt", w.ReceiptText)
		} else {
			p.muted("receipt", w.ReceiptAlone)
		}
		if r.SavedTo != "" {
			p.Buttons = []Button{{ID: "save-receipt", Text: w.SaveElsewhere}, {ID: "leave", Text: w.CloseWindow, Primary: true}}
			return
		}
		p.Buttons = []Button{{ID: "leave", Text: w.CloseWindow}, {ID: "save-receipt", Text: w.SaveReceipt, Primary: true}}
		p.Focus = "save-receipt"
	}
}

func marked(sign string, texts []string, w *words) []Item {
	items := make([]Item, 0, len(texts))
	for _, t := range texts {
		items = append(items, Item{Lead: sign, Text: clean(w.native(t), 200)})
	}
	return items
}

func (p *Page) refused(m *Model, w *words) {
	t := m.technician(w)
	company := clean(m.Company, 60)
	if company == "" {
		company = t
	}
	server := clean(m.Server, 80)
	p.Key, p.Focus = "refused", "leave"
	var what, hint string
	retry := false
	switch m.Refusal {
	case AlreadyThere:
		other := clean(m.Other, 120)
		if other == "" {
			other = w.Product
		}
		p.Title, what, hint = w.AlreadyTitle, fmt.Sprintf(w.Already, other), w.AlreadyHint
	case EarlierSession:
		p.Title, what, hint = w.EarlierTitle, fmt.Sprintf(w.Earlier, clean(m.Other, 120)), w.EarlierHint
	case NoDisplay:
		p.Title, what, hint = w.NoDisplayTitle, w.NoDisplay, w.NoDisplayHint
	case Wayland:
		p.Title, what, hint = w.WaylandTitle, w.Wayland, w.WaylandHint
	case LinkExpired:
		p.Title, what, hint = w.ExpiredTitle, w.Expired, w.ExpiredHint
	case LinkUsed:
		p.Title, what, hint = w.UsedTitle, w.Used, w.UsedHint
	case CompanySuspended:
		p.Title, what, hint = fmt.Sprintf(w.SuspendedTitle, company), w.Suspended, w.SuspendedHint
	case ServerUnreachable:
		if server == "" {
			server = w.Product
		}
		p.Title, what, hint, retry = w.OfflineTitle, fmt.Sprintf(w.Offline, server), w.OfflineHint, true
	case SystemUnsupported:
		p.Title, what, hint = w.UnsupportedTitle, w.Unsupported, w.UnsupportedHint
	case OtherChosen:
		p.Title, what, hint = w.OtherTitle, fmt.Sprintf(w.Other, t), fmt.Sprintf(w.OtherHint, company)
	case Locked:
		p.Title, what, hint = w.LockedTitle, w.Locked, w.LockedHint
	case TechnicianCancelled:
		p.Title, what, hint = w.CancelledTitle, fmt.Sprintf(w.Cancelled, t), w.CancelledHint
	default:
		p.Title, what, hint = w.RefusedTitle, w.Refused, w.RefusedHint
		if m.Fault != nil {
			what, hint = w.native(m.Fault.Message), w.native(m.Fault.Hint)
			retry = m.Fault.Kind == fault.Offline
		}
	}
	p.text("what", what)
	if hint != "" {
		p.add(Block{Kind: BlockNote, ID: "hint", Text: hint, Tone: Plain})
	}
	if m.Fault != nil {
		p.add(Block{Kind: BlockDetails, ID: "details", Label: w.Details, Text: details(m.Fault)})
	}
	p.Buttons = []Button{{ID: "leave", Text: w.CloseWindow, Primary: true}}
	switch {
	case m.Refusal == EarlierSession:
		p.Buttons = []Button{{ID: "leave", Text: w.CloseWindow}, {ID: "end-now", Text: w.EarlierEnd, Danger: true}, {ID: "retry", Text: w.EarlierGoOn, Primary: true}}
		p.Focus = "retry"
	case retry:
		p.Buttons = []Button{{ID: "leave", Text: w.CloseWindow}, {ID: "retry", Text: w.TryAgain, Primary: true}}
		p.Focus = "retry"
	}
}

func details(f *fault.Error) string {
	s := string(f.Kind)
	if e := f.Error(); e != "" {
		s += ": " + e
	}
	return clean(s, 600)
}

func describeBar(m Model, w *words) Bar {
	b := Bar{Who: m.who(w), Button: w.Stop, Action: Stop, Tone: Good, Fraction: m.fraction(), Doing: w.BarConnected, Open: w.BarOpen}
	n := 0
	for _, r := range rightsInOrder {
		if m.Screen == Connected && m.Rights.Has(r) {
			b.Switches[n] = Switch{Right: r, Text: w.BarMay + " " + w.right(r), On: m.Allowed.Has(r)}
			if l := m.limitOf(r); l != nil && m.Allowed.Has(r) {
				b.Switches[n].Text += " · " + l.words(&m, w)
			}
			n++
		}
	}
	if b.Who == "" {
		b.Who = w.InviteWants
	}
	switch {
	case m.Paused:
		b.Doing, b.Button, b.Action, b.Tone = w.BarPaused, w.Resume, Resume, Waiting
	case m.Doing.Has(grant.Control):
		b.Doing = w.BarSeesControls
	case m.Doing.Has(grant.View):
		b.Doing = w.BarSees
	}
	if !m.Expires.IsZero() {
		b.Left = w.left(m.Expires, m.now())
		if b.Tone == Good && m.Expires.Sub(m.now()) <= lastMinutes {
			b.Tone = Waiting
		}
	}
	for _, l := range m.Limits { // what ends first counts
		if !l.Until.IsZero() && m.Doing.Has(l.Right) && (m.Expires.IsZero() || l.Until.Before(m.Expires)) {
			b.Left = w.left(l.Until, m.now())
		}
	}
	return b
}
