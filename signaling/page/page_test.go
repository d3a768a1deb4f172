package page

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"rsc.io/qr/coding"

	"daypass/backend/grant"
)

func serve(t *testing.T, in Invitation, fails error, change ...func(*Config)) *Page {
	t.Helper()
	cfg := Config{
		Invitation: func(context.Context, grant.ID) (Invitation, error) { return in, fails },
		Draining:   func() bool { return false }, HostOK: func(*http.Request) bool { return true },
	}
	for _, f := range change {
		f(&cfg)
	}
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func get(p *Page, path, lang string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Accept-Language", lang)
	p.ServeHTTP(w, r)
	return w
}

var open = Invitation{State: Open, Company: "Contoso <b>IT</b>", Technician: `Mia "Roth"`, Expires: time.Now().Add(time.Hour)}

func downloads(t *testing.T) (string, func(*Config)) {
	t.Helper()
	dir := t.TempDir()
	for _, n := range []string{"daypass-host-linux-amd64", "daypass-host-linux-arm64", "daypass-host-windows-amd64.exe", "secret.txt"} {
		if err := os.WriteFile(filepath.Join(dir, n), []byte("program "+n), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir, func(c *Config) { c.Downloads = dir }
}

func TestEveryStateInBothLanguages(t *testing.T) {
	id := "/s/" + grant.NewID().String()
	_, dl := downloads(t)
	for lang, text := range texts {
		for _, tc := range []struct {
			in     Invitation
			err    error
			drain  bool
			status int
			want   string
		}{
			{open, nil, false, 200, text["warnTitle"]},
			{Invitation{State: Used, Company: "C", Technician: "Mia"}, nil, false, 200, text["usedTitle"]},
			{Invitation{State: Over}, nil, false, 410, text["overTitle"]},
			{Invitation{State: Unknown}, nil, false, 404, text["unknownTitle"]},
			{Invitation{}, errors.New("disk"), false, 503, text["failTitle"]},
			{open, nil, true, 503, text["drainTitle"]},
		} {
			p := serve(t, tc.in, tc.err, dl, func(c *Config) { c.Draining = func() bool { return tc.drain } })
			w := get(p, id, lang+"-CH, fr;q=0.5")
			body := w.Body.String()
			if w.Code != tc.status || !strings.Contains(body, tc.want) || w.Header().Get("Content-Language") != lang {
				t.Errorf("%s %v: status %d, language %s", lang, tc.in.State, w.Code, w.Header().Get("Content-Language"))
			}
			if len(body) > 50_000 {
				t.Errorf("%d bytes", len(body))
			}
			if regexp.MustCompile(`(src|href)="(https?:)?//`).MatchString(body) || strings.Contains(body, "%!") {
				t.Error("the page loads from elsewhere, or a text is malformed")
			}
		}
	}
	if w := get(serve(t, open, nil), "/s/nonsense", ""); w.Code != 404 {
		t.Errorf("nonsense: %d", w.Code)
	}
	if w := get(serve(t, Invitation{State: Open, Language: "de"}, nil), id, "en"); w.Header().Get("Content-Language") != "de" {
		t.Error("the invitation's language does not win")
	}
}

func TestPolicyMatchesWhatIsServed(t *testing.T) {
	_, dl := downloads(t)
	w := get(serve(t, open, nil, dl), "/s/"+grant.NewID().String(), "en")
	body, csp := w.Body.String(), w.Header().Get("Content-Security-Policy")
	for _, tag := range []string{"script", "style"} {
		m := regexp.MustCompile(`(?s)<`+tag+`>(.*?)</`+tag+`>`).FindAllStringSubmatch(body, -1)
		if len(m) != 1 {
			t.Fatalf("%d %s elements", len(m), tag)
		}
		h := sha256.Sum256([]byte(m[0][1]))
		if !strings.Contains(csp, tag+"-src 'sha256-"+base64.StdEncoding.EncodeToString(h[:])+"'") {
			t.Errorf("%s does not match the policy: the browser would drop it", tag)
		}
	}
	if !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(body, " style=") || regexp.MustCompile(` on[a-z]+=`).MatchString(body) {
		t.Error("policy is loose, or inline handlers and styles that it forbids")
	}
	for h, want := range map[string]string{"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} {
		if w.Header().Get(h) != want {
			t.Errorf("%s: %q", h, w.Header().Get(h))
		}
	}
	if strings.Contains(body, "<b>IT</b>") || !strings.Contains(body, "Contoso &lt;b&gt;IT") {
		t.Error("a company's name is not escaped")
	}
}

func TestDownloadsCarryNoFileName(t *testing.T) {
	dir, dl := downloads(t)
	p := serve(t, open, nil, dl)
	w := get(p, "/d/daypass-host-linux-amd64", "")
	if w.Code != 200 || w.Header().Get("Content-Disposition") != "" || w.Body.String() != "program daypass-host-linux-amd64" || w.Header().Get("Content-Type") != "application/octet-stream" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	for _, n := range []string{"secret.txt", "SHA256SUMS", "..%2f..%2fetc%2fpasswd", "daypass-host-linux-amd64.exe"} {
		if w := get(p, "/d/"+n, ""); w.Code != 404 {
			t.Errorf("%s: %d", n, w.Code)
		}
	}
	// With a manifest, a program that differs is not offered.
	sum := sha256.Sum256([]byte("program daypass-host-linux-amd64"))
	if err := os.WriteFile(filepath.Join(dir, manifestFile), []byte(hex.EncodeToString(sum[:])+"  daypass-host-linux-amd64\n"+strings.Repeat("0", 64)+"  daypass-host-linux-arm64\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p = serve(t, open, nil, dl)
	if w := get(p, "/d/daypass-host-linux-amd64", ""); w.Code != 200 {
		t.Errorf("the right program: %d", w.Code)
	}
	for _, n := range []string{"daypass-host-linux-arm64", "daypass-host-windows-amd64.exe"} {
		if w := get(p, "/d/"+n, ""); w.Code != 404 {
			t.Errorf("%s, which is not the manifest's: %d", n, w.Code)
		}
	}
}

func TestLanguagesHaveTheSameWords(t *testing.T) {
	used := map[string]bool{}
	for _, m := range regexp.MustCompile(`\.T\.(\w+)`).FindAllStringSubmatch(pageHTML, -1) {
		used[m[1]] = true
	}
	for lang, text := range texts {
		for k := range used {
			if text[k] == "" {
				t.Errorf("%s lacks %q", lang, k)
			}
			if strings.Count(text[k], "%s") != strings.Count(texts["en"][k], "%s") {
				t.Errorf("%s: %q has other places to fill", lang, k)
			}
		}
		for k := range text {
			if !used[k] {
				t.Errorf("%s: %q is not used", lang, k)
			}
		}
	}
}

// node runs a script in Node, which the tree needs anyway.
func node(t *testing.T, script string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "node", "-e", script)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, stderr.String())
	}
	return out
}

// The page's own QR encoder against rsc.io/qr, pixel by pixel.
func TestQRCodeIsTheStandards(t *testing.T) {
	begin, end := strings.Index(pageJS, "function qr("), strings.Index(pageJS, "each('.qr'")
	if begin < 0 || end < begin {
		t.Fatal("encoder not found")
	}
	plan, err := coding.NewPlan(6, coding.L, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{
		"http://127.0.0.1:8471/s/FGTVJ7YCZN34RRPKAVW10F79G0#0123456789ABCDEFGHJKMNPQRR", "x", strings.Repeat("u", 134),
	} {
		code, err := plan.Encode(coding.String(s))
		if err != nil {
			t.Fatal(err)
		}
		arg, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var m [][]int
		if err := json.Unmarshal(node(t, pageJS[begin:end]+";console.log(JSON.stringify(qr("+string(arg)+")))"), &m); err != nil {
			t.Fatal(err)
		}
		if len(m) != code.Size {
			t.Fatalf("%d modules a side, want %d", len(m), code.Size)
		}
		bad := 0
		for y := range m {
			for x := range m[y] {
				if (m[y][x] == 1) != code.Black(x, y) {
					bad++
				}
			}
		}
		if bad != 0 {
			t.Errorf("%q: %d of %d modules differ", s, bad, code.Size*code.Size)
		}
	}
	if string(bytes.TrimSpace(node(t, pageJS[begin:end]+";console.log(qr('u'.repeat(135)))"))) != "null" {
		t.Error("a link that is too long must give no code")
	}
}

// The whole script in Node with a small document: fragment taken and dropped,
// file named.
func TestScriptNamesTheFileAndDropsTheFragment(t *testing.T) {
	id := grant.NewID().String()
	run := func(hash, ua string) (out struct{ Class, Name, Replaced, Href string }) {
		script := fmt.Sprintf(`
var out={Class:'',Name:'',Replaced:'',Href:''}
function el(a){return {getAttribute:k=>k in a?a[k]:null,setAttribute:(k,v)=>{if(k==='download')out.Name=v;if(k==='href')out.Href=v},addEventListener(){},textContent:''}}
var get=el({'data-ext':'.run','data-arm':'/d/arm'})
global.document={documentElement:{lang:'en',set className(v){out.Class=v}},body:el({'data-id':%q}),querySelectorAll:q=>q==='a.get'?[get]:[],getElementById:()=>el({}),createElementNS:()=>el({})}
global.location={protocol:'http:',host:'127.0.0.1:8471',origin:'http://127.0.0.1:8471',pathname:'/s/%s',hash:%q}
global.history={replaceState:(a,b,u)=>{out.Replaced=u}}
Object.defineProperty(global,'navigator',{value:{userAgent:%q,maxTouchPoints:0,platform:''}})
;%s
console.log(JSON.stringify(out))`, id, id, hash, ua, pageJS)
		if err := json.Unmarshal(node(t, script), &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	secret := "0123456789ABCDEFGHJKMNPQRR"
	linux := "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
	got := run("#"+strings.ToLower(secret), linux)
	want := "Support_" + grant.Crockford.EncodeToString([]byte("h127.0.0.1:8471")) + "_" + id + "_" + secret + "_.run"
	if got.Name != want || got.Replaced != "/s/"+id || got.Class != "js linux firefox haslink" {
		t.Errorf("%+v, want name %s", got, want)
	}
	if got := run("#"+secret, "Mozilla/5.0 (X11; Linux aarch64) AppleWebKit/537.36 Chrome/143.0.0.0 Safari/537.36"); got.Href != "/d/arm" {
		t.Errorf("ARM: %+v", got)
	}
	if got := run("", linux); got.Name != "" || got.Class != "js linux firefox nolink" {
		t.Errorf("no fragment: %+v", got)
	}
	if got := run("#<script>", linux); got.Name != "" || got.Replaced == "" {
		t.Errorf("nonsense in the fragment: %+v", got)
	}
	for ua, class := range map[string]string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/143.0.0.0 Safari/537.36 Edg/143.0.0.0":             "js windows edge haslink",
		"Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/143.0.0.0 Mobile Safari/537.36":                     "js phone chrome haslink",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1":   "js phone anybrowser haslink",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15": "js other anybrowser haslink",
	} {
		if got := run("#"+secret, ua); got.Class != class {
			t.Errorf("%s: %q", ua, got.Class)
		}
	}
}

func TestTheJoinPageKeepsTheCodeInTheAddress(t *testing.T) {
	p := serve(t, Invitation{}, nil)
	for _, lang := range []string{"en", "de"} {
		// The script would take the code out of the address, which is to be copied.
		if w := get(p, "/join", lang); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), texts[lang]["joinTitle"]) || strings.Contains(w.Body.String(), "<script") {
			t.Errorf("%s: %d\n%s", lang, w.Code, w.Body)
		}
	}
}
