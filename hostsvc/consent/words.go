package consent

import (
	"fmt"
	"strings"
	"time"

	"daypass/backend/grant"
)

// words is one language's catalogue. Every field is filled in every language
// (a test looks) and %s stand in the same order.
type words struct {
	Lang, Product, WindowTitle string

	// Starting, AskLink
	Starting                                          string
	LinkTitle, LinkText, LinkLabel, LinkHow           string
	LinkUnknown, LinkCut, LinkFile, LinkEmpty         string
	Continue, Back, CloseWindow, TryAgain, DoNotGoOn  string
	ConnectTitle, ReachingServer, WaitingTechnician   string
	CheckingCode, Securing, AtServer                  string
	InviteTitle, InviteFrom, InviteWants              string
	CodeTitle, CodeFirst, CodeSecond, CodeIncomplete  string
	CodeSlip, CodeWrongMany, CodeWrongOne, CodeNew    string
	CodeLocked                                        string
	WillBeAble, Until, UntilDay                       string
	MayView, MayControl, MayClipboard                 string
	MayFiles, MayDashboard, MayTerminal               string
	Unasked, UnaskedText                              string
	AgainTitle, AgainText, AgainNo                    string
	ConnectedTitle, ConnectedNone                     string
	CanSeeControl, CanSee, CanNothing                 string
	StatusWatching, StatusQuiet, StatusPaused         string
	StatusOffline                                     string
	OfflineText, PausedTitle, PausedText              string
	NowAllowed, DoneTitle, DoneNothing                string
	Stop, Resume, EndRemove, StopHelp                 string
	ConfirmTitle, ConfirmText, ConfirmYes, ConfirmNo  string
	EndingTitle, EndingText                           string
	ClosingConnection, RemovingFiles, CheckingRemoval string
	TellingServer, StepOf                             string
	CleanTitle, CleanText, UncleanTitle, UncleanText  string
	RemovedList, LeftList, NotTold                    string
	NotToldLater, SaveElsewhere                       string
	SetLimit, LimitsTitle, LimitsText, LimitTitle     string
	ToTheEnd, ForMinutes, OnlyFolder, AllFolders      string
	FolderHead, AskedTitle, AskedText, AllowFor       string
	NotNow, LineRightOver, LineAsked, LineNotNow      string
	ByTechnician, ByLead, ByCustomer, ByExpiry        string
	ByLapse, ByLock, ByCancel, ByServer               string
	SaveReceipt, ReceiptSaved, ReceiptText            string
	ReceiptAlone                                      string
	ReceiptName, SaveTitle                            string
	Details                                           string
	RefusedTitle, Refused, RefusedHint                string
	AlreadyTitle, Already, AlreadyHint                string
	EarlierTitle, Earlier, EarlierHint                string
	EarlierGoOn, EarlierEnd                           string
	NoDisplayTitle, NoDisplay, NoDisplayHint          string
	WaylandTitle, Wayland, WaylandHint                string
	ExpiredTitle, Expired, ExpiredHint                string
	UsedTitle, Used, UsedHint                         string
	SuspendedTitle, Suspended, SuspendedHint          string
	OfflineTitle, Offline, OfflineHint                string
	UnsupportedTitle, Unsupported, UnsupportedHint    string
	OtherTitle, Other, OtherHint                      string
	LockedTitle, Locked, LockedHint                   string
	CancelledTitle, Cancelled, CancelledHint          string

	// bar
	BarSeesControls, BarSees, BarConnected, BarPaused, BarOpen, BarName, BarKeys string

	// time
	HoursLeft, MinutesLeft, LessThanMinute, LastSeconds string
	Today, Tomorrow, OnDate                             string
	Months                                              [12]string

	// lines of "What was done"
	LineActivated, LineWatching, LineControlling, LineLeft string
	LineRightOn, LineRightOff, LineStopped, LineResumed    string
	LineClipboardIn, LineClipboardOut                      string
	LineOffline, LineOnline                                string
	LineAgain, LineAgainNot                                string
	LineHourLeft, LineMinutesLeft, SoonHour, SoonMinutes   string
	LineRebootAsked, LineReboot, LineRebootNot             string
	LineRebootFailed, LineBack, LineRaised                 string
	LineDisplay, LineKeys, LineBarHidden, LineLockedScreen string
	LineGoesOn, LineObjection, BarMay                      string

	// restarts
	RebootTitle, RebootText, RebootLeft, RebootYes, RebootNo string
	BackBoot, BackLogin, BackNot, Raise, Raising, RaiseNot   string

	// terminal
	TTYPrompt, TTYCode, TTYYes, TTYNo, TTYUnknown string
}

