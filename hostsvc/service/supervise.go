package service

import (
	"context"
	"log/slog"
	"time"
)

// Desktop is a person's graphical session.
type Desktop struct {
	Display string   // ":0"
	Env     []string // what a program in it needs: DISPLAY, XAUTHORITY, the session bus
}

// Agent is a running agent.
type Agent interface {
	// Done is closed when it has ended.
	Done() <-chan struct{}
	// Stop asks it to end and waits, at most for some seconds.
	Stop()
}

// Times of the supervision.
const (
	look     = time.Second      // how often it looks
	retryMin = time.Second      // after an agent ended by itself
	retryMax = 30 * time.Second // and after it did so again and again
	steady   = time.Minute      // an agent that lived so long did not fail at once
)

// Supervisor keeps one agent going. All fields are required.
type Supervisor struct {
	// Wanted reports whether there is still something to do.
	Wanted func() bool
	// Held reports whether somebody else does it: the program that the person
	// started, whose window is open.
	Held func() bool
	// Desktop finds the person's desktop; false while nobody is signed in.
	Desktop func() (Desktop, bool)
	// Start runs the agent in d, or without a desktop when d is nil.
	Start func(ctx context.Context, d *Desktop) (Agent, error)
	Log   *slog.Logger
}

// Run supervises until there is nothing to do any more, or ctx ends.
func (s *Supervisor) Run(ctx context.Context) error {
	t := time.NewTicker(look)
	defer t.Stop()
	var (
		agent   Agent
		in      string // its display; "" without a desktop
		since   time.Time
		wait    = time.Duration(0)
		notYet  time.Time
		stopped = func() <-chan struct{} {
			if agent == nil {
				return nil
			}
			return agent.Done()
		}
	)
	defer func() {
		if agent != nil {
			agent.Stop()
		}
	}()
	for {
		if agent != nil {
			select {
			case <-agent.Done():
				agent = nil
				if time.Since(since) >= steady {
					wait = 0
				}
				wait = min(max(2*wait, retryMin), retryMax)
				notYet = time.Now().Add(wait)
				s.Log.Info("agent ended", "again_in", wait)
			default:
			}
		}
		if agent == nil && !s.Wanted() {
			return nil
		}
		d, there := s.Desktop()
		if agent != nil && in != d.Display { // signed in, signed out, or another desktop
			s.Log.Info("the desktop changed", "was", in, "is", d.Display)
			agent.Stop()
			agent, wait, notYet = nil, 0, time.Time{}
		}
		if agent == nil && !time.Now().Before(notYet) && s.Wanted() && !s.Held() {
			var to *Desktop
			if there {
				to = &d
			}
			a, err := s.Start(ctx, to)
			if err != nil {
				wait = min(max(2*wait, retryMin), retryMax)
				notYet = time.Now().Add(wait)
				s.Log.Warn("agent not started", "cause", err)
			} else {
				agent, since, in = a, time.Now(), d.Display
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		case <-stopped():
		}
	}
}
