package project

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

func encode(t testing.TB, d *gateway.Definition) []byte {
	t.Helper()
	data, err := encodeArtifact(d)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// sealed returns data with the right checksum at its end.
func sealed(data []byte) []byte {
	sum := sha256.Sum256(data)
	return append(bytes.Clone(data), sum[:]...)
}

func TestArtifactHoldsEverything(t *testing.T) {
	d := loadShop(t).Definition
	data := encode(t, &d)
	got, err := Read(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, d) {
		same(t, "definition", got, d)
	}
	if again := encode(t, &got); !bytes.Equal(again, data) {
		t.Error("the artifact of what was read is another one")
	}
}

// TestArtifactIsStable finds a change of the format: artifacts that are in use
// could no longer be read, so it needs a new version.
func TestArtifactIsStable(t *testing.T) {
	const golden = "testdata/shop.weir"
	d := loadShop(t).Definition
	data := encode(t, &d)
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(golden, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || !bytes.Equal(data, want) {
		t.Errorf("the artifact of testdata/shop has changed (%v): raise artifactVersion, then run the tests with -update", err)
	}
	if got, err := Open(golden); err != nil || !reflect.DeepEqual(got, d) {
		t.Errorf("got %v, want the shop", err)
	}
}

func TestArtifactOfNothing(t *testing.T) {
	d := gateway.Definition{}
	if got, err := Read(bytes.NewReader(encode(t, &d))); err != nil || !reflect.DeepEqual(got, d) {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestArtifactCutShort cuts an artifact at every byte.
func TestArtifactCutShort(t *testing.T) {
	data := encode(t, &gateway.Definition{})
	for n := range data {
		_, err := Read(bytes.NewReader(data[:n]))
		if err == nil || strings.Contains(err.Error(), "\n") {
			t.Fatalf("%d of %d bytes: got %v", n, len(data), err)
		}
		if n > 0 && !errors.Is(err, errCutShort) {
			t.Errorf("%d of %d bytes: got %v, want %v", n, len(data), err, errCutShort)
		}
	}
}

// TestArtifactFlipped flips every bit of an artifact, one at a time.
func TestArtifactFlipped(t *testing.T) {
	data := encode(t, &gateway.Definition{APIs: []gateway.API{{Name: "a", Version: "1", Context: "/a"}}})
	for i := range data {
		for bit := range 8 {
			data[i] ^= 1 << bit
			if _, err := Read(bytes.NewReader(data)); err == nil {
				t.Errorf("bit %d of byte %d: got no error", bit, i)
			}
			data[i] ^= 1 << bit
		}
	}
}

func TestArtifactRefused(t *testing.T) {
	d := loadShop(t).Definition
	good := encode(t, &d)
	body := good[:len(good)-sha256.Size]
	at := func(offset int, b ...byte) []byte { // with some bytes replaced, and a right checksum
		c := bytes.Clone(body)
		copy(c[offset:], b)
		return sealed(c)
	}
	tests := []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "is no artifact"},
		{"text", []byte("openapi: 3.0.3\n"), "is no artifact"},
		{"a zip", []byte("PK\x03\x04 and so on and so on and so on"), "is no artifact"},
		{"line ends changed", bytes.ReplaceAll(good, []byte("\r\n"), []byte("\n")), "is no artifact"},
		{"newer", at(8, 0, 3), "artifact has version 3, this program reads version 2: build it again"},
		{"older", at(8, 0, 1), "artifact has version 1, this program reads version 2: build it again"},
		{"more entries", at(10, 0xff, 0xff), "has not the parts"},
		{"fewer entries", at(10, 0, 2), "has not the parts"},
		{"another name", at(13, []byte("../x.json")...), "has not the parts"},
		{"a long name", at(12, 255), "has not the parts"},
		{"a huge entry", at(22, 0xff, 0xff, 0xff, 0xff), "has not the parts"},
		{"a larger entry", at(22, 0x0f, 0xff, 0xff, 0xff), "is cut short"},
		{"a smaller entry", at(22, 0, 0, 0, 1), "bytes stand after its end"},
		{"another content", at(len(body)-1, ' '), "the checksum of policies.json does not match"},
		{"another checksum", append(bytes.Clone(body), make([]byte, sha256.Size)...), "its checksum does not match"},
		{"more behind", append(bytes.Clone(good), 'x'), "1 bytes stand after its end"},
		{"twice", append(bytes.Clone(good), good...), "stand after its end"},
	}
	for _, tt := range tests {
		_, err := Read(bytes.NewReader(tt.data))
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

// artifactOf returns an artifact with these contents.
func artifactOf(contents ...string) []byte {
	b := []byte(artifactMagic)
	b = binary.BigEndian.AppendUint16(b, artifactVersion)
	b = binary.BigEndian.AppendUint16(b, uint16(len(parts)))
	for i, name := range parts {
		sum := sha256.Sum256([]byte(contents[i]))
		b = append(append(b, byte(len(name))), name...)
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(contents[i]))), sum[:]...)
	}
	return sealed([]byte(string(b) + strings.Join(contents, "")))
}

// TestArtifactContents has artifacts that are whole, and whose contents are not.
func TestArtifactContents(t *testing.T) {
	limit := func(fields string) string {
		return `{"policies":[{"kind":"advanced","name":"a","per":"default","limit":{"cost":"requests","algorithm":"fixed-window","accuracy":"eventual","on_store_loss":"local",` + fields + `}}]}`
	}
	tests := []struct{ apis, applications, policies, want string }{
		{`[`, `[]`, `{}`, "apis.json: unexpected EOF"},
		{`{}`, `[]`, `{}`, "apis.json: json: cannot unmarshal object"},
		{`[{"colour":"blue"}]`, `[]`, `{}`, `apis.json: json: unknown field "colour"`},
		{`[] []`, `[]`, `{}`, "apis.json: has more than one value"},
		{`[]`, `[{"keys":[{"type":"TRIAL"}]}]`, `{}`, `applications.json: unknown name "TRIAL"`},
		{`[]`, `[]`, `{"policies":[{"kind":"x"}]}`, `policies.json: unknown name "x"`},
		{`[]`, `[]`, limit(`"count":"many"`), "policies.json: json: cannot unmarshal string"},
		{`[]`, `[]`, limit(`"count":1,"time_zone":"Mars"`), `time zone "Mars"`},
		{`[]`, `[]`, limit(`"count":1,"time_zone":"../../etc/passwd"`), "time zone"},
		{`[]`, `[]`, `{"denies":[{"kind":"ip","ip":{"prefix":"10"}}]}`, "policies.json: netip.ParsePrefix"},
		{`[]`, `[]`, `{"denies":[{"kind":"ip","ip":{"from":"a"}}]}`, "policies.json: ParseAddr"},
		{`null`, `null`, `null`, ""},
	}
	for _, tt := range tests {
		_, err := Read(bytes.NewReader(artifactOf(tt.apis, tt.applications, tt.policies)))
		if tt.want == "" && err == nil {
			continue
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s %s %s: got %v, want %q", tt.apis, tt.applications, tt.policies, err, tt.want)
		}
	}
}

func TestEncodeRefusesWhatHasNoName(t *testing.T) {
	d := gateway.Definition{Policies: policy.Definition{Policies: []policy.Policy{{Limit: &limiter.Limit{Algorithm: 9}}}}}
	if _, err := encodeArtifact(&d); err == nil || !strings.Contains(err.Error(), "value 9 is none of") {
		t.Errorf("got %v", err)
	}
}

func TestOpenAndReadErrors(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x.weir")
	if _, err := Open(name); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), name+": no such file or directory; 'weir build PROJECT' makes") {
		t.Errorf("no file: got %v", err)
	}
	if err := os.WriteFile(name, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(name); err == nil || err.Error() != name+": is no artifact: 'weir build' makes one of a project" {
		t.Errorf("no artifact: got %v", err)
	}
	broken := errors.New("disk on fire")
	if _, err := Read(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("a reader that fails: got %v", err)
	}
}

