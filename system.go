package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	_ "embed"

	"daypass/backend/console"
	"daypass/backend/desk"
	"daypass/signaling/server"
)

var (
	//go:embed build/appicon.png
	icon []byte
	//go:embed build/licences.json
	licenceList []byte
)

var (
	errNoWindow = errors.New("the window is not open yet")
	errSlow     = errors.New("the program that owns the clipboard does not answer")
)

// embedServer gives the desk the signaling server that runs inside the console.
func embedServer(cfg *desk.Config, log *slog.Logger) {
	cfg.CreateAdmin = func(ctx context.Context, dir, email, name, company string) (string, string, error) {
		a, err := server.CreateLocal(ctx, dir, email, name, company)
		return a.Email, a.Password, err
	}
	cfg.Embed = func(ctx context.Context, e desk.EmbedConfig) (desk.Embedded, error) {
		sc := server.Config{DataDir: e.DataDir, Listen: "127.0.0.1:0", Downloads: downloads(), Log: log, Embedded: true}
		if e.LAN != "" {
			sc.Listen, sc.InsecureLAN = net.JoinHostPort(e.LAN, "0"), true
		}
		s, err := server.Start(ctx, sc)
		if err != nil {
			return nil, err
		}
		return s, nil
	}
}

// downloads is the folder of the customers' programs: beside this program,
// where a Debian package puts them, or where the build does.
func downloads() string {
	exe, err := os.Executable()
	if err != nil {
		return ""
	}
	if real, err := filepath.EvalSymlinks(exe); err == nil {
		exe = real
	}
	dir := filepath.Dir(exe)
	for _, d := range []string{filepath.Join(dir, "downloads"), filepath.Join(dir, "..", "share", "daypass", "downloads"), filepath.Join(dir, "..", "build", "bin", "downloads")} {
		if st, err := os.Stat(d); err == nil && st.IsDir() {
			return d
		}
	}
	return ""
}

func lanAddresses() []desk.LANAddress {
	list, err := server.LANAddresses()
	if err != nil {
		return nil
	}
	out := []desk.LANAddress{}
	for _, a := range list {
		out = append(out, desk.LANAddress{Address: a.Address.String(), Name: a.Name})
	}
	return out
}

// systemChecks are the doctor's findings on this computer.
func systemChecks() []console.Check {
	d := downloads()
	var programs []string
	if d != "" {
		if list, err := os.ReadDir(d); err == nil {
			for _, e := range list {
				programs = append(programs, e.Name())
			}
		}
	}
	check := func(name string, ok bool, detail, hint string) console.Check {
		if ok {
			hint = ""
		}
		return console.Check{Name: name, OK: ok, Detail: detail, Hint: hint}
	}
	lan := lanAddresses()
	addresses := make([]string, 0, len(lan))
	for _, a := range lan {
		addresses = append(addresses, a.Address+" ("+a.Name+")")
	}
	out := []console.Check{
		check("Customers' programs", len(programs) > 0, strings.Join(programs, ", "), "Build them with make; they belong in a folder named downloads beside this program."),
		check("Network", len(lan) > 0, strings.Join(addresses, ", "), "Connect this computer to a network."),
	}
	if runtime.GOOS == "linux" {
		nodes, err := filepath.Glob("/dev/dri/renderD*")
		detail := "none; the page is painted without it"
		if err == nil && len(nodes) > 0 {
			detail = strings.Join(nodes, ", ")
		}
		out = append(out, check("Graphics", true, detail, ""))
	}
	return out
}

// licences lists the works of others in Daypass's programs and its page, as
// build/licences found them, and Go itself.
func licences() []console.Licence {
	out := []console.Licence{}
	if err := json.Unmarshal(licenceList, &out); err != nil {
		panic("build/licences.json: " + err.Error()) // part of the program; test/law compares it
	}
	return append(out, console.Licence{Name: "Go", Version: runtime.Version(), Licence: "BSD-3-Clause"})
}
