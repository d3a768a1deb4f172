//go:build !lab

package main

import (
	"context"
	"flag"

	"github.com/wailsapp/wails/v2/pkg/options"

	"daypass/backend/desk"
)

// lab is whether this program runs a session without a person (lab.go).
const lab = false

type labFlags struct{}

func (labFlags) define(*flag.FlagSet)                    {}
func (labFlags) check() error                            { return nil }
func (labFlags) start(context.Context, *desk.Desk, *app) {}
func (labFlags) window(*options.App)                     {}
