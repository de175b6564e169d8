package cli

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-project/weir/app"
	"github.com/weir-project/weir/config"
	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/gateway/project"
)

func TestTable(t *testing.T) {
	var b bytes.Buffer
	tab := newTable(&b, "LEVEL", "USES", "KEY")
	tab.row("api", "1", "a:b")
	tab.row("application", "12", "")
	if err := tab.flush(); err != nil {
		t.Fatal(err)
	}
	want := "LEVEL        USES  KEY\napi          1     a:b\napplication  12\n"
	if got := b.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestOutputFlag(t *testing.T) {
	var o output
	c := &cobra.Command{}
	o.flag(c, "table")
	if o.String() != "table" || o.json() {
		t.Errorf("without the flag: %s", &o)
	}
	if err := o.Set("yaml"); err == nil || !strings.Contains(err.Error(), "table or json") {
		t.Errorf("yaml: %v", err)
	}
	if err := o.Set("json"); err != nil || !o.json() {
		t.Errorf("json: %v", err)
	}
	var b bytes.Buffer
	c.SetOut(&b)
	if err := o.print(c, map[string]string{"url": "http://a/?b=1&c=<d>"}); err != nil {
		t.Fatal(err)
	}
	if got, want := b.String(), "{\n  \"url\": \"http://a/?b=1&c=<d>\"\n}\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestNewExplainedCheck(t *testing.T) {
	c := newExplainedCheck(&gateway.ExplainedCheck{
		Level: "api", Policy: "Browsing", Group: 1, Uses: 3, Reset: 1500 * time.Millisecond, Shadow: true, Refuses: true,
	})
	if c.Reset != 2 || c.Group == nil || *c.Group != 1 {
		t.Errorf("got %+v, want seconds rounded up and the group's index", c)
	}
	if got, want := c.policy(), "Browsing group 2 (shadow)"; got != want {
		t.Errorf("policy %q, want %q", got, want)
	}
	if got, want := c.uses(), "3: refused"; got != want {
		t.Errorf("uses %q, want %q", got, want)
	}
	c = newExplainedCheck(&gateway.ExplainedCheck{Policy: "Gold", Group: -1, Uses: 1})
	if c.Group != nil || c.policy() != "Gold" || c.uses() != "1" {
		t.Errorf("got %+v, want the policy's own limit", c)
	}
}

func TestWriteAnswer(t *testing.T) {
	d := gateway.Definition{APIs: []gateway.API{{Name: "Shop", Version: "1", Context: "/shop"}}}
	for _, tt := range []struct {
		answer explainedAnswer
		want   string
	}{
		{explainedAnswer{Forward: true, URLs: []string{"http://a/x", "http://b/x"}}, "Answer: forwarded to http://a/x or http://b/x\n"},
		{explainedAnswer{Status: 401, Code: "900902", Reason: "who?"}, "Answer: 401, code 900902: who?\n"},
		{
			explainedAnswer{Status: 429, Code: "900803", Reason: "enough", Level: "application", Policy: "Few"},
			"Answer: 429, code 900803, by the application level's policy Few: enough\n",
		},
		{explainedAnswer{Status: 404, Code: "404", Reason: "where?"}, "Answer: 404, code 404: where?\nThe APIs are served under:\n  /shop  (Shop 1)\n"},
	} {
		var b bytes.Buffer
		e := explanation{Answer: tt.answer}
		e.writeAnswer(&b, d)
		if got := b.String(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestFindings(t *testing.T) {
	err := errors.Join(
		project.Faults{{File: "a.yaml", Line: 2, Column: 3, Path: "x.y", Message: "one"}, {File: "b.yaml", Message: "two"}},
		config.Faults{{File: "c.conf", Line: 4, Key: "log.level", Message: "three"}},
		fmt.Errorf("open: %w", errors.New("four")),
	)
	var got []string
	for _, e := range unjoin(err) {
		f := newFinding(fault, e)
		got = append(got, fmt.Sprintf("%s|%d|%d|%s|%s", f.File, f.Line, f.Column, f.Path, f.Message))
	}
	want := []string{"a.yaml|2|3|x.y|one", "b.yaml|0|0||two", "c.conf|4|0|log.level|three", "|0|0||open: four"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestCompleteCall(t *testing.T) {
	call := app.Call{Path: "/shop/pets?kind=dog"}
	err := completeCall(&cobra.Command{}, &call, []string{"Host: shop.example", "X-Plan:gold", "Empty:"}, "::1")
	if err != nil {
		t.Fatal(err)
	}
	if call.Path != "/shop/pets" || call.Query != "kind=dog" || call.Host != "shop.example" || call.Peer.String() != "::1" {
		t.Errorf("got %+v", call)
	}
	want := []app.HeaderField{{Name: "X-Plan", Value: "gold"}, {Name: "Empty", Value: ""}}
	if !slices.Equal(call.Header, want) {
		t.Errorf("headers %v, want %v", call.Header, want)
	}
}