func TestBuild(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "shop")
	if err := os.CopyFS(dir, os.DirFS("testdata/shop")); err != nil {
		t.Fatal(err)
	}
	b, err := Build(dir)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "target", "shop.weir"); b.Path != want || b.Name != "shop" || len(b.Warnings) == 0 {
		t.Errorf("got %s of %s with %d warnings, want %s", b.Path, b.Name, len(b.Warnings), want)
	}
	first, err := os.ReadFile(b.Path)
	if err != nil || len(first) != b.Size {
		t.Errorf("got %d bytes, %v; want %d", len(first), err, b.Size)
	}
	if got, err := Open(b.Path); err != nil || !reflect.DeepEqual(got, b.Definition) {
		t.Errorf("the artifact is not what was built: %v", err)
	}
	// A project that is wrong leaves the artifact as it is.
	if err := os.WriteFile(filepath.Join(dir, "policies.yaml"), []byte("a: b\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Build(dir); err == nil {
		t.Error("a wrong project: got no error")
	}
	entries, err := os.ReadDir(filepath.Join(dir, "target"))
	if err != nil || len(entries) != 1 {
		t.Errorf("got %d files in target, %v; want the artifact alone", len(entries), err)
	}
	if second, _ := os.ReadFile(b.Path); !bytes.Equal(first, second) {
		t.Error("a build that failed changed the artifact")
	}
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "real", "a.yaml"), filepath.Join(dir, "a.yaml")
	if err := os.Mkdir(filepath.Dir(target), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(target, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Skip(err)
	}
	if err := writeFile(link, []byte("new")); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v", err)
	}
	info, err := os.Stat(target)
	if text, _ := os.ReadFile(target); err != nil || string(text) != "new" || info.Mode().Perm() != 0o600 {
		t.Errorf("got %q, mode %v, %v; want new and the old mode", text, info.Mode(), err)
	}
	if err := writeFile(filepath.Join(dir, "none", "a"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: got %v", err)
	}
}

