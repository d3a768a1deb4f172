package consent

import (
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestShots draws every state with DAYPASS_SHOTS=folder of this machine, in
// DAYPASS_SHOTS_LANG, with DAYPASS_CONSENT_DPI and DAYPASS_CONSENT_LOOK ("dark",
// "contrast"), to look at.
func TestShots(t *testing.T) {
	dir := os.Getenv("DAYPASS_SHOTS")
	if dir == "" {
		t.Skip("only with DAYPASS_SHOTS=folder")
	}
	lang, dpi := os.Getenv("DAYPASS_SHOTS_LANG"), os.Getenv("DAYPASS_CONSENT_DPI")
	d := startDesk(t, "")
	w := d.window(KindAuto, "DAYPASS_CONSENT_LANG="+lang)
	only := strings.Fields(os.Getenv("DAYPASS_SHOTS_ONLY"))
	all := states(time.Now())
	for _, n := range slices.Sorted(maps.Keys(all)) {
		if len(only) > 0 && !slices.Contains(only, n) {
			continue
		}
		w.say(n)
		m := all[n]
		d.wait("the bar", func() bool { return !m.Watching || w.health().Shown })
		d.wait("the window", func() bool { return d.visible(catalogue(lang).WindowTitle) })
		time.Sleep(time.Second) // a busy machine paints late
		d.wait("the bar", func() bool { return !m.Watching || w.health().Shown })
		d.hand("shot " + path.Join(dir, lang+"-"+dpi+os.Getenv("DAYPASS_CONSENT_LOOK")+"-"+n+".png"))
	}
	w.close()
}
