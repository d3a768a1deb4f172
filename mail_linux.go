package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// openMail hands the address to the desktop's opener and waits for its verdict:
// unlike Wails' own way it says when there is no mail program.
func openMail(ctx context.Context, address string) error {
	if !strings.HasPrefix(address, "mailto:") {
		return errors.New("not a mail address")
	}
	path, err := exec.LookPath("xdg-open")
	if err != nil {
		return err
	}
	// An argument, never a shell; the mail program outlives what asked for it.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), path, address)
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("xdg-open: %w", err)
		}
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(5 * time.Second):
		// Some openers stay as long as the program they started.
	}
	return nil
}
