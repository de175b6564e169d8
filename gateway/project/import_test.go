package project

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

// documentHandlers is the example of the documentation, word for word.
const documentHandlers = `<handlers>
     <handler class="org.wso2.carbon.apimgt.gateway.handlers.security.CORSRequestHandler">
        <property name="apiImplementationType" value="ENDPOINT"/>
     </handler>
     <handler class="org.wso2.carbon.apimgt.gateway.handlers.security.APIAuthenticationHandler"/>
     <handler class="org.wso2.carbon.apimgt.gateway.handlers.throttling.ThrottleHandler">
        <property name="id" value="A"/>
        <property name="productionMaxCount" value="600"/>
        <property name="productionUnitTime" value="60000"/>
        <property name="sandboxMaxCount" value="700"/>
        <property name="sandboxUnitTime" value="300000"/>
        <property name="policyKey" value="gov:/apimgt/applicationdata/tiers.xml"/>
     </handler>
     <handler class="org.wso2.carbon.apimgt.usage.publisher.APIMgtUsageHandler"/>
     ...
</handlers> 
`

// wholeAPI is a synapse configuration of one API.
func wholeAPI(head, properties string) string {
	return `<?xml version="1.0" encoding="UTF-8"?>
<api xmlns="http://ws.apache.org/ns/synapse" ` + head + ` version-type="context">
    <resource methods="GET" url-mapping="/*" faultSequence="fault">
        <inSequence><send/></inSequence>
    </resource>
    <handlers>
        <handler class="org.wso2.carbon.apimgt.gateway.handlers.throttling.ThrottleHandler">
` + properties + `
        </handler>
    </handlers>
</api>
`
}

func property1(name, value string) string {
	return `            <property name="` + name + `" value="` + value + `"/>`
}

// backendOf returns the backend limits of the one API that has some.
func backendOf(t *testing.T, dir string) policy.Backend {
	t.Helper()
	p, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(p.Definition.Policies.Backends); n != 1 {
		t.Fatalf("got %d backends, want 1", n)
	}
	return p.Definition.Policies.Backends[0]
}

func throughput(n int64, d time.Duration) *limiter.Limit {
	return &limiter.Limit{Count: n, Window: limiter.Window{Length: d}, Accuracy: policy.ByLevel}
}

func TestImportSynapse(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "p")
	made, err := Init(dir, InitOptions{API: write(t, "pets.yaml", plainAPI)})
	if err != nil {
		t.Fatal(err)
	}
	before := read(t, made.Definition)
	got, err := ImportSynapse(write(t, "handlers.xml", documentHandlers), dir, ImportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "import", got, &Imported{
		File: made.Definition, API: "Petstore", Version: "1.0.0",
		Written: `x-weir-max-throughput: {"productionMaxCount": 600, "productionUnitTime": 60000, "sandboxMaxCount": 700, "sandboxUnitTime": 300000}`,
		Notes: []string{
			"id is ignored: it numbers handlers",
			"policyKey is ignored: it names a file of tiers; subscriptions name theirs in applications.yaml",
		},
	})
	text := strings.Replace(before, "# What can be asked.\n", `x-weir-max-throughput:
  productionMaxCount: 600
  productionUnitTime: 60000
  sandboxMaxCount: 700
  sandboxUnitTime: 300000
# What can be asked.
`, 1)
	if after := read(t, made.Definition); after != text {
		t.Errorf("the definition became:\n%s\nwant:\n%s", after, text)
	}
	same(t, "backend", backendOf(t, dir), policy.Backend{
		Context: "/v1", Version: "1.0.0", Production: throughput(600, time.Minute), Sandbox: throughput(700, 5*time.Minute),
	})
	// A second import replaces the first, and nothing else.
	file := write(t, "api.xml", wholeAPI(`name="admin--Petstore:v1.0.0" context="/v1" version="1.0.0"`, property1("productionMaxCount", "50")))
	if got, err = ImportSynapse(file, dir, ImportOptions{}); err != nil || !got.Replaced {
		t.Fatalf("got %+v, %v", got, err)
	}
	text = strings.Replace(before, "# What can be asked.\n", "x-weir-max-throughput:\n  productionMaxCount: 50\n  productionUnitTime: 1000\n# What can be asked.\n", 1)
	if after := read(t, made.Definition); after != text {
		t.Errorf("the definition became:\n%s\nwant:\n%s", after, text)
	}
	same(t, "backend", backendOf(t, dir), policy.Backend{Context: "/v1", Version: "1.0.0", Production: throughput(50, time.Second)})
}

