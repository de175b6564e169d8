package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protowire"
)

const (
	envoyPackage = "github.com/envoyproxy/ratelimit/src/service_cmd"
	envoyVersion = "v1.4.1-0.20260122083618-3fb702589d36" // of January 2026
	envoyMethod  = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"
)

// envoyUnits are the windows that envoyproxy/ratelimit has, as its configuration calls them.
var envoyUnits = map[time.Duration]string{time.Second: "second", time.Minute: "minute", time.Hour: "hour"}

// An envoyFleet is one envoyproxy/ratelimit, as a process, that nodes ask over
// connections of their own, as Envoys do. It has its default settings.
type envoyFleet struct {
	service *process
	all     []node
	calls   atomic.Uint64
}

// buildEnvoy returns where the program is. It is built from its module once, and kept
// in the user's cache: in a module of its own, so that its libraries are those it was
// made for.
func buildEnvoy(ctx context.Context) (program string, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	dir := filepath.Join(cache, "weir-bench", "ratelimit-"+envoyVersion)
	program = filepath.Join(dir, filepath.Base(envoyPackage))
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "install", envoyPackage+"@"+envoyVersion)
	cmd.Env = append(os.Environ(), "GOBIN="+dir)
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go install %s: %w: %s", envoyPackage, err, text[max(0, len(text)-300):])
	}
	return program, nil
}

func startEnvoy(ctx context.Context, e *environment, subjects []*subject) (fleet, error) {
	unit := envoyUnits[subjects[0].limit.Window.Length]
	if unit == "" {
		return nil, &outage{"envoyproxy/ratelimit", fmt.Errorf("it has no windows of %s", shorter(subjects[0].limit.Window.Length))}
	}
	program, err := buildEnvoy(ctx)
	if err != nil {
		return nil, &outage{"envoyproxy/ratelimit", err}
	}
	dir, err := os.MkdirTemp(e.dir, "envoy-")
	if err != nil {
		return nil, err
	}
	if err := writeEnvoyConfig(dir, unit, subjects); err != nil {
		return nil, err
	}
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	f := &envoyFleet{}
	f.service, err = startProcess("ratelimit", dir, []string{
		"USE_STATSD=false", "LOG_LEVEL=error", "REDIS_SOCKET_TYPE=tcp", "REDIS_URL=" + e.address, "CACHE_KEY_PREFIX=" + e.prefix,
		"RUNTIME_ROOT=" + dir, "RUNTIME_SUBDIRECTORY=.", "RUNTIME_WATCH_ROOT=false", "RUNTIME_IGNOREDOTFILES=true",
		"HOST=127.0.0.1", "GRPC_HOST=127.0.0.1", "DEBUG_HOST=127.0.0.1",
		fmt.Sprintf("PORT=%d", ports[0]), fmt.Sprintf("GRPC_PORT=%d", ports[1]), fmt.Sprintf("DEBUG_PORT=%d", ports[2]),
	}, program)
	if err != nil {
		return nil, err
	}
	for range e.nodes {
		conn, err := grpc.NewClient(fmt.Sprintf("127.0.0.1:%d", ports[1]), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return nil, errors.Join(err, f.stop())
		}
		f.all = append(f.all, &envoyNode{f, conn})
	}
	if err := f.ready(ctx, subjects[0]); err != nil {
		return nil, errors.Join(err, f.stop())
	}
	return f, nil
}

// writeEnvoyConfig writes the limits of all subjects.
func writeEnvoyConfig(dir, unit string, subjects []*subject) error {
	var text bytes.Buffer
	fmt.Fprintln(&text, "domain: weir\ndescriptors:")
	for _, s := range subjects {
		fmt.Fprintf(&text, "  - key: key\n    value: %q\n    rate_limit: {unit: %s, requests_per_unit: %d}\n", s.name, unit, s.limit.Count)
	}
	if err := os.Mkdir(filepath.Join(dir, "config"), 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "config", "limits.yaml"), text.Bytes(), 0o600)
}

// ready returns once all nodes are answered. It asks in a window that has long been over when it
// is measured.
func (f *envoyFleet) ready(ctx context.Context, s *subject) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for _, n := range f.all {
		for {
			_, err := n.(*envoyNode).ask(ctx, s)
			if err == nil {
				break
			}
			if ctx.Err() != nil || f.service.ended() {
				return fmt.Errorf("ratelimit does not answer: %w: %s", err, f.service.tail())
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	return nil
}

func (f *envoyFleet) nodes() []node { return f.all }

func (f *envoyFleet) spent() spent {
	return spent{calls: f.calls.Load(), apart: f.service.cpu()}
}

func (f *envoyFleet) stop() error {
	var errs []error
	for _, n := range f.all {
		errs = append(errs, n.(*envoyNode).conn.Close())
	}
	return errors.Join(append(errs, f.service.stop())...)
}

type envoyNode struct {
	fleet *envoyFleet
	conn  *grpc.ClientConn
}

// try asks about a request. In which window that counts the service finds out when it
// gets there: of what passes, the time of the answer is the better guess.
func (n *envoyNode) try(s *subject, at time.Time) (bool, func(context.Context) (bool, time.Time, error)) {
	return false, func(ctx context.Context) (bool, time.Time, error) {
		n.fleet.calls.Add(1)
		passed, err := n.ask(ctx, s)
		if passed {
			at = time.Now()
		}
		return passed, at, err
	}
}

func (n *envoyNode) ask(ctx context.Context, s *subject) (passed bool, err error) {
	var request, entry, descriptor, answer []byte
	entry = appendField(appendField(nil, 1, "key"), 2, s.name)
	descriptor = appendField(nil, 1, string(entry))
	request = appendField(appendField(nil, 1, "weir"), 2, string(descriptor))
	if err := n.conn.Invoke(ctx, envoyMethod, &request, &answer, grpc.ForceCodec(rawCodec{})); err != nil {
		return false, fmt.Errorf("ask ratelimit: %w", err)
	}
	field, kind, size := protowire.ConsumeTag(answer)
	if field != 1 || kind != protowire.VarintType {
		return false, fmt.Errorf("ask ratelimit: what it answers begins with field %d", field)
	}
	code, _ := protowire.ConsumeVarint(answer[size:])
	return code == 1, nil
}

func appendField(b []byte, field protowire.Number, text string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), text)
}

// A rawCodec leaves messages as they are.
type rawCodec struct{}

// Marshal implements encoding.Codec.
func (rawCodec) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }

// Unmarshal implements encoding.Codec.
func (rawCodec) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = bytes.Clone(data)
	return nil
}

// Name implements encoding.Codec.
func (rawCodec) Name() string { return "proto" }