var english = words{
	Lang: "en", Product: "Daypass", WindowTitle: "Help with this computer",

	Starting:          "One moment",
	LinkTitle:         "Paste the link from your invitation",
	LinkText:          "This program does not know yet which invitation it belongs to. The link is in the e-mail that you were sent.",
	LinkLabel:         "Link from the e-mail",
	LinkHow:           "Copy the whole link in the e-mail, then press Ctrl and V here.",
	LinkUnknown:       "This is not a link from an invitation. It begins with “https://” and has a long row of letters and digits at its end.",
	LinkCut:           "The link is not complete. Copy it again with everything behind the “#” sign.",
	LinkFile:          "This file was renamed or is from another invitation, so its name no longer tells where it belongs. Please paste the link.",
	LinkEmpty:         "Paste the link first.",
	Continue:          "Continue",
	Back:              "Back",
	CloseWindow:       "Close",
	TryAgain:          "Try again",
	DoNotGoOn:         "Stop and remove",
	ConnectTitle:      "Connecting",
	ReachingServer:    "Asking the server about your invitation",
	WaitingTechnician: "Waiting for %s to answer",
	CheckingCode:      "Checking the code",
	Securing:          "Making the connection that only you and %s can read",
	AtServer:          "Server: %s",
	InviteTitle:       "%s wants to help you with this computer",
	InviteFrom:        "from %s",
	InviteWants:       "Your technician",
	CodeTitle:         "Type the code that %s tells you",
	CodeFirst:         "First four digits of the code",
	CodeSecond:        "Last four digits of the code",
	CodeIncomplete:    "The code has eight digits.",
	CodeSlip:          "Something was mistyped. Please compare the digits and try again. This did not count as a try.",
	CodeWrongMany:     "This is not the code. Ask %s to read it out again. You have %d tries left.",
	CodeWrongOne:      "This is not the code. Ask %s to read it out again. You have one try left.",
	CodeNew:           "This code can no longer be used. %s will tell you a new one.",
	CodeLocked:        "Too many wrong codes were typed. For your safety this invitation is closed.",
	WillBeAble:        "%s will be able to",
	Until:             "For 24 hours at most. You can stop at any time.",
	UntilDay:          "Until %s at most. You can stop at any time.",
	MayView:           "see the screen",
	MayControl:        "use the mouse and the keyboard",
	MayClipboard:      "exchange copied text",
	MayFiles:          "copy files",
	MayDashboard:      "use repair tools",
	MayTerminal:       "use the command line",
	Unasked:           "Did someone call you unasked? Stop.",
	AgainTitle:        "%s asks to connect anew",
	AgainText:         "The technician’s program was set up anew or runs on another computer now. Your session and its end stay as they are. Only go on if you are speaking with %s at this moment.",
	AgainNo:           "No, leave it as it is",
	UnaskedText:       "Banks, the police and large companies never call to help with your computer.",
	ConnectedTitle:    "%s is ready to help",
	ConnectedNone:     "Nobody sees your screen now. You will see a bar at the top when that changes.",
	CanSeeControl:     "%s can see and control this computer",
	CanSee:            "%s can see this computer",
	CanNothing:        "%s is connected",
	StatusWatching:    "Connected now",
	StatusQuiet:       "Nobody is watching",
	StatusPaused:      "Stopped by you",
	StatusOffline:     "Technician offline",
	OfflineText:       "The connection to %s is interrupted. It comes back by itself.",
	PausedTitle:       "You stopped the connection",
	PausedText:        "Nobody sees or controls this computer now. Nothing goes on until you resume.",
	NowAllowed:        "%s may",
	DoneTitle:         "What was done",
	DoneNothing:       "Nothing yet",
	Stop:              "Stop",
	Resume:            "Resume",
	EndRemove:         "End and remove",
	StopHelp:          "Stop works at once, even without a network.",
	ConfirmTitle:      "End the session with %s?",
	ConfirmText:       "The connection is closed and this program is removed from this computer. To get help again you need a new invitation.",
	ConfirmYes:        "End and remove",
	ConfirmNo:         "Keep the session",
	EndingTitle:       "Ending and removing",
	EndingText:        "This takes a few seconds. You do not have to do anything.",
	ClosingConnection: "Closing the connection",
	RemovingFiles:     "Removing what was put on this computer",
	CheckingRemoval:   "Checking that everything is gone",
	TellingServer:     "Telling the server",
	StepOf:            "step %d of %d",
	CleanTitle:        "Everything was removed",
	CleanText:         "Nothing of this program is left on this computer.",
	UncleanTitle:      "Not everything could be removed",
	UncleanText:       "The connection is closed and cannot be opened again. Some files are still there:",
	RemovedList:       "What was removed",
	LeftList:          "What is still there",
	NotToldLater:      "A small note without any keys to your computer stays until the server can be reached, for 7 days at most. Then it goes by itself.",
	SaveElsewhere:     "Save another copy",
	SetLimit:          "Set a time limit",
	LimitsTitle:       "How long may %s do this?",
	LimitsText:        "What has a time limit switches itself off. You can switch it on again at any time.",
	LimitTitle:        "How long: %s?",
	ToTheEnd:          "until the session ends",
	ForMinutes:        "for %d minutes",
	OnlyFolder:        "only in %s",
	AllFolders:        "in all your folders",
	FolderHead:        "In which folder",
	AskedTitle:        "%s asks you to allow: %s",
	AskedText:         "Nothing changes unless you allow it. You can switch it off again at any time.",
	AllowFor:          "Allow %s",
	NotNow:            "Not now",
	LineRightOver:     "The time you had set was over: %s",
	LineAsked:         "%s asked to be allowed: %s",
	LineNotNow:        "Not allowed: %s",
	NotTold:           "The server could not be told, because there is no network. That changes nothing on this computer.",
	ByTechnician:      "%s ended the session.",
	ByLead:            "A lead of %s’s company ended the session.",
	ByCustomer:        "You ended the session.",
	ByExpiry:          "The time of the session was over.",
	ByLapse:           "The invitation was not used in time.",
	ByLock:            "Too many wrong codes were typed.",
	ByServer:          "The server does not know this session any more.",
	ByCancel:          "%s took the invitation back.",
	SaveReceipt:       "Save my receipt",
	ReceiptSaved:      "Your receipt was saved as %s",
	ReceiptAlone:      "The receipt tells what was done, signed by this computer only: the technician’s program could not be reached. Keep it if you ever have a question.",
	ReceiptText:       "The receipt tells what was done, signed by both sides. Keep it if you ever have a question.",
	ReceiptName:       "Support receipt",
	SaveTitle:         "Save my receipt",
	Details:           "Details",

	RefusedTitle: "This did not work", Refused: "Something went wrong.", RefusedHint: "Ask the person who invited you.",
	AlreadyTitle: "Help is already going on here", Already: "This computer already runs a session: %s.",
	AlreadyHint:    "End that session first, then open this program again.",
	EarlierTitle:   "An earlier session is not over",
	Earlier:        "A session was begun on this computer and is not over: %s.",
	EarlierHint:    "Continue it, or end it and use the new invitation. What the earlier session put on this computer is removed then.",
	EarlierGoOn:    "Continue the earlier session",
	EarlierEnd:     "End it, use the new invitation",
	NoDisplayTitle: "There is no screen here", NoDisplay: "This program was started where no desktop is running, so there is nothing to show.",
	NoDisplayHint: "Open it from the desktop of the computer that needs help.",
	WaylandTitle:  "One step before we can begin", Wayland: "Your desktop uses Wayland, which does not let this program show the screen.",
	WaylandHint:  "Log out. At the login screen choose your name, open the menu with the gear, pick the entry with “Xorg” or “X11”, log in and open this program again.",
	ExpiredTitle: "This invitation is over", Expired: "An invitation can be used for 24 hours.",
	ExpiredHint: "Ask for a new invitation.",
	UsedTitle:   "This invitation was used already", Used: "Each invitation works once and on one computer.",
	UsedHint:       "If it was not you who used it, tell the person who invited you. Otherwise ask for a new invitation.",
	SuspendedTitle: "%s cannot help through Daypass now", Suspended: "The server does not serve this company at the moment.",
	SuspendedHint: "Call the company at a number that you know.",
	OfflineTitle:  "The server cannot be reached", Offline: "There was no answer from %s.",
	OfflineHint:      "Check whether this computer is online, then try again.",
	UnsupportedTitle: "This computer is not supported", Unsupported: "This program does not work with this system or this version of it.",
	UnsupportedHint: "Tell the person who invited you which computer you use.",
	OtherTitle:      "Another computer was chosen", Other: "%s goes on with another computer that opened the same invitation.",
	OtherHint:   "If that was not your computer, call %s at once.",
	LockedTitle: "This invitation is closed", Locked: "Too many wrong codes were typed. Nobody can connect with it any more.",
	LockedHint:     "Ask for a new invitation.",
	CancelledTitle: "The invitation was taken back", Cancelled: "%s does not need to connect to this computer any more.",
	CancelledHint: "Nothing is left on this computer.",

	BarSeesControls: "sees and controls", BarSees: "sees", BarConnected: "connected", BarPaused: "stopped by you",
	BarOpen: "Show the window", BarMay: "May", BarName: "Connection to your technician",
	BarKeys: "Ctrl, Alt and Home bring the keyboard to the bar above.",

	HoursLeft: "%d h %02d min left", MinutesLeft: "%d min left", LessThanMinute: "less than a minute left", LastSeconds: "time is over",
	Today: "%s today", Tomorrow: "tomorrow %s", OnDate: "%[2]d %[1]s, %[3]s",
	Months: [12]string{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"},

	LineActivated: "You typed the code", LineWatching: "%s opened the screen to see it", LineControlling: "%s opened the screen to see and control it",
	LineLeft:    "%s closed the screen",
	LineRightOn: "You allowed: %s", LineRightOff: "You no longer allow: %s", LineStopped: "You pressed Stop", LineResumed: "You pressed Resume",
	LineClipboardIn: "%s sent text to your clipboard", LineClipboardOut: "%s took the text from your clipboard",
	LineOffline: "The connection was interrupted", LineOnline: "The connection is back",
	LineAgain: "You typed a new code: the technician’s program is another one now", LineAgainNot: "The technician asked to connect anew; you did not allow it",
	LineHourLeft: "Less than an hour is left", LineMinutesLeft: "Less than ten minutes are left",
	SoonHour:    "Less than an hour is left. At the end everything is closed and this program removes itself; you do not have to do anything.",
	SoonMinutes: "Less than ten minutes are left. Then everything is closed and this program removes itself. Save what you are working on together; nobody can extend the session.",

	LineRebootAsked: "%s asked to restart this computer", LineReboot: "The computer restarts", LineRebootNot: "You did not let the computer restart",
	LineRebootFailed: "The computer could not be restarted", LineBack: "The program came back by itself", LineRaised: "You let the program come back without a sign-in",
	LineDisplay: "%s looked at the display %s", LineKeys: "%s sent the key combination %s",
	LineBarHidden: "Paused, because the bar with Stop could not be seen", LineLockedScreen: "Paused, because the screen was locked", LineGoesOn: "Goes on",
	LineObjection: "The technician’s program noted something that did not happen here; this computer did not sign it",

	RebootTitle: "%s wants to restart this computer",
	RebootText:  "Save what you are working on. Programs that are open will be closed.",
	RebootLeft:  "It restarts in %d seconds if you do nothing.",
	RebootYes:   "Restart now", RebootNo: "Do not restart",
	BackBoot:  "After a restart this computer comes back by itself.",
	BackLogin: "After a restart this computer comes back when you sign in.",
	BackNot:   "After a restart the session does not come back by itself: open the program once more.",
	Raise:     "Come back without sign-in…", Raising: "Your system asks for an administrator’s password. Without it everything stays as it is.",
	RaiseNot: "No administrator’s rights were given; that is no problem.",

	TTYPrompt: "Type a number", TTYCode: "Type the code, or a number to change something",
	TTYYes: "[x]", TTYNo: "[ ]", TTYUnknown: "This is none of the choices.",
}

var german = words{
	Lang: "de", Product: "Daypass", WindowTitle: "Hilfe für diesen Computer",

	Starting:          "Einen Moment",
	LinkTitle:         "Fügen Sie den Link aus Ihrer Einladung ein",
	LinkText:          "Dieses Programm weiß noch nicht, zu welcher Einladung es gehört. Der Link steht in der E-Mail, die Sie bekommen haben.",
	LinkLabel:         "Link aus der E-Mail",
	LinkHow:           "Kopieren Sie den ganzen Link aus der E-Mail und drücken Sie hier Strg und V.",
	LinkUnknown:       "Das ist kein Link aus einer Einladung. Er beginnt mit „https://“ und endet mit einer langen Reihe aus Buchstaben und Ziffern.",
	LinkCut:           "Der Link ist nicht vollständig. Kopieren Sie ihn noch einmal mit allem, was hinter dem Zeichen „#“ steht.",
	LinkFile:          "Diese Datei wurde umbenannt oder gehört zu einer anderen Einladung. Bitte fügen Sie den Link ein.",
	LinkEmpty:         "Fügen Sie zuerst den Link ein.",
	Continue:          "Weiter",
	Back:              "Zurück",
	CloseWindow:       "Schließen",
	TryAgain:          "Noch einmal versuchen",
	DoNotGoOn:         "Abbrechen und entfernen",
	ConnectTitle:      "Verbindung wird aufgebaut",
	ReachingServer:    "Der Server wird nach Ihrer Einladung gefragt",
	WaitingTechnician: "Warten auf die Antwort von %s",
	CheckingCode:      "Der Code wird geprüft",
	Securing:          "Die Verbindung entsteht, die nur Sie und %s lesen können",
	AtServer:          "Server: %s",
	InviteTitle:       "%s möchte Ihnen an diesem Computer helfen",
	InviteFrom:        "von %s",
	InviteWants:       "Ihr Techniker",
	CodeTitle:         "Geben Sie den Code ein, den %s Ihnen nennt",
	CodeFirst:         "Die ersten vier Ziffern des Codes",
	CodeSecond:        "Die letzten vier Ziffern des Codes",
	CodeIncomplete:    "Der Code hat acht Ziffern.",
	CodeSlip:          "Da ist ein Tippfehler. Vergleichen Sie bitte die Ziffern. Das zählt nicht als Versuch.",
	CodeWrongMany:     "Das ist nicht der Code. Bitten Sie %s, ihn noch einmal vorzulesen. Sie haben noch %d Versuche.",
	CodeWrongOne:      "Das ist nicht der Code. Bitten Sie %s, ihn noch einmal vorzulesen. Sie haben noch einen Versuch.",
	CodeNew:           "Dieser Code gilt nicht mehr. %s nennt Ihnen einen neuen.",
	CodeLocked:        "Es wurden zu viele falsche Codes eingegeben. Zu Ihrer Sicherheit ist diese Einladung geschlossen.",
	WillBeAble:        "%s wird Folgendes können",
	Until:             "Höchstens 24 Stunden lang. Sie können jederzeit stoppen.",
	UntilDay:          "Höchstens bis %s. Sie können jederzeit stoppen.",
	MayView:           "den Bildschirm sehen",
	MayControl:        "Maus und Tastatur benutzen",
	MayClipboard:      "kopierten Text austauschen",
	MayFiles:          "Dateien kopieren",
	MayDashboard:      "Reparaturwerkzeuge benutzen",
	MayTerminal:       "die Befehlszeile benutzen",
	Unasked:           "Hat Sie jemand unaufgefordert angerufen? Brechen Sie ab.",
	AgainTitle:        "%s möchte sich neu verbinden",
	AgainText:         "Das Programm des Technikers wurde neu eingerichtet oder läuft jetzt auf einem anderen Computer. Ihre Sitzung und ihr Ende bleiben, wie sie sind. Machen Sie nur weiter, wenn Sie gerade mit %s sprechen.",
	AgainNo:           "Nein, so lassen",
	UnaskedText:       "Banken, die Polizei und große Firmen rufen nie an, um an Ihrem Computer zu helfen.",
	ConnectedTitle:    "%s kann Ihnen jetzt helfen",
	ConnectedNone:     "Im Moment sieht niemand Ihren Bildschirm. Wenn sich das ändert, erscheint oben eine Leiste.",
	CanSeeControl:     "%s kann diesen Computer sehen und bedienen",
	CanSee:            "%s kann diesen Computer sehen",
	CanNothing:        "%s ist verbunden",
	StatusWatching:    "Jetzt verbunden",
	StatusQuiet:       "Niemand sieht zu",
	StatusPaused:      "Von Ihnen gestoppt",
	StatusOffline:     "Techniker nicht erreichbar",
	OfflineText:       "Die Verbindung zu %s ist unterbrochen. Sie kommt von selbst zurück.",
	PausedTitle:       "Sie haben die Verbindung gestoppt",
	PausedText:        "Niemand sieht oder bedient jetzt diesen Computer. Es geht erst weiter, wenn Sie fortsetzen.",
	NowAllowed:        "%s darf",
	DoneTitle:         "Was getan wurde",
	DoneNothing:       "Noch nichts",
	Stop:              "Stopp",
	Resume:            "Fortsetzen",
	EndRemove:         "Beenden und entfernen",
	StopHelp:          "Stopp wirkt sofort, auch ohne Netz.",
	ConfirmTitle:      "Die Sitzung mit %s beenden?",
	ConfirmText:       "Die Verbindung wird geschlossen und dieses Programm von diesem Computer entfernt. Für weitere Hilfe brauchen Sie eine neue Einladung.",
	ConfirmYes:        "Beenden und entfernen",
	ConfirmNo:         "Sitzung behalten",
	EndingTitle:       "Wird beendet und entfernt",
	EndingText:        "Das dauert ein paar Sekunden. Sie müssen nichts tun.",
	ClosingConnection: "Die Verbindung wird geschlossen",
	RemovingFiles:     "Was auf diesen Computer kam, wird entfernt",
	CheckingRemoval:   "Es wird geprüft, ob alles weg ist",
	TellingServer:     "Der Server wird benachrichtigt",
	StepOf:            "Schritt %d von %d",
	CleanTitle:        "Alles wurde entfernt",
	CleanText:         "Von diesem Programm ist nichts mehr auf diesem Computer.",
	UncleanTitle:      "Nicht alles konnte entfernt werden",
	UncleanText:       "Die Verbindung ist geschlossen und kann nicht wieder geöffnet werden. Einige Dateien sind noch da:",
	RemovedList:       "Was entfernt wurde",
	LeftList:          "Was noch da ist",
	NotToldLater:      "Ein kleiner Zettel ohne Schlüssel zu Ihrem Computer bleibt, bis der Server erreichbar ist, höchstens 7 Tage. Dann geht er von selbst.",
	SaveElsewhere:     "Noch eine Kopie sichern",
	SetLimit:          "Zeit begrenzen",
	LimitsTitle:       "Wie lange darf %s das?",
	LimitsText:        "Was zeitlich begrenzt ist, schaltet sich von selbst ab. Sie können es jederzeit wieder einschalten.",
	LimitTitle:        "Wie lange: %s?",
	ToTheEnd:          "bis zum Ende der Sitzung",
	ForMinutes:        "für %d Minuten",
	OnlyFolder:        "nur in %s",
	AllFolders:        "in allen Ihren Ordnern",
	FolderHead:        "In welchem Ordner",
	AskedTitle:        "%s bittet Sie zu erlauben: %s",
	AskedText:         "Es ändert sich nichts, wenn Sie es nicht erlauben. Sie können es jederzeit wieder abschalten.",
	AllowFor:          "Erlauben: %s",
	NotNow:            "Jetzt nicht",
	LineRightOver:     "Die von Ihnen gesetzte Zeit war um: %s",
	LineAsked:         "%s bat um Erlaubnis: %s",
	LineNotNow:        "Nicht erlaubt: %s",
	NotTold:           "Der Server konnte nicht benachrichtigt werden, weil kein Netz da ist. Für diesen Computer ändert das nichts.",
	ByTechnician:      "%s hat die Sitzung beendet.",
	ByLead:            "Die Leitung der Firma von %s hat die Sitzung beendet.",
	ByCustomer:        "Sie haben die Sitzung beendet.",
	ByExpiry:          "Die Zeit der Sitzung war um.",
	ByLapse:           "Die Einladung wurde nicht rechtzeitig benutzt.",
	ByLock:            "Es wurden zu viele falsche Codes eingegeben.",
	ByServer:          "Der Server kennt diese Sitzung nicht mehr.",
	ByCancel:          "%s hat die Einladung zurückgenommen.",
	SaveReceipt:       "Meinen Beleg sichern",
	ReceiptSaved:      "Ihr Beleg wurde gesichert als %s",
	ReceiptAlone:      "Der Beleg sagt, was getan wurde, unterschrieben nur von diesem Computer: Das Programm des Technikers war nicht zu erreichen. Heben Sie ihn für Rückfragen auf.",
	ReceiptText:       "Der Beleg sagt, was getan wurde, von beiden Seiten unterschrieben. Heben Sie ihn für Rückfragen auf.",
	ReceiptName:       "Beleg der Fernhilfe",
	SaveTitle:         "Meinen Beleg sichern",
	Details:           "Einzelheiten",

	RefusedTitle: "Das hat nicht geklappt", Refused: "Etwas ist schiefgegangen.", RefusedHint: "Fragen Sie die Person, die Sie eingeladen hat.",
	AlreadyTitle: "Hier wird schon geholfen", Already: "Auf diesem Computer läuft schon eine Sitzung: %s.",
	AlreadyHint:    "Beenden Sie zuerst jene Sitzung und öffnen Sie dieses Programm dann noch einmal.",
	EarlierTitle:   "Eine frühere Sitzung ist noch nicht zu Ende",
	Earlier:        "Auf diesem Computer wurde eine Sitzung begonnen, die noch nicht zu Ende ist: %s.",
	EarlierHint:    "Setzen Sie sie fort, oder beenden Sie sie und nutzen Sie die neue Einladung. Was die frühere Sitzung auf diesem Computer abgelegt hat, wird dann entfernt.",
	EarlierGoOn:    "Frühere Sitzung fortsetzen",
	EarlierEnd:     "Beenden, neue Einladung nutzen",
	NoDisplayTitle: "Hier ist kein Bildschirm", NoDisplay: "Dieses Programm wurde gestartet, wo keine Arbeitsfläche läuft. Es gibt nichts zu zeigen.",
	NoDisplayHint: "Öffnen Sie es auf der Arbeitsfläche des Computers, der Hilfe braucht.",
	WaylandTitle:  "Ein Schritt, bevor es losgeht", Wayland: "Ihre Arbeitsfläche benutzt Wayland. Damit kann dieses Programm den Bildschirm nicht zeigen.",
	WaylandHint:  "Melden Sie sich ab. Wählen Sie am Anmeldebildschirm Ihren Namen, öffnen Sie das Menü mit dem Zahnrad, nehmen Sie den Eintrag mit „Xorg“ oder „X11“, melden Sie sich an und öffnen Sie dieses Programm noch einmal.",
	ExpiredTitle: "Diese Einladung ist abgelaufen", Expired: "Eine Einladung gilt 24 Stunden.",
	ExpiredHint: "Bitten Sie um eine neue Einladung.",
	UsedTitle:   "Diese Einladung wurde schon benutzt", Used: "Jede Einladung gilt einmal und für einen Computer.",
	UsedHint:       "Wenn nicht Sie es waren, sagen Sie es der Person, die Sie eingeladen hat. Sonst bitten Sie um eine neue Einladung.",
	SuspendedTitle: "%s kann jetzt nicht über Daypass helfen", Suspended: "Der Server bedient diese Firma im Moment nicht.",
	SuspendedHint: "Rufen Sie die Firma unter einer Nummer an, die Sie kennen.",
	OfflineTitle:  "Der Server ist nicht erreichbar", Offline: "Von %s kam keine Antwort.",
	OfflineHint:      "Prüfen Sie, ob dieser Computer online ist, und versuchen Sie es noch einmal.",
	UnsupportedTitle: "Dieser Computer wird nicht unterstützt", Unsupported: "Dieses Programm läuft nicht mit diesem System oder dieser Version davon.",
	UnsupportedHint: "Sagen Sie der Person, die Sie eingeladen hat, welchen Computer Sie benutzen.",
	OtherTitle:      "Ein anderer Computer wurde gewählt", Other: "%s macht mit einem anderen Computer weiter, der dieselbe Einladung geöffnet hat.",
	OtherHint:   "Wenn das nicht Ihr Computer war, rufen Sie %s sofort an.",
	LockedTitle: "Diese Einladung ist geschlossen", Locked: "Es wurden zu viele falsche Codes eingegeben. Niemand kann sich damit mehr verbinden.",
	LockedHint:     "Bitten Sie um eine neue Einladung.",
	CancelledTitle: "Die Einladung wurde zurückgenommen", Cancelled: "%s muss sich nicht mehr mit diesem Computer verbinden.",
	CancelledHint: "Auf diesem Computer bleibt nichts zurück.",

	BarSeesControls: "sieht und bedient", BarSees: "sieht", BarConnected: "verbunden", BarPaused: "von Ihnen gestoppt",
	BarOpen: "Fenster zeigen", BarMay: "Darf", BarName: "Verbindung zu Ihrem Techniker",
	BarKeys: "Strg, Alt und Pos1 bringen die Tastatur zur Leiste oben.",

	HoursLeft: "noch %d h %02d min", MinutesLeft: "noch %d min", LessThanMinute: "noch weniger als eine Minute", LastSeconds: "Zeit ist um",
	Today: "heute %s", Tomorrow: "morgen %s", OnDate: "%[2]d. %[1]s, %[3]s",
	Months: [12]string{"Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"},

	LineActivated: "Sie haben den Code eingegeben", LineWatching: "%s hat den Bildschirm zum Sehen geöffnet", LineControlling: "%s hat den Bildschirm zum Sehen und Bedienen geöffnet",
	LineLeft:    "%s hat den Bildschirm geschlossen",
	LineRightOn: "Sie erlauben: %s", LineRightOff: "Sie erlauben nicht mehr: %s", LineStopped: "Sie haben Stopp gedrückt", LineResumed: "Sie haben fortgesetzt",
	LineClipboardIn: "%s hat Text in Ihre Zwischenablage gelegt", LineClipboardOut: "%s hat den Text Ihrer Zwischenablage geholt",
	LineOffline: "Die Verbindung war unterbrochen", LineOnline: "Die Verbindung ist zurück",
	LineAgain: "Sie haben einen neuen Code eingegeben: Das Programm des Technikers ist jetzt ein anderes", LineAgainNot: "Der Techniker wollte sich neu verbinden; Sie haben es nicht erlaubt",
	LineHourLeft: "Weniger als eine Stunde übrig", LineMinutesLeft: "Weniger als zehn Minuten übrig",
	SoonHour:    "Es bleibt weniger als eine Stunde. Am Ende wird alles geschlossen, und dieses Programm entfernt sich selbst; Sie müssen nichts tun.",
	SoonMinutes: "Es bleiben weniger als zehn Minuten. Dann wird alles geschlossen, und dieses Programm entfernt sich selbst. Speichern Sie, woran Sie gemeinsam arbeiten; niemand kann die Sitzung verlängern.",

	LineRebootAsked: "%s bat darum, diesen Computer neu zu starten", LineReboot: "Der Computer startet neu", LineRebootNot: "Sie haben den Neustart nicht erlaubt",
	LineRebootFailed: "Der Computer konnte nicht neu gestartet werden", LineBack: "Das Programm ist von selbst wiedergekommen", LineRaised: "Sie haben erlaubt, dass das Programm ohne Anmeldung wiederkommt",
	LineDisplay: "%s hat die Anzeige %s betrachtet", LineKeys: "%s hat die Tastenkombination %s gesendet",
	LineBarHidden: "Angehalten, weil die Leiste mit Stopp nicht zu sehen war", LineLockedScreen: "Angehalten, weil der Bildschirm gesperrt war", LineGoesOn: "Es geht weiter",
	LineObjection: "Das Programm des Technikers hat etwas vermerkt, das hier nicht geschehen ist; dieser Computer hat es nicht unterschrieben",

	RebootTitle: "%s möchte diesen Computer neu starten",
	RebootText:  "Speichern Sie Ihre Arbeit. Offene Programme werden geschlossen.",
	RebootLeft:  "Wenn Sie nichts tun, startet er in %d Sekunden neu.",
	RebootYes:   "Jetzt neu starten", RebootNo: "Nicht neu starten",
	BackBoot:  "Nach einem Neustart kommt dieser Computer von selbst wieder.",
	BackLogin: "Nach einem Neustart kommt dieser Computer wieder, sobald Sie sich anmelden.",
	BackNot:   "Nach einem Neustart kommt die Sitzung nicht von selbst wieder: Öffnen Sie das Programm dann noch einmal.",
	Raise:     "Ohne Anmeldung wiederkommen…", Raising: "Ihr System fragt nach dem Kennwort eines Administrators. Ohne es bleibt alles, wie es ist.",
	RaiseNot: "Es wurden keine Administratorrechte gegeben; das ist kein Problem.",

	TTYPrompt: "Geben Sie eine Zahl ein", TTYCode: "Geben Sie den Code ein, oder eine Zahl, um etwas zu ändern",
	TTYYes: "[x]", TTYNo: "[ ]", TTYUnknown: "Das gehört nicht zur Auswahl.",
}

// Language returns "en" or "de": lang when it begins with one of them, else
// what the system names, else "en".
func Language(lang string) string {
	if l, ok := known(lang); ok {
		return l
	}
	for _, l := range systemLanguages() {
		if l, ok := known(l); ok {
			return l
		}
	}
	return "en"
}

func known(s string) (string, bool) {
	s = strings.ToLower(s)
	for _, l := range []string{"en", "de"} {
		if s == l || strings.HasPrefix(s, l+"_") || strings.HasPrefix(s, l+"-") || strings.HasPrefix(s, l+".") {
			return l, true
		}
	}
	return "", false
}

func catalogue(lang string) *words {
	if Language(lang) == "de" {
		return &german
	}
	return &english
}

// right names one right as something the technician may do.
func (w *words) right(r grant.Rights) string {
	switch r {
	case grant.View:
		return w.MayView
	case grant.Control:
		return w.MayControl
	case grant.Clipboard:
		return w.MayClipboard
	case grant.Files:
		return w.MayFiles
	case grant.Dashboard:
		return w.MayDashboard
	case grant.Terminal:
		return w.MayTerminal
	}
	return ""
}

// clock is a time of day, and the day where it is not today.
func (w *words) clock(t, now time.Time) string {
	t, now = t.Local(), now.Local()
	hm := t.Format("15:04")
	y, m, d := now.Date()
	today := time.Date(y, m, d, 0, 0, 0, 0, now.Location())
	switch {
	case !t.Before(today) && t.Before(today.AddDate(0, 0, 1)):
		return fmt.Sprintf(w.Today, hm)
	case !t.Before(today.AddDate(0, 0, 1)) && t.Before(today.AddDate(0, 0, 2)):
		return fmt.Sprintf(w.Tomorrow, hm)
	}
	return fmt.Sprintf(w.OnDate, w.Months[t.Month()-1], t.Day(), hm)
}

// left says how much time there is until t.
func (w *words) left(t, now time.Time) string {
	d := t.Sub(now)
	switch {
	case d <= 0:
		return w.LastSeconds
	case d < time.Minute:
		return w.LessThanMinute
	case d < time.Hour:
		return fmt.Sprintf(w.MinutesLeft, int(d/time.Minute))
	}
	return fmt.Sprintf(w.HoursLeft, int(d/time.Hour), int(d%time.Hour/time.Minute))
}
