package consent

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"

	"daypass/backend/grant"
)

// ttyView asks in a terminal: the page as text, numbered choices, one line a
// time. It is for computers where neither GTK nor X11 can show a window.
type ttyView struct {
	p    *presenter
	bar  *bar
	term io.ReadWriteCloser
	log  *slog.Logger
	kick chan struct{}
	quit chan struct{}
	wg   sync.WaitGroup
}

// openTTY takes the controlling terminal.
func openTTY(p *presenter, log *slog.Logger) (*ttyView, error) {
	// not os.Stdin: Close must be able to end a read that waits
	f, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("consent: terminal: %w", err)
	}
	return newTTY(p, f, log), nil
}

// newTTY talks over term, which it closes.
func newTTY(p *presenter, term io.ReadWriteCloser, log *slog.Logger) *ttyView {
	v := &ttyView{p: p, term: term, log: log, kick: make(chan struct{}, 1), quit: make(chan struct{})}
	lines := make(chan string)
	v.wg.Go(func() {
		defer close(lines)
		s := bufio.NewScanner(term)
		s.Buffer(make([]byte, 0, 4096), 8192)
		for s.Scan() {
			select {
			case lines <- s.Text():
			case <-v.quit:
				return
			}
		}
	})
	v.wg.Go(func() { v.run(lines) })
	return v
}

// Show replaces what is shown.
func (v *ttyView) Show(m Model) {
	v.p.show(m)
	if v.bar != nil {
		v.bar.update()
	}
	v.wake()
}

func (v *ttyView) wake() {
	select {
	case v.kick <- struct{}{}:
	default:
	}
}

// Actions gives what the customer did.
func (v *ttyView) Actions() <-chan Action { return v.p.actions }

// Bar tells whether the bar is seen.
func (v *ttyView) Bar() BarHealth { return barHealth(v.p, v.bar) }

// Close ends reading and waits.
func (v *ttyView) Close() error {
	close(v.quit)
	err := v.term.Close()
	v.wg.Wait()
	if v.bar != nil {
		v.bar.close()
	}
	v.p.close()
	return err
}

func (v *ttyView) run(lines <-chan string) {
	shown := ""
	for {
		select {
		case <-v.quit:
			return
		case <-v.kick:
		case l, ok := <-lines:
			if !ok {
				lines = nil // the terminal is gone; the session is the host's business
				continue
			}
			if !v.answer(strings.TrimSpace(l)) {
				v.print(v.p.w.TTYUnknown + "\n")
			}
			shown = ""
		}
		page := v.p.page()
		// times tick on; only what changes otherwise is worth printing again
		if text := pageText(page, v.p.w, false); text != shown {
			shown = text
			v.print(pageText(page, v.p.w, true))
		}
	}
}

func (v *ttyView) print(s string) {
	if _, err := io.WriteString(v.term, s); err != nil {
		v.log.Debug("terminal", "err", err)
	}
}

// choice is something a line can choose.
type choice struct {
	button string
	right  grant.Rights
	on     bool
}

// choices numbers what a page offers, from 1.
func choices(p Page) []choice {
	var c []choice
	for _, b := range p.Blocks {
		if b.Kind == BlockCheck || b.Kind == BlockSwitch {
			c = append(c, choice{right: b.Right, on: b.On})
		}
		if b.Kind == BlockPick {
			c = append(c, choice{button: b.ID})
		}
	}
	for _, b := range p.Buttons {
		if b.ID != "submit-link" && b.ID != "submit-code" {
			c = append(c, choice{button: b.ID})
		}
	}
	return c
}

// answer acts on one line.
func (v *ttyView) answer(l string) bool {
	p := v.p.page()
	if l == "" {
		return true
	}
	if n, err := strconv.Atoi(l); err == nil && len(l) <= 2 {
		c := choices(p)
		if n < 1 || n > len(c) {
			return false
		}
		if one := c[n-1]; one.button != "" {
			v.p.press(one.button, input{})
		} else {
			v.p.set(one.right, !one.on)
		}
		return true
	}
	for _, b := range p.Buttons {
		switch {
		case strings.EqualFold(l, b.Text) && b.ID != "submit-link" && b.ID != "submit-code":
			v.p.press(b.ID, input{})
			return true
		case b.ID == "submit-link":
			v.p.press(b.ID, input{Link: l})
			return true
		case b.ID == "submit-code":
			v.p.press(b.ID, input{Code: l})
			return true
		}
	}
	return false
}

// pageText is a page as lines of text. Without live it leaves out what changes
// by itself, to compare.
func pageText(p Page, w *words, live bool) string {
	var b strings.Builder
	f := &face80{}
	b.WriteString("\n" + strings.Repeat("─", 72) + "\n")
	if p.Lead != "" {
		b.WriteString(p.Lead + "\n")
	}
	b.WriteString(f.wrap(p.Title) + "\n\n")
	n := 0
	mark := map[bool]string{true: w.TTYYes, false: w.TTYNo}
	for _, k := range p.Blocks {
		switch k.Kind {
		case BlockHead:
			b.WriteString("\n" + f.wrap(k.Text) + "\n")
		case BlockCheck, BlockSwitch:
			n++
			fmt.Fprintf(&b, "  %2d  %s %s\n", n, mark[k.On], k.Text)
		case BlockPick:
			n++
			fmt.Fprintf(&b, "  %2d  %s\n", n, strings.TrimSpace(k.Text+"  "+k.Detail))
		case BlockList:
			for _, it := range k.Items {
				fmt.Fprintf(&b, "  %s  %s\n", it.Lead, it.Text)
			}
		case BlockRing:
			if live {
				b.WriteString(k.Text + "\n")
			}
		case BlockField, BlockCode:
		case BlockDetails:
			b.WriteString(f.wrap(k.Label+": "+k.Text) + "\n")
		case BlockNote, BlockStatus:
			b.WriteString(strings.TrimSpace(k.Tone.Glyph()+" "+f.wrap(strings.TrimSpace(k.Text+" "+k.Detail))) + "\n")
		default:
			b.WriteString(f.wrap(k.Text) + "\n")
		}
	}
	b.WriteString("\n")
	ask := ""
	for _, k := range p.Buttons {
		if k.ID == "submit-link" || k.ID == "submit-code" {
			ask = p.Title
			continue
		}
		n++
		fmt.Fprintf(&b, "  %2d  %s\n", n, k.Text)
	}
	for _, k := range p.Blocks {
		switch k.Kind {
		case BlockField:
			ask = k.Label
		case BlockCode:
			ask = w.TTYCode
		}
	}
	if ask != "" {
		b.WriteString("\n" + ask + ": ")
	} else if len(p.Buttons) > 0 {
		b.WriteString("\n" + w.TTYPrompt + ": ")
	}
	return b.String()
}

// face80 wraps text for a terminal of 76 columns.
type face80 struct{}

func (*face80) wrap(s string) string {
	var b strings.Builder
	n := 0
	for i, word := range strings.Fields(s) {
		l := len([]rune(word))
		switch {
		case i == 0:
		case n+1+l > 76:
			b.WriteByte('\n')
			n = 0
		default:
			b.WriteByte(' ')
			n++
		}
		b.WriteString(word)
		n += l
	}
	return b.String()
}
