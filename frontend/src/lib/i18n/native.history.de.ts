// What native side and server say about the company's history and its key. Part of native.de.ts.

export const aboutHistory: Record<string, string> = {
  'This server keeps no history.': 'Dieser Server bewahrt keinen Verlauf auf.',
  'Only leads can do this.': 'Das können nur Leads.',
  'Ask a lead of your company.': 'Fragen Sie einen Lead Ihrer Firma.',
  "The key to the company's history was changed.": 'Der Schlüssel zum Verlauf der Firma wurde geändert.',
  'Decide first whether this is right: History shows it.': 'Entscheiden Sie zuerst, ob das stimmt: Der Verlauf zeigt es.',
  "This computer does not have the key to the company's history yet.": 'Dieser Computer hat den Schlüssel zum Verlauf der Firma noch nicht.',
  "It comes by itself as soon as another lead's console is online.": 'Er kommt von selbst, sobald die Konsole eines anderen Leads online ist.',
  'There is no recovery key to keep.': 'Es gibt keinen Wiederherstellungsschlüssel, der gelten könnte.',
  'Make one again.': 'Erzeugen Sie noch einmal einen.',
  'Other consoles of leads are changing the key at the same time.': 'Andere Konsolen von Leads ändern den Schlüssel zur selben Zeit.',
  'Try again in a minute.': 'Versuchen Sie es in einer Minute noch einmal.',
  'This recovery key opens nothing that this computer lacks.': 'Dieser Wiederherstellungsschlüssel öffnet nichts, was diesem Computer fehlt.',
  "It may be another company's, or one that was replaced.": 'Vielleicht gehört er einer anderen Firma oder wurde ersetzt.',
  'Look for the newest page.': 'Suchen Sie das neueste Blatt.',
  "The key to the company's history is not lost.": 'Der Schlüssel zum Verlauf der Firma ist nicht verloren.',
  'The server has another key than the one that was made here.': 'Der Server hat einen anderen Schlüssel als den hier erzeugten.',
  'There is no changed key to accept.': 'Es gibt keinen geänderten Schlüssel, den man annehmen könnte.',
  'The key at the server has changed once more.': 'Der Schlüssel auf dem Server hat sich noch einmal geändert.',
  'It was not accepted.': 'Er wurde nicht angenommen.',
  'Compare the new fingerprint with a lead.': 'Vergleichen Sie den neuen Fingerabdruck mit einem Lead.',
  "The key to the company's history is not the one that this computer knew, and no lead who is known signed the change.":
    'Der Schlüssel zum Verlauf der Firma ist nicht der, den dieser Computer kannte, und kein bekannter Lead hat die Änderung unterschrieben.',
  'Nothing is sent to it.': 'Es wird nichts an ihn übertragen.',
  'Call a lead and compare the fingerprint.': 'Rufen Sie einen Lead an, und vergleichen Sie den Fingerabdruck.',
  "The server's rule for deleting old history cannot be right.": 'Die Regel des Servers zum Löschen des alten Verlaufs kann nicht stimmen.',
  'Tell whoever runs the server.': 'Sagen Sie es denen, die den Server betreiben.',
  'This is not a recovery key, or it has a slip.': 'Das ist kein Wiederherstellungsschlüssel, oder er enthält einen Tippfehler.',
  'It has eight groups of seven letters and digits.': 'Er hat acht Gruppen aus je sieben Buchstaben und Ziffern.',
  'Compare them with the printed page.': 'Vergleichen Sie sie mit dem gedruckten Blatt.',
  'The history cannot be kept for this number of months.': 'So viele Monate lässt sich der Verlauf nicht aufbewahren.',
  'Use 1 to 240, or 0 to keep it.': 'Nehmen Sie 1 bis 240, oder 0, um ihn zu behalten.',
  'The history key cannot be stored like this.': 'Der Schlüssel zum Verlauf lässt sich so nicht speichern.',
}

export const historyPatterns: [RegExp, (...found: string[]) => string][] = [
  [
    /^Deleted: your company does not keep records for longer\. Where its (\d+) entries ended, and the customer's receipt, are kept\.$/,
    (n) => `Gelöscht: Länger bewahrt Ihre Firma Aufzeichnungen nicht auf. Wo ihre ${n} Einträge endeten und der Beleg des Kunden bleiben.`,
  ],
]
