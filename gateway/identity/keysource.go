package identity

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

const (
	maxKeySet    = 1 << 20 // bytes
	fetchTimeout = 5 * time.Second
)

// A keySource is where an issuer's keys are.
type keySource interface {
	// read returns the key set as it is now, of at most maxKeySet bytes.
	read(ctx context.Context) ([]byte, error)
}

// A keyFile is keys in a file.
type keyFile string

func (f keyFile) read(context.Context) ([]byte, error) {
	file, err := os.Open(string(f))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readKeySet(file)
}

// A keyURL is keys behind a URL.
type keyURL struct {
	url    string
	client *http.Client
}

// newKeyURL returns the source behind url. Redirects are not followed: they
// would let the place of the keys be chosen by somebody else.
func newKeyURL(url string, transport http.RoundTripper) *keyURL {
	if transport == nil {
		transport = &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2:      true,
			DisableKeepAlives:      true, // it is asked every few minutes
			DisableCompression:     true,
			MaxResponseHeaderBytes: 64 << 10,
		}
	}
	return &keyURL{url, &http.Client{
		Transport:     transport,
		Timeout:       fetchTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (u *keyURL) read(ctx context.Context) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := u.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch keys from %s: answer is %s", u.url, resp.Status)
	}
	return readKeySet(resp.Body)
}

// readKeySet reads all of r, or refuses it if it is too large.
func readKeySet(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxKeySet+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxKeySet {
		return nil, errors.New("key set is larger than 1 MiB")
	}
	return data, nil
}
