package gateway

import (
	"encoding/json"
	"encoding/xml"
	"testing"
	"time"

	"github.com/weir-project/weir"
)

// headers are a request's fields for tests: name, value, name, value …
type headers []string

func (h headers) Value(name string) (string, bool) {
	for i := 0; i < len(h); i += 2 {
		if equalFold(h[i], name) {
			return h[i+1], true
		}
	}
	return "", false
}

func (h headers) Each(name string, f func(string) bool) {
	for i := 0; i < len(h); i += 2 {
		if equalFold(h[i], name) && !f(h[i+1]) {
			return
		}
	}
}

func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if a[i]|0x20 != b[i]|0x20 {
			return false
		}
	}
	return true
}

// The documents' body of a refusal, with the level and the policy that we add.
func TestAnswerBody(t *testing.T) {
	next := time.Date(2025, 6, 10, 9, 40, 0, 0, time.UTC)
	full := refusal{&limitReasons[weir.LevelSubscription], "subscription", "Gold", next}
	rows := []struct {
		name    string
		refusal refusal
		accept  string
		want    string
	}{
		{"json", full, "", `{"code":"900804","message":"Message throttled out","description":"You have exceeded your quota .You can access API after 2025-Jun-10 09:40:00+0000 UTC","nextAccessTime":"2025-Jun-10 09:40:00+0000 UTC","level":"subscription","policy":"Gold"}`},
		{"xml", full, "application/xml", `<amt:fault xmlns:amt="http://wso2.org/apimanager/throttling"><amt:code>900804</amt:code><amt:message>Message throttled out</amt:message><amt:description>You have exceeded your quota .You can access API after 2025-Jun-10 09:40:00+0000 UTC</amt:description><amt:nextAccessTime>2025-Jun-10 09:40:00+0000 UTC</amt:nextAccessTime><amt:level>subscription</amt:level><amt:policy>Gold</amt:policy></amt:fault>`},
		{"json first", refusal{reason: &notFound}, "application/json, text/xml", `{"code":"404","message":"Not Found","description":"No API declares this path"}`},
		{"a browser", refusal{reason: &notFound}, "text/html,application/xhtml+xml,application/xml;q=0.9", `{"code":"404","message":"Not Found","description":"No API declares this path"}`},
		{"backend", refusal{&limitReasons[weir.LevelBackend], "backend", "PRODUCTION", next}, "", `{"code":"900801","message":"API Limit Reached","description":"API not accepting requests","nextAccessTime":"2025-Jun-10 09:40:00+0000 UTC","level":"backend","policy":"PRODUCTION"}`},
		{"odd name", refusal{&limitReasons[weir.LevelCustom], "custom", "a\"b\\c\n<é", time.Time{}}, "", `{"code":"900806","message":"Message throttled out","description":"You have exceeded your quota","level":"custom","policy":"a\"b\\c\u000a<é"}`},
		{"odd name in xml", refusal{&limitReasons[weir.LevelCustom], "custom", "a&<\n>", time.Time{}}, "text/xml", `<amt:fault xmlns:amt="http://wso2.org/apimanager/throttling"><amt:code>900806</amt:code><amt:message>Message throttled out</amt:message><amt:description>You have exceeded your quota</amt:description><amt:level>custom</amt:level><amt:policy>a&amp;&lt;?&gt;</amt:policy></amt:fault>`},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			x := &Exchange{Headers: headers{"Accept", row.accept}}
			x.begin()
			a := x.answer(row.refusal)
			if got := string(a.Body); got != row.want {
				t.Errorf("body\n got %s\nwant %s", got, row.want)
			}
			if a.Status != row.refusal.status {
				t.Errorf("status %d, want %d", a.Status, row.refusal.status)
			}
			if row.accept == "" && !json.Valid(a.Body) {
				t.Error("not valid JSON")
			}
		})
	}
}

// Whatever stands in a policy's name, the body stays one document.
func FuzzAnswerBody(f *testing.F) {
	f.Add("Gold")
	f.Add("\x00\xff\"\\<&>\u2028")
	f.Fuzz(func(t *testing.T, name string) {
		r := refusal{&limitReasons[weir.LevelCustom], "custom", name, time.Time{}}
		if b := appendJSON(nil, r); !json.Valid(b) {
			t.Errorf("not JSON: %s", b)
		}
		var doc struct {
			Policy string `xml:"policy"`
		}
		if err := xml.Unmarshal(appendXML(nil, r), &doc); err != nil {
			t.Errorf("not XML: %v", err)
		}
	})
}
