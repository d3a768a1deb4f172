// Command signaling is the Daypass signaling server: it introduces consoles and
// hosts to each other, keeps the limits, serves the deployment page and relays
// what cannot go directly. It could not read a session if it wanted to. The
// work is in package server; this file only reads the command line.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"daypass/backend/fault"
	"daypass/backend/version"
	"daypass/signaling/postman"
	"daypass/signaling/server"
)

const usage = `Usage: daypass-signaling VERB [OPTIONS]

  serve         serve consoles, hosts, the deployment page, STUN and TURN
      --data DIR            database and signing key (made with mode 0700)
      --listen HOST:PORT    where to listen; plain HTTP on loopback only, but see below
      --public-url URL      what links begin with, if it is not the address above
      --downloads DIR       programs for customers: daypass-host-<os>-<arch>[.exe], optional
                            SHA256SUMS (what differs is not offered) and SIGNER (one line)
      --cert FILE, --key FILE    serve HTTPS, and TURN over TLS, on the same port; files that
                            change are read again while serving
      --acme HOST           fetch and renew the certificate (port 443 of HOST must lead here)
          --acme-email ADDR, --acme-directory URL    for the authority's warnings; another authority
      --insecure-lan        allow plain HTTP on addresses other than loopback, said openly everywhere
      --turn-listen HOST:PORT    UDP of STUN and TURN (default: the host above, port 3478)
      --turn-public IP      address in relayed candidates, behind a 1:1 NAT
      --no-turn             serve neither STUN nor TURN
      --smtp-host HOST, --smtp-from ADDR    mail server for companies whose policy is that the server
                            sends invitations; the server then knows their links' passwords
      --smtp-port PORT      default 587 for starttls, 465 for tls, 25 for none
      --smtp-security HOW   starttls (default), tls, or none (only to this computer)
      --smtp-user USER, --smtp-password-file FILE    sign-in at the mail server
      --debug               log more

  All of these work beside a running server, which follows within seconds:
  admin create          make an admin and print the complete sign-in as JSON on standard output
      --data DIR  --email ADDR  [--name NAME]  [--company NAME]
  admin person reset    give an account a new password and second factor, print them likewise, and
                        end its sign-ins
      --data DIR  --email ADDR
  admin company create  add a company with the default policy;  --data DIR  --name NAME
  admin company list    print name, people, live sessions and state, one company a line;  --data DIR
  admin company suspend end a company's sessions and sign-ins;  --data DIR  --name NAME
  admin company resume  let it work again;  --data DIR  --name NAME
  admin verify          check the database, the audit chain and its signed checkpoints;  --data DIR
  admin backup          write database and signing key into a new directory;  --data DIR  --to DIR
  admin restore         copy a backup into an empty data directory and verify it
      --from DIR  --data DIR
  version       print the version

Exit status: 0 done, 1 failed, 2 wrong usage. Server, errors and log go to standard error.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

var errUsage = errors.New("usage")

// run is main without the process: it returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	err := verb(ctx, args, stdout, stderr)
	if err == nil {
		return 0
	}
	status, words := 2, usage
	if !errors.Is(err, errUsage) {
		f := fault.Of(err)
		status, words = 1, "daypass-signaling: "+f.Message+"\n"
		if f.Hint != "" {
			words += "  " + f.Hint + "\n"
		}
		if f.Err != nil {
			words += fmt.Sprintf("  (%v)\n", f.Err)
		}
	}
	if _, err := io.WriteString(stderr, words); err != nil {
		return 1 // nobody listens
	}
	return status
}

// parse reads the options and reports wrong usage.
func parse(fs *flag.FlagSet, args []string, needed ...string) error {
	fs.SetOutput(io.Discard)
	if err := fs.Parse(args); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			return fmt.Errorf("%w: %w", errUsage, err)
		}
		return errUsage
	}
	if fs.NArg() > 0 {
		return errUsage
	}
	for _, n := range needed {
		if fs.Lookup(n).Value.String() == "" {
			return errUsage
		}
	}
	return nil
}

func verb(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	fs := flag.NewFlagSet(args[0], flag.ContinueOnError)
	data := fs.String("data", "", "")
	switch args[0] {
	case "help", "-h", "--help":
		_, err := fmt.Fprint(stdout, usage)
		return err
	case "version":
		_, err := fmt.Fprintln(stdout, "daypass-signaling", version.Version)
		return err
	case "serve":
		return serve(ctx, fs, data, args[1:], stderr)
	case "admin":
		return admin(ctx, fs, data, args[1:], stdout)
	case "verify", "backup", "restore":
		return admin(ctx, fs, data, args, stdout)
	}
	return errUsage
}

// admin carries out one command on the data directory.
func admin(ctx context.Context, fs *flag.FlagSet, data *string, args []string, stdout io.Writer) error {
	what, rest := "", args
	for len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		what, rest = strings.TrimSpace(what+" "+rest[0]), rest[1:]
	}
	option := func(name string) *string { return fs.String(name, "", "") }
	print := func(a server.Account, err error) error {
		if err != nil {
			return err
		}
		e := json.NewEncoder(stdout)
		e.SetIndent("", "  ")
		return e.Encode(a)
	}
	switch what {
	case "create":
		email, name, company := option("email"), option("name"), option("company")
		if err := parse(fs, rest, "data", "email"); err != nil {
			return err
		}
		return print(server.CreateAdmin(ctx, *data, *email, *name, *company))
	case "person reset", "reset":
		email := option("email")
		if err := parse(fs, rest, "data", "email"); err != nil {
			return err
		}
		return print(server.ResetAccount(ctx, *data, *email))
	case "company create":
		name := option("name")
		if err := parse(fs, rest, "data", "name"); err != nil {
			return err
		}
		return server.CreateCompany(ctx, *data, *name)
	case "company suspend", "company resume":
		name := option("name")
		if err := parse(fs, rest, "data", "name"); err != nil {
			return err
		}
		return server.SuspendCompany(ctx, *data, *name, what == "company suspend")
	case "company list":
		if err := parse(fs, rest, "data"); err != nil {
			return err
		}
		return companies(ctx, *data, stdout)
	case "verify":
		if err := parse(fs, rest, "data"); err != nil {
			return err
		}
		n, c, err := server.Verify(ctx, *data)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(stdout, "ok: %d entries, %d signed checkpoints\n", n, c)
		return err
	case "backup":
		to := option("to")
		if err := parse(fs, rest, "data", "to"); err != nil {
			return err
		}
		return server.Backup(ctx, *data, *to)
	case "restore":
		from := option("from")
		if err := parse(fs, rest, "data", "from"); err != nil {
			return err
		}
		return server.Restore(ctx, *from, *data)
	}
	return errUsage
}

func companies(ctx context.Context, data string, stdout io.Writer) error {
	list, err := server.Companies(ctx, data)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	line := func(format string, args ...any) {
		if err == nil {
			_, err = fmt.Fprintf(w, format+"\n", args...)
		}
	}
	line("COMPANY\tPEOPLE\tLIVE SESSIONS\tSTATE")
	for _, c := range list {
		state := "active"
		if c.Suspended {
			state = "suspended"
		}
		line("%s\t%d\t%d\t%s", c.Name, c.People, c.Live, state)
	}
	if err != nil {
		return err
	}
	return w.Flush()
}

// tune keeps the process small until ctx is done. What thousands of idle sockets
// need lives long and is little; password hashing takes 64 MiB now and then,
// which go back to the system within a minute. A limit of memory would not do:
// near it the collector never rests. GOGC wins over this.
func tune(ctx context.Context) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	t := time.NewTicker(time.Minute)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			debug.FreeOSMemory()
		}
	}
}

func serve(ctx context.Context, fs *flag.FlagSet, data *string, args []string, stderr io.Writer) error {
	cfg := server.Config{}
	fs.StringVar(&cfg.Listen, "listen", "", "")
	fs.StringVar(&cfg.PublicURL, "public-url", "", "")
	fs.StringVar(&cfg.Downloads, "downloads", "", "")
	fs.BoolVar(&cfg.InsecureLAN, "insecure-lan", false, "")
	for _, old := range []string{"", "tls-"} { // what they were called before
		fs.StringVar(&cfg.TLSCert, old+"cert", "", "")
		fs.StringVar(&cfg.TLSKey, old+"key", "", "")
	}
	fs.StringVar(&cfg.ACME.Host, "acme", "", "")
	fs.StringVar(&cfg.ACME.Email, "acme-email", "", "")
	fs.StringVar(&cfg.ACME.Directory, "acme-directory", "", "")
	fs.StringVar(&cfg.TURN.Listen, "turn-listen", "", "")
	fs.BoolVar(&cfg.TURN.Disabled, "no-turn", false, "")
	public := fs.String("turn-public", "", "")
	var smtp postman.Config
	fs.StringVar(&smtp.Server.Host, "smtp-host", "", "")
	fs.StringVar(&smtp.Server.From, "smtp-from", "", "")
	fs.IntVar(&smtp.Server.Port, "smtp-port", 0, "")
	fs.StringVar((*string)(&smtp.Server.Security), "smtp-security", "", "")
	fs.StringVar(&smtp.Server.User, "smtp-user", "", "")
	fs.StringVar(&smtp.PasswordFile, "smtp-password-file", "", "")
	debug := fs.Bool("debug", false, "")
	if err := parse(fs, args, "data", "listen"); err != nil {
		return err
	}
	if *public != "" {
		ip, err := netip.ParseAddr(*public)
		if err != nil {
			return fault.Wrap(err, fault.Invalid, "server.start", "--turn-public is not an IP address.", "Give the address that the relay has on the internet.")
		}
		cfg.TURN.Public = ip
	}
	if smtp != (postman.Config{}) {
		cfg.SMTP = &smtp
	}
	level := slog.LevelInfo
	if *debug {
		level = slog.LevelDebug
	}
	cfg.Log = slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	cfg.DataDir = *data
	go tune(ctx)
	s, err := server.Start(ctx, cfg)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Wait() }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		cfg.Log.Info("ending: sockets are asked to come back later")
	}
	cctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return errors.Join(err, s.Close(cctx))
}
