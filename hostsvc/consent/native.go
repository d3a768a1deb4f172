package consent

import "strings"

// Native says in lang what the program itself says in English: why something
// was refused, and what was put on the computer. What follows in brackets is a
// path and stays. A text that is not known stays as it is.
func Native(text, lang string) string { return catalogue(lang).native(text) }

func (w *words) native(text string) string {
	if w.Lang != "de" {
		return text
	}
	if s, ok := inGerman[text]; ok {
		return s
	}
	if what, rest, ok := strings.Cut(text, " ("); ok {
		if s, ok := inGerman[what]; ok {
			return s + " (" + rest
		}
	}
	if rest, ok := strings.CutPrefix(text, "Remove "); ok {
		if dir, ok := strings.CutSuffix(rest, ", then start the program again."); ok {
			return "Entfernen Sie " + dir + " und starten Sie das Programm dann noch einmal."
		}
	}
	return text
}

// inGerman are the texts of hostsvc that reach the customer in a page; a test
// finds missing ones.
var inGerman = map[string]string{
	// what was put on the computer
	"a folder for it":                                        "ein Ordner dafür",
	"the folder it lay in":                                   "der Ordner, in dem es lag",
	"something of this program that nobody listed":           "etwas von diesem Programm, das niemand verzeichnet hat",
	"the count of connections":                               "die Zählung der Verbindungen",
	"the downloaded program":                                 "das heruntergeladene Programm",
	"the entry that starts the program after a restart":      "der Eintrag, der das Programm nach einem Neustart startet",
	"the entry that starts the program when you sign in":     "der Eintrag, der das Programm bei der Anmeldung startet",
	"the installed program":                                  "das installierte Programm",
	"the keys of the session":                                "die Schlüssel der Sitzung",
	"the link that switches that entry on":                   "die Verknüpfung, die diesen Eintrag einschaltet",
	"the mark that the program runs":                         "das Zeichen, dass das Programm läuft",
	"the note that tells the server":                         "die Notiz, die den Server benachrichtigt",
	"the program in its own folder":                          "das Programm in seinem eigenen Ordner",
	"the record of the 24 hours":                             "die Aufzeichnung der 24 Stunden",
	"the record of what was done":                            "das Protokoll dessen, was getan wurde",
	"the service's folder, of this computer's administrator": "der Ordner des Dienstes, der dem Administrator dieses Computers gehört",
	"the session's folder with its keys":                     "der Ordner der Sitzung mit ihren Schlüsseln",

	// why something was refused
	"The program cannot store what it needs.":                            "Das Programm kann nicht speichern, was es braucht.",
	"Make some room on the disk, then try again.":                        "Schaffen Sie etwas Platz auf der Festplatte, und versuchen Sie es noch einmal.",
	"The program cannot make sure that it runs only once.":               "Das Programm kann nicht sicherstellen, dass es nur einmal läuft.",
	"Daypass is running on this computer already.":                       "Daypass läuft auf diesem Computer schon.",
	"Use the window that is open, or end that session first.":            "Benutzen Sie das offene Fenster, oder beenden Sie erst jene Sitzung.",
	"Daypass is being started or ended on this computer at this moment.": "Daypass wird auf diesem Computer gerade gestartet oder beendet.",
	"Wait a few seconds, then start it again.":                           "Warten Sie ein paar Sekunden, und starten Sie es dann noch einmal.",
	"The folder for this program's keys does not belong to you alone.":   "Der Ordner für die Schlüssel der Sitzung gehört nicht Ihnen allein.",
	"What this program stored about the session is damaged.":             "Was dieses Programm über die Sitzung gespeichert hat, ist beschädigt.",
	"The session ends now.":                                              "Die Sitzung endet jetzt.",
	"There is no place for the receipt.":                                 "Für den Beleg gibt es keinen Platz.",
	"Choose a folder of yours.":                                          "Wählen Sie einen Ordner, der Ihnen gehört.",
	"The receipt could not be saved there.":                              "Der Beleg konnte dort nicht gespeichert werden.",
	"Choose another folder.":                                             "Wählen Sie einen anderen Ordner.",
	"The receipt could not be made.":                                     "Der Beleg konnte nicht erstellt werden.",
	"This invitation was used on another computer.":                      "Diese Einladung wurde auf einem anderen Computer benutzt.",
	"Ask for a new invitation.":                                          "Bitten Sie um eine neue Einladung.",
	"This invitation is over.":                                           "Diese Einladung ist abgelaufen.",
	"The technician took this invitation back.":                          "Der Techniker hat diese Einladung zurückgenommen.",
	"This program and the technician's are of different versions.":       "Dieses Programm und das des Technikers haben verschiedene Versionen.",
	"Ask for a new invitation; its program fits.":                        "Bitten Sie um eine neue Einladung; deren Programm passt.",
	"Too many wrong codes were typed.":                                   "Es wurden zu viele falsche Codes eingegeben.",
	"The technician chose another computer.":                             "Der Techniker hat einen anderen Computer gewählt.",
	"The server's answer does not belong to this session.":               "Die Antwort des Servers gehört nicht zu dieser Sitzung.",
	"The program's folder has a wrong name.":                             "Der Programmordner hat einen falschen Namen.",
	"This session was begun on this computer before.":                    "Diese Sitzung wurde auf diesem Computer schon einmal begonnen.",
	"Close the other window of this program first.":                      "Schließen Sie erst das andere Fenster von Daypass.",
	"The list of what was put on this computer is damaged.":              "Die Liste dessen, was auf diesen Computer gelegt wurde, ist beschädigt.",
	"The server answered for another session.":                           "Der Server hat für eine andere Sitzung geantwortet.",
	"Check the link.":                                                    "Prüfen Sie den Link.",
	"The server cannot be reached.":                                      "Der Server ist nicht erreichbar.",
}
