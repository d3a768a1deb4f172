package pairs

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"daypass/hostsvc/verify"
)

// verified is what the customer's program says of a receipt at path.
func verified(path, lang string) (code int, says string) {
	var out bytes.Buffer
	code = verify.Receipt(path, lang, &out, &out)
	return code, out.String()
}

// verifies checks what the verb verify says of a real receipt and of what was
// changed about it.
func verifies(t *testing.T, page string, away bool) {
	t.Helper()
	base := filepath.Join(t.TempDir(), "kept")
	for _, ext := range []string{".html", ".json", ".record.json"} {
		b, err := os.ReadFile(strings.TrimSuffix(page, ".html") + ext)
		if err == nil {
			err = os.WriteFile(base+ext, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	page = base + ".html"
	for lang, want := range map[string]string{"en": "\nGENUINE. ", "de": "\nECHT. "} {
		code, says := verified(base+".json", lang)
		if code != 0 || !strings.Contains(says, want) || strings.Contains(says, "✗") {
			t.Errorf("%s: %d\n%s", lang, code, says)
		}
		if both := strings.Contains(says, "both sides") || strings.Contains(says, "beide Seiten"); both == away {
			t.Errorf("both sides signed: %v, the console was away: %v\n%s", both, away, says)
		}
	}
	if code, says := verified(page, "en"); code != 0 {
		t.Errorf("the page itself: %d\n%s", code, says)
	}
	change := func(what, path, old, new, word string) {
		t.Helper()
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(b, []byte(old)) {
			t.Fatalf("%s: no %q in %s", what, old, b)
		}
		if err := os.WriteFile(path, bytes.Replace(b, []byte(old), []byte(new), 1), 0o600); err != nil {
			t.Fatal(err)
		}
		if code, says := verified(page, "en"); code != 1 || !strings.Contains(says, word) || strings.Contains(says, "\nGENUINE") {
			t.Errorf("%s: %d\n%s", what, code, says)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	change("another computer", base+".json", `"computer":"`, `"computer":"x`, "✗ NOT: The computer that was helped signed exactly this receipt")
	if away { // nothing but what this computer said
		change("something else said", base+".record.json", `"said":[{"body":"eyJ`, `"said":[{"body":"eyK`, "✗ NOT: The record beside it")
	} else {
		change("a record with another text", base+".record.json", `"kind":"ended"`, `"kind":"ended2"`, "✗ NOT: The record beside it")
	}
	change("a record that is cut", base+".record.json", `"said":[`, `"said":[{},`, "✗ NOT: The record beside it")
	change("no receipt at all", base+".json", `{"receipt"`, `{"paper"`, "could not be checked")
	if err := os.Remove(base + ".record.json"); err != nil {
		t.Fatal(err)
	}
	if code, says := verified(page, "en"); code != 0 || !strings.Contains(says, "it was not checked") {
		t.Errorf("without the record: %d\n%s", code, says)
	}
}
