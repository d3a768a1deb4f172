package main

import (
	"crypto/rand"
	"fmt"

	wails "github.com/wailsapp/wails/v2/pkg/runtime"
)

// notify shows a short text on the desktop, by the system's own notifications.
func (a *app) notify(title, text string) error {
	ctx := a.context()
	if ctx == nil {
		return errNoWindow
	}
	a.notifying.Lock()
	defer a.notifying.Unlock()
	if !a.notifies {
		if err := wails.InitializeNotifications(ctx); err != nil {
			return fmt.Errorf("notifications: %w", err)
		}
		a.notifies = true
	}
	if err := wails.SendNotification(ctx, wails.NotificationOptions{ID: rand.Text(), Title: title, Body: text}); err != nil {
		return fmt.Errorf("notifications: %w", err)
	}
	return nil
}
