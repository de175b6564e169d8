package project

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/weir-project/weir/gateway"
)

// An artifact is one file, read into memory and never unpacked:
//
//	magic    8 bytes
//	version  uint16
//	count    uint16, number of entries
//	entries  count times: uint8 length of the name, name, uint32 size, SHA-256 of the content
//	contents of the entries, in their order
//	SHA-256 of all that stands before it
//
// Numbers are big-endian. The entries are the parts below, each once and in that
// order; their contents are JSON. The same project gives the same bytes.
const (
	artifactMagic   = "weir\r\n\x1a\n" // shows a file that was changed as if it were text
	artifactVersion = 2
	maxArtifact     = 256 << 20
)

// parts are the names of an artifact's entries.
var parts = []string{"apis.json", "applications.json", "policies.json"}

// encodeArtifact returns the artifact of a definition.
func encodeArtifact(d *gateway.Definition) ([]byte, error) {
	policies, err := wirePolicies(&d.Policies)
	if err != nil {
		return nil, err
	}
	var contents [][]byte
	for _, v := range []any{wireAPIs(d.APIs), wireApplications(d.Applications), policies} {
		text, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		contents = append(contents, text)
	}
	var b bytes.Buffer
	b.WriteString(artifactMagic)
	b.Write(binary.BigEndian.AppendUint16(nil, artifactVersion))
	b.Write(binary.BigEndian.AppendUint16(nil, uint16(len(parts))))
	for i, name := range parts {
		sum := sha256.Sum256(contents[i])
		b.WriteByte(byte(len(name)))
		b.WriteString(name)
		b.Write(binary.BigEndian.AppendUint32(nil, uint32(len(contents[i]))))
		b.Write(sum[:])
	}
	for _, text := range contents {
		b.Write(text)
	}
	if b.Len()+sha256.Size > maxArtifact {
		return nil, fmt.Errorf("artifact would have %d bytes, at most %d are possible", b.Len(), maxArtifact)
	}
	sum := sha256.Sum256(b.Bytes())
	b.Write(sum[:])
	return b.Bytes(), nil
}

// Open reads the artifact in the file at path. The error is one line with the
// path and what is wrong.
func Open(path string) (gateway.Definition, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		// A pipe would keep the caller waiting.
		return gateway.Definition{}, fmt.Errorf("%s: is no regular file", path)
	}
	f, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return gateway.Definition{}, fmt.Errorf("%s: %w; 'weir build PROJECT' makes PROJECT/target/PROJECT.weir", path, reason(err))
	case err != nil:
		return gateway.Definition{}, fmt.Errorf("open artifact %s: %w", path, reason(err))
	}
	defer f.Close()
	d, err := Read(f)
	if err != nil {
		return gateway.Definition{}, fmt.Errorf("%s: %w", path, err)
	}
	return d, nil
}

// Read reads an artifact. Nothing in it is believed before its checksums have
// been looked at, and it is read as a whole or not at all.
func Read(r io.Reader) (gateway.Definition, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxArtifact+1))
	switch {
	case err != nil:
		return gateway.Definition{}, fmt.Errorf("read artifact: %w", err)
	case len(data) > maxArtifact:
		return gateway.Definition{}, fmt.Errorf("artifact is larger than %d MiB", maxArtifact>>20)
	}
	contents, err := decodeArtifact(data)
	if err != nil {
		return gateway.Definition{}, err
	}
	return decodeParts(contents)
}

var (
	errNoArtifact = errors.New("is no artifact: 'weir build' makes one of a project")
	errCutShort   = errors.New("artifact is damaged: it is cut short; build it again")
	errChecksum   = errors.New("artifact is damaged: its checksum does not match; build it again")
	errEntries    = errors.New("artifact is malformed: it has not the parts that 'weir build' writes; build it again")
)

// decodeArtifact returns the contents of an artifact's entries.
func decodeArtifact(data []byte) ([][]byte, error) {
	rest, ok := bytes.CutPrefix(data, []byte(artifactMagic))
	switch {
	case !ok && bytes.HasPrefix([]byte(artifactMagic), data) && len(data) > 0:
		return nil, errCutShort
	case !ok:
		return nil, errNoArtifact
	case len(rest) < 4:
		return nil, errCutShort
	}
	if v := binary.BigEndian.Uint16(rest); v != artifactVersion {
		return nil, fmt.Errorf("artifact has version %d, this program reads version %d: build it again with 'weir build'", v, artifactVersion)
	}
	if int(binary.BigEndian.Uint16(rest[2:])) != len(parts) {
		return nil, errEntries
	}
	rest = rest[4:]
	sizes := make([]int, len(parts))
	sums := make([][]byte, len(parts))
	for i, name := range parts {
		head := 1 + len(name) + 4 + sha256.Size
		if len(rest) < head {
			return nil, errCutShort
		}
		if int(rest[0]) != len(name) || string(rest[1:1+len(name)]) != name {
			return nil, errEntries
		}
		sizes[i] = int(binary.BigEndian.Uint32(rest[1+len(name):]))
		sums[i] = rest[head-sha256.Size : head]
		rest = rest[head:]
	}
	return contentsOf(data, rest, sizes, sums)
}

// contentsOf returns the contents of entries, which stand at the start of rest
// and are followed by nothing but the checksum of data.
func contentsOf(data, rest []byte, sizes []int, sums [][]byte) ([][]byte, error) {
	total := 0
	for _, n := range sizes {
		if n > maxArtifact {
			return nil, errEntries
		}
		total += n
	}
	switch {
	case len(rest) < total+sha256.Size:
		return nil, errCutShort
	case len(rest) > total+sha256.Size:
		return nil, fmt.Errorf("artifact is damaged: %d bytes stand after its end; build it again", len(rest)-total-sha256.Size)
	}
	end := len(data) - sha256.Size
	if sum := sha256.Sum256(data[:end]); !bytes.Equal(sum[:], data[end:]) {
		return nil, errChecksum
	}
	contents := make([][]byte, len(sizes))
	for i, n := range sizes {
		contents[i], rest = rest[:n], rest[n:]
		if sum := sha256.Sum256(contents[i]); !bytes.Equal(sum[:], sums[i]) {
			return nil, fmt.Errorf("artifact is damaged: the checksum of %s does not match; build it again", parts[i])
		}
	}
	return contents, nil
}

// decodeParts returns the definition that the contents of an artifact are.
func decodeParts(contents [][]byte) (gateway.Definition, error) {
	var (
		apis         []wireAPI
		applications []wireApplication
		policies     wirePolicySet
		d            gateway.Definition
	)
	for i, into := range []any{&apis, &applications, &policies} {
		decoder := json.NewDecoder(bytes.NewReader(contents[i]))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(into); err != nil {
			return gateway.Definition{}, fmt.Errorf("artifact is malformed: %s: %w", parts[i], err)
		}
		if decoder.More() {
			return gateway.Definition{}, fmt.Errorf("artifact is malformed: %s: has more than one value", parts[i])
		}
	}
	d.APIs = fromWireAPIs(apis)
	var err error
	if d.Applications, err = fromWireApplications(applications); err != nil {
		return gateway.Definition{}, fmt.Errorf("artifact is malformed: %s: %w", parts[1], err)
	}
	if d.Policies, err = policies.definition(); err != nil {
		return gateway.Definition{}, fmt.Errorf("artifact is malformed: %s: %w", parts[2], err)
	}
	return d, nil
}
