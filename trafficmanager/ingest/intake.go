package ingest

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/weir-project/weir/event"
)

// An intake is the room in which a body is read and decoded. It is used again and
// again, by one call at a time.
type intake struct {
	max     int
	raw     bytes.Buffer // as it came
	plain   bytes.Buffer // decompressed
	gzip    *gzip.Reader
	decoder event.Decoder
	wso2    event.WSO2Decoder
	answer  []byte
}

func newIntake(most int) *intake {
	in := &intake{max: most, gzip: new(gzip.Reader)}
	in.decoder.MaxBytes = most
	return in
}

// A refusal is why a body was not read.
type refusal struct {
	status int
	text   string
}

func refuse(status int, format string, args ...any) *refusal {
	return &refusal{status, fmt.Sprintf(format, args...)}
}

const (
	// maxRatio is how much larger than itself a compressed body may be; those that
	// are small anyway may be more.
	maxRatio   = 200
	smallPlain = 64 << 10
)

// read returns the body of r, which must be of a media type. It is valid until
// read is called again.
func (in *intake) read(w http.ResponseWriter, r *http.Request, media string) ([]byte, *refusal) {
	if got, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || got != media {
		return nil, refuse(http.StatusUnsupportedMediaType, "the body's type is not %s", media)
	}
	compressed, no := encoding(w, r)
	if no != nil {
		return nil, no
	}
	if r.ContentLength > int64(in.max) {
		return nil, in.large()
	}
	in.raw.Reset()
	if _, err := in.raw.ReadFrom(http.MaxBytesReader(w, r.Body, int64(in.max))); err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, in.large()
		}
		return nil, refuse(http.StatusBadRequest, "the body ends early")
	}
	if !compressed {
		return in.raw.Bytes(), nil
	}
	return in.decompress()
}

func (in *intake) large() *refusal {
	return refuse(http.StatusRequestEntityTooLarge, "the body has more than %d bytes", in.max)
}

// encoding reports whether the body of r is compressed.
func encoding(w http.ResponseWriter, r *http.Request) (compressed bool, no *refusal) {
	switch e := strings.ToLower(strings.Join(r.Header.Values("Content-Encoding"), ",")); e {
	case "", "identity":
		return false, nil
	case "gzip", "x-gzip":
		return true, nil
	}
	w.Header().Set("Accept-Encoding", "gzip")
	return false, refuse(http.StatusUnsupportedMediaType, "the body's encoding is not known; gzip is")
}

// decompress returns what in.raw is the compressed form of.
func (in *intake) decompress() ([]byte, *refusal) {
	size := in.raw.Len()
	if err := in.gzip.Reset(&in.raw); err != nil {
		return nil, refuse(http.StatusBadRequest, "the body is no gzip")
	}
	in.plain.Reset()
	most := min(int64(in.max), max(int64(size)*maxRatio, smallPlain))
	switch n, err := in.plain.ReadFrom(io.LimitReader(in.gzip, most+1)); {
	case n > most && most < int64(in.max):
		return nil, refuse(http.StatusRequestEntityTooLarge, "the body is more than %d times as large as its compressed form", maxRatio)
	case n > most:
		return nil, in.large()
	case err != nil:
		return nil, refuse(http.StatusBadRequest, "the body is no valid gzip")
	}
	return in.plain.Bytes(), nil
}