// TestOpenIsQuick is about the start of a gateway: no OpenAPI file is read again.
func TestOpenIsQuick(t *testing.T) {
	best := time.Hour
	for range 5 {
		start := time.Now()
		if _, err := Open("testdata/shop.weir"); err != nil {
			t.Fatal(err)
		}
		best = min(best, time.Since(start))
	}
	if best > 50*time.Millisecond { // it takes less than one; machines differ
		t.Errorf("took %v", best)
	}
}

func BenchmarkOpen(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Open("testdata/shop.weir"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		loadShop(b)
	}
}

// FuzzRead gives Read what begins as an artifact and goes on as anything: once
// as it is, once with right checksums.
func FuzzRead(f *testing.F) {
	d := loadShop(f).Definition
	f.Add(encode(f, &d), `[]`, `[]`, `{}`)
	f.Add([]byte(artifactMagic), `[{"name":"a","resources":[{}]}]`, `[{"keys":[{"type":"SANDBOX"}]}]`, `{"policies":[{"kind":"application","per":"token","limit":{}}]}`)
	f.Fuzz(func(t *testing.T, data []byte, apis, applications, policies string) {
		for _, data := range [][]byte{data, artifactOf(apis, applications, policies)} {
			got, err := Read(bytes.NewReader(data))
			if err != nil {
				if err.Error() == "" {
					t.Error("an error without a text")
				}
				continue
			}
			written := encode(t, &got)
			again, err := Read(bytes.NewReader(written))
			if err != nil || !bytes.Equal(encode(t, &again), written) {
				t.Errorf("written and read again: got %+v, %v; want %+v", again, err, got)
			}
		}
	})
}
