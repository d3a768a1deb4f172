// Command smtpd runs the mail server of package smtpd as a process of its own:
// each mail that arrives becomes a file, the port is said on standard output.
package main

import (
	"encoding/pem"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"sync/atomic"

	"daypass/test/smtpd"
)

func main() {
	dir := flag.String("dir", "", "where mails are put: 1.eml, 2.eml, ...")
	listen := flag.String("listen", "127.0.0.1:0", "where to listen")
	security := flag.String("security", "starttls", "starttls, tls or none")
	user := flag.String("user", "", "user who may send; empty: everybody")
	password := flag.String("password", "", "its password")
	cert := flag.String("cert", "", "file that gets the certificate, PEM")
	flag.Parse()
	var n atomic.Int64
	cfg := smtpd.Config{Listen: *listen, Security: map[string]smtpd.Security{"starttls": smtpd.StartTLS, "tls": smtpd.TLS, "none": smtpd.Plain}[*security], User: *user, Password: *password}
	cfg.Took = func(m smtpd.Mail) {
		if *dir == "" {
			return
		}
		if err := os.WriteFile(filepath.Join(*dir, fmt.Sprintf("%d.eml", n.Add(1))), m.Data, 0o600); err != nil {
			log.Print(err)
		}
	}
	s, err := smtpd.Start(cfg)
	if err != nil {
		log.Fatal(err)
	}
	if *cert != "" {
		if err := os.WriteFile(*cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.CA.Raw}), 0o600); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(s.Port)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt)
	<-stop
	s.Close()
}