// TestImportChoosesTheAPI imports into the project with several APIs.
func TestImportChoosesTheAPI(t *testing.T) {
	one := property1("productionMaxCount", "5")
	tests := []struct{ name, text, api, want string }{
		{"by context", wholeAPI(`name="admin--Other:v9" context="/api/orders" version="1"`, one), "", "orders.json"},
		{"by context without version", wholeAPI(`name="x" context="/legacy-prices" version="1.0"`, one), "", "legacy.yml"},
		{"by name", wholeAPI(`name="admin--Legacy Prices:v1.0" context="/prices" version="v1.0"`, one), "", "legacy.yml"},
		{"by option", documentHandlers, "Legacy Prices", "legacy.yml"},
		{"by option with version", documentHandlers, "Tool Catalogue:2.1.0", "catalogue.yaml"},
		{"option over file", wholeAPI(`name="x" context="/api/orders" version="1"`, one), "Legacy Prices:1.0", "legacy.yml"},
		{"not said", documentHandlers, "", "does not say which API it is for: name it by title:version; the project has Legacy Prices:1.0, Orders 🌱:1, Tool Catalogue:2.1.0"},
		{"unknown context", wholeAPI(`name="Pizza" context="/pizza" version="1"`, one), "", `no API that is "Pizza" with the context "/pizza"`},
		{"unknown option", documentHandlers, "Pizza", `no API that is "Pizza"`},
		{"another version", wholeAPI(`name="Legacy Prices" context="/x" version="2.0"`, one), "", "no API that is"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "shop")
			if err := os.CopyFS(dir, os.DirFS("testdata/shop")); err != nil {
				t.Fatal(err)
			}
			got, err := ImportSynapse(write(t, "s.xml", tt.text), dir, ImportOptions{API: tt.api})
			switch {
			case strings.Contains(tt.want, " ") && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %+v, %v; want the fault %q", got, err, tt.want)
			case strings.Contains(tt.want, " "):
			case err != nil || filepath.Base(got.File) != tt.want:
				t.Errorf("got %+v, %v; want %s", got, err, tt.want)
			default:
				if _, err := Load(dir); err != nil {
					t.Errorf("%v\n%s", err, read(t, got.File))
				}
			}
		})
	}
}

