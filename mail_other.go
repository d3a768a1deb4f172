//go:build !linux

package main

import (
	"context"
	"errors"
	"strings"

	wails "github.com/wailsapp/wails/v2/pkg/runtime"
)

func openMail(ctx context.Context, address string) error {
	if !strings.HasPrefix(address, "mailto:") {
		return errors.New("not a mail address")
	}
	wails.BrowserOpenURL(ctx, address)
	return nil
}