func TestImportRefuses(t *testing.T) {
	h := func(properties ...string) string { return wholeAPI(`name="Petstore"`, strings.Join(properties, "\n")) }
	tests := []struct{ name, text, want string }{
		{"zero", h(property1("productionMaxCount", "0")), "s.xml:8: productionMaxCount must be a whole number from 1 to 2147483647, not \"0\""},
		{"negative", h(property1("id", "A"), property1("sandboxMaxCount", "-5")), "s.xml:9: sandboxMaxCount must be"},
		{"no number", h(property1("productionMaxCount", "many")), `not "many"`},
		{"fraction", h(property1("productionMaxCount", "1.5")), `not "1.5"`},
		{"overflow", h(property1("productionMaxCount", "99999999999999999999")), `not "99999999999999999999"`},
		{"too many", h(property1("productionMaxCount", "2147483648")), "must be a whole number"},
		{"no time", h(property1("productionMaxCount", "5"), property1("productionUnitTime", "0")), "s.xml:9: productionUnitTime must be"},
		{"a long time", h(property1("productionMaxCount", "5"), property1("productionUnitTime", "31622400001")), "must be a whole number from 1 to 31622400000"},
		{"empty", h(property1("productionMaxCount", "")), `not ""`},
		{"twice", h(property1("productionMaxCount", "5"), property1("productionMaxCount", "6")), `s.xml:9: the property "productionMaxCount" is there a second time, first in line 8`},
		{"nothing of use", h(property1("id", "A")), "neither productionMaxCount nor sandboxMaxCount"},
		{"two handlers", "<handlers>" + strings.Repeat(`<handler class="a.ThrottleHandler"/>`, 2) + "</handlers>", "has 2 throttle handlers"},
		{"no handler", "<handlers/>", "has no handler of a class that ends in .ThrottleHandler"},
		{"another class", `<handlers><handler class="a.NotAThrottleHandler"/></handlers>`, "has no handler"},
		{"properties outside", `<handlers><handler class="a.ThrottleHandler"/><handler class="b"><property name="productionMaxCount" value="5"/></handler></handlers>`, "neither productionMaxCount"},
		{"a document type", "<!DOCTYPE x [<!ENTITY a SYSTEM \"file:///etc/passwd\">]>\n<handlers>&a;</handlers>", "s.xml:1: is no valid XML: it has a document type"},
		{"an entity", "<handlers>\n&laugh;</handlers>", "s.xml:2: is no valid XML: invalid character entity"},
		{"cut short", "<handlers>\n<handler>", "s.xml:2: is no valid XML: unexpected EOF"},
		{"crossed", "<a><b></a></b>", "element <b> closed by </a>"},
		{"two at the top", "<a/><b/>", "more than one element at its top"},
		{"deep", strings.Repeat("<a>", 1000), "nested deeper than 100 levels"},
		{"another encoding", `<?xml version="1.0" encoding="UTF-16"?><handlers/>`, "is no valid XML"},
		{"text", "...", "it has no element"},
		{"empty", "", "it has no element"},
		{"large", "<a>" + strings.Repeat(" ", maxSynapse), "is larger than 1 MiB"},
	}
	dir := filepath.Join(t.TempDir(), "p")
	made, err := Init(dir, InitOptions{API: write(t, "pets.yaml", plainAPI)})
	if err != nil {
		t.Fatal(err)
	}
	before := read(t, made.Definition)
	for _, tt := range tests {
		_, err := ImportSynapse(write(t, "s.xml", tt.text), dir, ImportOptions{})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
	if after := read(t, made.Definition); after != before {
		t.Error("a refused import changed the definition")
	}
	file := write(t, "s.xml", documentHandlers)
	if _, err := ImportSynapse(file, dir+"2", ImportOptions{}); err == nil || !strings.Contains(err.Error(), "no such project") {
		t.Errorf("no project: got %v", err)
	}
	if _, err := ImportSynapse(file+"2", dir, ImportOptions{}); err == nil || !strings.Contains(err.Error(), "is missing") {
		t.Errorf("no file: got %v", err)
	}
}

func TestImportNotes(t *testing.T) {
	r := &report{}
	s := readSynapse("s.xml", []byte(wholeAPI(`name="x"`, strings.Join([]string{
		property1("sandboxUnitTime", "5"), property1("productionMaxCount", " 7 "), property1("productionMaxTotalTokenCount", "9"),
	}, "\n"))), r)
	production, sandbox, notes := s.maxima("s.xml", r)
	if err := r.err(); err != nil || production != (maximum{7, 1000}) || sandbox != (maximum{}) {
		t.Errorf("got %v, %v, %v", production, sandbox, err)
	}
	same(t, "notes", notes, []string{
		`"productionMaxTotalTokenCount" is ignored: it is not known`, "sandboxUnitTime has no effect: there is no sandboxMaxCount",
	})
}

// TestSetEntries has files before and after one key of their top is set.
func TestSetEntries(t *testing.T) {
	e := entry{"x-weir-max-throughput", "", []string{"", "  sandboxMaxCount: 1", "  sandboxUnitTime: 2"}, `{"sandboxMaxCount": 1, "sandboxUnitTime": 2}`}
	block := "x-weir-max-throughput:\n  sandboxMaxCount: 1\n  sandboxUnitTime: 2\n"
	tests := []struct{ name, before, after string }{
		{"added", "a: 1\n\n# paths\n# are here\npaths: {}\n", "a: 1\n\n" + block + "# paths\n# are here\npaths: {}\n"},
		{"added at the end", "a: 1\n# end\n", "a: 1\n# end\n" + block},
		{"replaced", "a: 1\nx-weir-max-throughput: {productionMaxCount: 5} # old\n\n# paths\npaths: {}\n", "a: 1\n" + block + "\n# paths\npaths: {}\n"},
		{"replaced lines", "x-weir-max-throughput:\n  # c\n  productionMaxCount: 5\n\n\n\npaths: {}\n", block + "\n\n\npaths: {}\n"},
		{"replaced at the end", "paths: {}\nx-weir-max-throughput:\n  productionMaxCount: 5\n", "paths: {}\n" + block},
		{"JSON", "{\n  \"paths\": {}\n}", "{\n  \"x-weir-max-throughput\": " + e.json + ",\n  \"paths\": {}\n}"},
		{"JSON in a line", `{"paths":{}}`, `{"x-weir-max-throughput": ` + e.json + `,"paths":{}}`},
		{"JSON replaced", `{"a":{"x-weir-max-throughput":1},"x-weir-max-throughput" : {"productionMaxCount":5} ,"paths":{}}`, `{"a":{"x-weir-max-throughput":1},"x-weir-max-throughput" : ` + e.json + ` ,"paths":{}}`},
		{"flow", "{a: 1, paths: {}}\n", "{a: 1, paths: {}, x-weir-max-throughput: {\"sandboxMaxCount\": 1, \"sandboxUnitTime\": 2}}\n"},
		{"an anchor that is used", "x-weir-max-throughput: &a {b: 1}\nx-b: *a\npaths: {}\n", ""},
		{"text that looks like keys", "a: |\n  b\n\n  paths: {}\nx-weir-max-throughput: 5\npaths: {}\n", "a: |\n  b\n\n  paths: {}\n" + block + "paths: {}\n"},
		{"quoted keys", "\"paths\": {}\n'x-weir-max-throughput': 5\n", "\"paths\": {}\n" + block},
	}
	for _, tt := range tests {
		got, err := setEntries("a.yaml", []byte(tt.before), []entry{e})
		switch {
		case tt.after == "" && err == nil:
			t.Errorf("%s: got %s, want an error", tt.name, got)
		case tt.after != "" && (err != nil || string(got) != tt.after):
			t.Errorf("%s: got %v\n%s\nwant\n%s", tt.name, err, got, tt.after)
		}
	}
}

func FuzzSynapse(f *testing.F) {
	f.Add([]byte(documentHandlers))
	f.Add([]byte(wholeAPI(`name="a" context="/b" version="1"`, property1("productionMaxCount", "5"))))
	f.Fuzz(func(t *testing.T, text []byte) {
		r := &report{}
		s := readSynapse("s.xml", text, r)
		if r.failed() {
			return
		}
		production, sandbox, _ := s.maxima("s.xml", r)
		if r.failed() {
			return
		}
		for _, m := range []maximum{production, sandbox} {
			if m.count < 0 || m.unit < 0 || (m.count > 0) != (m.unit > 0) {
				t.Errorf("%q: got %v", text, m)
			}
		}
		e := throughputEntry(production, sandbox)
		out, err := setEntries("a.yaml", []byte(plainAPI), []entry{e})
		if err != nil || !strings.Contains(string(out), "x-weir-max-throughput:") {
			t.Errorf("%q: %v", text, err)
		}
	})
}

// FuzzSetEntries edits any document: what it meant otherwise must not change,
// which setEntries itself sees to; here it must only not fail in other ways.
func FuzzSetEntries(f *testing.F) {
	f.Add("a.yaml", []byte(plainAPI))
	f.Add("a.json", []byte(`{"a": {}, "x-b": 1}`))
	f.Fuzz(func(t *testing.T, name string, text []byte) {
		out, err := setEntries(name, text, []entry{{"x-b", "comment", []string{" 2"}, "2"}})
		if err != nil {
			return
		}
		r := &report{}
		n, err := readDocument(name, out, r)
		if err != nil || r.failed() || child(n, "x-b") == nil || child(n, "x-b").Value != "2" {
			t.Errorf("%q became %q: %v", text, out, err)
		}
	})
}
